//! The management shell: one child process per run, spoken to in JSON lines over its standard streams.
