//! See `unknown-server.md`.

use super::unknown_site_key::tested;
use crate::check::calls::{once, places};
use crate::check::value::Value;
use crate::check::{Call, Edit, Finding, Look, Rule, Run, Severity};
use crate::script::nearest;
use crate::site::Site;

pub static UNKNOWN_SERVER: Rule =
    Rule { slug: "unknown-server", severity: Severity::Error, page: include_str!("unknown-server.md"), look: Look::Calls(check) };

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    let Some(site) = run.site else { return };
    // asked for only when a server is not there
    let asked = std::cell::OnceCell::new();
    let asked = || asked.get_or_init(|| tested(&run.script.files)).as_slice();
    for call in run.calls() {
        if let (Some(index), Some(value)) = (call.index_of("server"), call.argument("server")) {
            judge(run, call, index, None, value, site, &asked, findings);
        }
        if let (Some(index), Some(value)) = (call.options_at(), call.option("run_on")) {
            judge(run, call, index, Some("run_on"), value, site, &asked, findings);
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one argument of one call, with all that it is judged by")]
fn judge<'r>(
    run: &Run<'_>,
    call: &Call,
    index: usize,
    key: Option<&str>,
    value: &Value,
    site: &Site,
    asked: &dyn Fn() -> &'r [String],
    findings: &mut Vec<Finding>,
) {
    for value in value.alternatives() {
        let Value::Text(text) = value else { continue };
        let Some(name) = text.as_constant() else { continue };
        if site.sql.contains_key(&name) || asked().contains(&name) {
            continue;
        }
        let known: Vec<&str> = site.sql.keys().map(String::as_str).collect();
        let near = nearest(&name, known.iter().copied());
        let help = match near {
            Some(near) => format!("write `{near}`"),
            None => format!("name it in the site file as `[sql.{name}]`, or write one of: {}", known.join(", ")),
        };
        for (file, span) in places(run, call, index, key, text) {
            let source = &run.script.files[file];
            let message = format!("the site has no server `{name}`");
            let mut finding = UNKNOWN_SERVER.finding(source, span.clone(), message, "not in `[sql]`", help.clone());
            // the literal itself, not an expression that it came out of
            if let Some(near) = near
                && source.text[span.clone()] == *name
            {
                finding.fixes.push(Edit { span, text: near.to_owned() });
            }
            once(findings, finding);
        }
    }
}
