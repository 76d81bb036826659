//! See `pool-state-implicit.md`.

use crate::check::acts::{Given, cmdlets_of, parameter};
use crate::check::{Finding, Look, Rule, Run, Severity};

pub static POOL_STATE_IMPLICIT: Rule =
    Rule { slug: "pool-state-implicit", severity: Severity::Error, page: include_str!("pool-state-implicit.md"), look: Look::Calls(check) };

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for event in &run.events {
        let call = &event.call;
        let implicit = cmdlets_of(call).0.into_iter().any(|cmdlet| {
            cmdlet.name == "Set-CsPersistentChatState"
                && parameter(call, cmdlet, "PoolState").iter().any(|given| matches!(given, Given::Missing))
        });
        if implicit {
            findings.push(POOL_STATE_IMPLICIT.finding(
                &run.script.files[call.file],
                run.argument_span(call, 0),
                "`Set-CsPersistentChatState` without `PoolState` sets the pool to `Normal`",
                "means PoolState Normal",
                "add `PoolState: \"FailedOver\"`, or `PoolState: \"Normal\"` if that is what is meant",
            ));
        }
    }
}
