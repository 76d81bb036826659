//! Values of ours in a runbook: rows, log sequence numbers, times, failures.

/// Registers their properties, methods and operators.
pub fn register(_engine: &mut rhai::Engine) {}
