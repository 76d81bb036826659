//! `restore_logs`: works out the chain, proves that there is no gap, applies it in order.

use rhai::Dynamic;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::backups::{FOLDER, row};
use super::call::{plain_record, plain_replay};
use super::log_chain::{DATABASE, FOLDER_ON_SERVER, KEEP, Request, UNDO_FILE, cause, guid, in_words, left_out, loss_record, loss_row};
use super::sql::{ALREADY, DONE_WHEN, SERVER, WITHIN};
use super::values::{Rows, Time};
use super::{Call, Class, Parameter, Primitive, Raised, Type};
use crate::effect::{self, Effect, Outcome, Work};
use crate::sqlserver::restore::{Hooks, Progress, Restored, apply, plan};

pub static RESTORE_LOGS: Primitive = Primitive {
    name: "restore_logs",
    parameters: &[SERVER, DATABASE, FOLDER, Parameter::optional("options", Type::Options, "")],
    options: &[
        FOLDER_ON_SERVER,
        KEEP,
        UNDO_FILE,
        Parameter::optional(
            "alone",
            Type::Boolean,
            "end the readers of a standby in the batch of the first RESTORE: they come back faster than they are killed",
        ),
        DONE_WHEN,
        WITHIN,
        ALREADY,
    ],
    class: Class::Changes,
    returns: "`.applied`: rows of file, LSNs and seconds; `.skipped`: a count; `.left_out`: rows of file and why; `.last_lsn`; `.last_backup_finish`; `.family_guid`; \
              `.loss`: the loss statement, `.loss.lines` as text",
    doc: "Works out the chain by LSN and recovery fork, proves that there is no gap, and applies it in order, WITH NORECOVERY on every log backup. A gap stops it before the \
          first RESTORE and names the missing LSNs. The redo point is read back after each; nothing to apply is a success. Recovery is never its business.",
    examples: &[r#"copy_backups(#{ from: site.backups.share, to: site.backups.copy_to });
let done = restore_logs("backup", site.database, site.backups.copy_to, #{ folder_on_server: site.backups.copy_to_on_server });
for line in done.loss.lines { note(line); }"#],
    run,
};

#[derive(Serialize, Deserialize)]
struct Done {
    #[serde(flatten)]
    restored: Restored,
    family_guid: Option<uuid::Uuid>,
}

impl Outcome for Option<Done> {
    fn already() -> Self {
        None
    }
    fn record(&self) -> Value {
        let mut record = plain_record(self);
        if let Some(done) = self {
            record["loss"] = loss_record(&done.restored.loss);
        }
        record
    }
    fn replay(record: Value) -> Result<Self, String> {
        plain_replay(record)
    }
}

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let request = Request::of(call)?;
    let summary = format!("apply the next log backups to {}", request.database);
    let effect = call.effect(&RESTORE_LOGS, effect::Class::Changes, Some(request.server.clone()), summary);
    let effect = Effect { looks: true, ..effect };
    let (mut instance, headers, run) = (request.instance(call), call.run.headers.clone(), call.run.clone());
    let done: Option<Done> = call.with_test(|test| {
        call.run.effects.perform(&effect, test, |Work { report, cancel }| async move {
            instance.cancel = Some(cancel);
            let files = request.files().await?;
            let order = request.order(&files);
            let progress = |at: Progress<'_>| {
                let fraction = match &at {
                    Progress::Restoring { number, of, percent, .. } => Some((*number as f64 - 1.0 + percent / 100.0) / *of as f64),
                    _ => None,
                };
                report(crate::journal::Progress::new(in_words(&at), fraction));
            };
            // a request to stop is heeded between two files: each file is whole or not begun
            let stop = || run.effects.stop_requested();
            let hooks = Hooks { stop: &stop, progress: &progress };
            let chain = plan(&instance, &order, &headers, hooks).await.map_err(cause)?;
            let restored = apply(&instance, &order, &chain, hooks).await.map_err(cause)?;
            Ok(Some(Done { restored, family_guid: chain.plan.family }))
        })
    })?;
    let Some(Done { restored, family_guid }) = done else { return Ok(Dynamic::UNIT) };
    call.run.effects.set_loss(loss_record(&restored.loss));
    let applied = restored.applied.iter().map(|set| {
        row([
            ("file", set.file.as_str().into()),
            ("position", set.position.into()),
            ("first_lsn", Dynamic::from(set.first_lsn)),
            ("last_lsn", Dynamic::from(set.last_lsn)),
            ("seconds", set.seconds.into()),
        ])
    });
    Ok(Dynamic::from(row([
        ("applied", Dynamic::from(Rows::of(applied.collect()))),
        ("skipped", (restored.skipped as i64).into()),
        ("left_out", Dynamic::from(left_out(&restored.left_out))),
        ("last_lsn", Dynamic::from(restored.last_lsn)),
        ("last_backup_finish", restored.last_backup_finish.map_or(Dynamic::UNIT, |at| Dynamic::from(Time::DateTime(at)))),
        ("family_guid", guid(family_guid)),
        ("loss", Dynamic::from(loss_row(&restored.loss))),
    ])))
}
