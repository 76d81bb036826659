//! See `unknown-cmdlet.md`.

use super::typographic_dash::plain;
use crate::check::calls::{once, places};
use crate::check::value::Value;
use crate::check::{Edit, Finding, Look, Rule, Run, Severity};
use crate::facts::cmdlets;

pub static UNKNOWN_CMDLET: Rule =
    Rule { slug: "unknown-cmdlet", severity: Severity::Error, page: include_str!("unknown-cmdlet.md"), look: Look::Calls(check) };

/// Verbs that cmdlets of the management shell begin with ("Approved Verbs for PowerShell Commands"): one of these in place of
/// another is another cmdlet, no slip of the pen.
const VERBS: &[&str] = &[
    "Add",
    "Approve",
    "Backup",
    "Clear",
    "Compare",
    "Complete",
    "Convert",
    "ConvertFrom",
    "ConvertTo",
    "Copy",
    "Debug",
    "Disable",
    "Dismount",
    "Enable",
    "Export",
    "Find",
    "Get",
    "Grant",
    "Hide",
    "Import",
    "Install",
    "Invoke",
    "Join",
    "Lock",
    "Measure",
    "Merge",
    "Mount",
    "Move",
    "New",
    "Publish",
    "Read",
    "Register",
    "Remove",
    "Rename",
    "Repair",
    "Request",
    "Reset",
    "Resolve",
    "Restart",
    "Restore",
    "Resume",
    "Revoke",
    "Save",
    "Search",
    "Select",
    "Send",
    "Set",
    "Show",
    "Split",
    "Start",
    "Stop",
    "Submit",
    "Suspend",
    "Switch",
    "Sync",
    "Test",
    "Trace",
    "Unblock",
    "Uninstall",
    "Unlock",
    "Unpublish",
    "Unregister",
    "Update",
    "Use",
    "Wait",
    "Write",
];

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    let shell = run.site.and_then(|site| site.powershell.as_ref());
    let allowed = |name: &str| shell.is_some_and(|shell| shell.allow.iter().any(|a| a.eq_ignore_ascii_case(name)));
    for call in run.calls().iter().filter(|call| call.name() == "ps") {
        let (Some(index), Some(value)) = (call.index_of("cmdlet"), call.argument("cmdlet")) else { continue };
        for value in value.alternatives() {
            let Value::Text(text) = value else { continue };
            let Some(name) = text.as_constant() else { continue };
            // another rule's, and mended first
            if plain(&name).is_some() || allowed(&name) {
                continue;
            }
            let known = cmdlets::find(&name);
            let meant = if known.is_none() { meant(&name) } else { None };
            let allow = format!("add `{name}` to `[powershell] allow` in the site file");
            let (message, help) = match (known, meant, shell) {
                (Some(known), _, Some(_)) if known.class == cmdlets::Class::Changes => (format!("the site does not allow `{name}`"), allow),
                (Some(_), _, _) => continue,
                (None, _, _) if name.trim().is_empty() || name.contains(char::is_whitespace) => {
                    let help = "name the cmdlet alone, and give its parameters as a map: `ps(\"Get-CsPool\", #{ Identity: … })`";
                    (format!("`{name}` is no cmdlet's name"), help.to_owned())
                }
                (None, Some(meant), _) => (format!("no cmdlet `{name}` is known"), format!("write `{meant}`")),
                (None, None, _) if name.eq_ignore_ascii_case("Get-CsPersistentChatActiveServer") => {
                    let help = "read the list from `ps(\"Get-CsService\", #{ PersistentChatServer: true })`, property `ActiveServers`";
                    (format!("there is no cmdlet `{name}`"), help.to_owned())
                }
                (None, None, Some(_)) => {
                    (format!("no cmdlet `{name}` is known, and the site does not allow it"), format!("correct the name, or {allow}"))
                }
                (None, None, None) => continue,
            };
            for (file, span) in places(run, call, index, None, text) {
                let source = &run.script.files[file];
                let mut finding = UNKNOWN_CMDLET.finding(source, span.clone(), message.clone(), "this cmdlet", help.clone());
                if let Some(meant) = meant
                    && source.text[span.clone()] == *name
                {
                    finding.fixes.push(Edit { span, text: meant.to_owned() });
                }
                once(findings, finding);
            }
        }
    }
}

/// The cmdlet that was surely meant: one or two letters away, and not by its verb.
fn meant(name: &str) -> Option<&'static str> {
    let meant = cmdlets::suggest(name)?;
    let near = strsim::damerau_levenshtein(&name.to_ascii_lowercase(), &meant.to_ascii_lowercase()) <= 2;
    let (verb, right) = (name.split('-').next()?, meant.split('-').next()?);
    let slip = verb.eq_ignore_ascii_case(right) || !VERBS.iter().any(|known| known.eq_ignore_ascii_case(verb));
    (near && slip).then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_cmdlet_of_the_shell_is_no_slip_of_the_pen() {
        assert_eq!(meant("Set-CsPersistantChatState"), Some("Set-CsPersistentChatState"));
        assert_eq!(meant("Gte-CsPool"), Some("Get-CsPool"));
        for other in
            ["Set-CsAdminRole", "Import-CsPersistentChatData", "Get-CsPersistentChatRoom", "Get-CsUser", "Get-CsPersistentChatActiveServer"]
        {
            assert_eq!(meant(other), None, "{other}");
        }
    }
}
