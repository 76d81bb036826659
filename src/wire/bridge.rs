//! The bridge's messages (being written)
