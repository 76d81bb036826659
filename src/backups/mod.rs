//! Backup files as the tool sees them: names, listings, copying. Called by primitives; knows nothing of SQL Server.
