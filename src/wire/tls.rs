//! TLS inside TDS packets (being written)
