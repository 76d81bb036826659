//! The management shell: one child process per run, spoken to in JSON lines over its standard streams.
//!
//! Primitives hold one [`Session`]; it starts the shell when the first cmdlet is called, imports the module once, and
//! starts a new shell after one has died or was ended. `bridge.ps1`, a readable script, is the other end; the lab's
//! shell speaks the same messages ([`crate::wire::bridge`]). The script has not been run on Windows yet: its syntax is
//! checked with a PowerShell grammar, its behaviour only against the documentation.

mod error;
mod parameters;
mod session;

pub use error::{ShellFailure, shown};
pub use parameters::{Known, ParameterProblem, check_parameters};
pub use session::{Call, Errors, Program, Reply, Session};

/// The other end of the session, as it is written to a file beside the run.
pub const BRIDGE: &str = include_str!("bridge.ps1");

#[cfg(test)]
mod tests {
    use super::BRIDGE;

    #[test]
    fn the_bridge_is_valid_powershell() {
        let mut parser = tree_sitter::Parser::new();
        parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
        let tree = parser.parse(BRIDGE, None).unwrap();
        let mut wrong = Vec::new();
        let mut cursor = tree.walk();
        let mut nodes = vec![tree.root_node()];
        while let Some(node) = nodes.pop() {
            if node.is_error() || node.is_missing() {
                let line = node.start_position().row + 1;
                wrong.push(format!("line {line}: {}", &BRIDGE[node.byte_range()]));
            }
            nodes.extend(node.children(&mut cursor));
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn the_bridge_keeps_to_what_any_console_and_any_policy_takes() {
        for (n, line) in BRIDGE.lines().enumerate() {
            assert!(line.is_ascii(), "line {} is not ASCII: {line}", n + 1);
        }
        let folded = BRIDGE.to_lowercase();
        for word in ["add-type", "encodedcommand", "invoke-expression", "iex ", "new-object", "scriptblock]::create"] {
            assert!(!folded.contains(word), "the bridge uses {word}");
        }
        // What only FullLanguage allows stands behind a test of the language mode.
        let code: Vec<&str> = BRIDGE.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        for line in code.iter().filter(|line| line.contains("]::")) {
            assert!(line.contains("$fullLanguage"), "{line}");
        }
    }

    #[test]
    fn the_bridge_knows_every_message() {
        use crate::wire::bridge::{Answer, ErrorRecord, Hello, to_line};
        let hello = serde_json::to_value(Hello::default()).unwrap();
        let error = serde_json::to_value(ErrorRecord::default()).unwrap();
        for key in hello.as_object().unwrap().keys().chain(error.as_object().unwrap().keys()) {
            assert!(BRIDGE.contains(&format!("{key} ")), "the bridge does not send {key}");
        }
        for answer in [
            Answer::Hello(Hello::default()),
            Answer::Warning { message: String::new() },
            Answer::Verbose { message: String::new() },
            Answer::Error(ErrorRecord::default()),
            Answer::Output { value: serde_json::Value::Null },
            Answer::Done { id: 1, ok: true },
            Answer::Refused { message: String::new() },
        ] {
            let line = to_line(&answer);
            let kind = line.split('"').nth(3).unwrap();
            let spaces = BRIDGE.replace("  ", " ").replace("  ", " ").replace("  ", " ").replace("  ", " ");
            assert!(spaces.contains(&format!("type = '{kind}'")), "the bridge does not send {kind}");
        }
    }
}
