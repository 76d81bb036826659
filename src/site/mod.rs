//! The facts of one installation, from `site.toml`.
