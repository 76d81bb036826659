//! T-SQL text, as much as recovery work needs: tokens with byte ranges, statements, reads told from changes, parameters.
//! A leaf: the host, check and the lab use it.
