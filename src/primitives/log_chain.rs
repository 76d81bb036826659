//! `log_chain`: what `restore_logs` would do. What both share stands here: the order, the listing, and the values.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::DateTime;
use rhai::Dynamic;
use serde_json::Value;

use super::backups::{FOLDER, blocking, count, row};
use super::call::{plain_record, plain_replay};
use super::sql::{SERVER, server, told};
use super::values::{Row, Rows, Time};
use super::{Call, Class, Parameter, Primitive, Raised, Type};
use crate::backups::list;
use crate::effect::{self, Cause, Outcome, Story, Work};
use crate::sqlserver::chain::{BackupSet, Gap, LeftOut};
use crate::sqlserver::chain_failure::ChainFailure;
use crate::sqlserver::headers::Listed;
use crate::sqlserver::loss::Loss;
use crate::sqlserver::restore::{Chain, Hooks, Keep, OnServer, Order, Progress, plan};
use crate::wire::lsn::Lsn;

pub(super) const DATABASE: Parameter = Parameter::required("database", Type::Text, "the database that is being restored");
pub(super) const FOLDER_ON_SERVER: Parameter =
    Parameter::optional("folder_on_server", Type::Text, "the same folder as the SQL Server sees it; as `folder` unless given");
pub(super) const KEEP: Parameter =
    Parameter::optional("keep", Type::Word(&["norecovery", "standby"]), "how the database is left: `\"norecovery\"` unless given");
pub(super) const UNDO_FILE: Parameter =
    Parameter::optional("undo_file", Type::Text, "the standby's undo file, as the SQL Server sees it; needed for `\"standby\"`");

pub static LOG_CHAIN: Primitive = Primitive {
    name: "log_chain",
    parameters: &[SERVER, DATABASE, FOLDER, Parameter::optional("options", Type::Options, "")],
    options: &[FOLDER_ON_SERVER, KEEP, UNDO_FILE],
    class: Class::Reads,
    returns: "`.sets`: rows in the order of application; `.gap`: `()` or a row; `.refused`: `()` or why `restore_logs` would apply nothing of it, a row of `text` and `help`; `.left_out`: rows of file and why; `.loss`: the loss statement, `.loss.lines` as text; \
              `.redo_lsn`, `.end_lsn`, `.family_guid`; `.version_major` of the server that wrote the sets, `()` if there are none",
    doc: "Works out which log backups come next, by LSN and recovery fork and never by name, exactly as `restore_logs` would, and changes nothing. Headers are read \
          by the SQL Server, and only of files that can matter.",
    examples: &[
        r#"let chain = log_chain("backup", site.database, site.backups.copy_to, #{ folder_on_server: site.backups.copy_to_on_server });
note(`${chain.sets.len()} log backups come next, up to LSN ${chain.end_lsn}`);"#,
    ],
    run,
};

/// What is asked for, with everything that it borrows.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) server: String,
    pub(super) database: String,
    folder: PathBuf,
    folder_on_server: String,
    keep: Keep,
    alone: bool,
}

impl Request {
    pub(super) fn of(call: &Call<'_, '_>) -> Result<Self, Raised> {
        let (server, folder) = (server(call)?, call.folder(2, None)?);
        let keep = match (call.text_option("keep").as_deref(), call.text_option("undo_file")) {
            (Some("standby"), Some(undo_file)) => Keep::Standby { undo_file },
            (Some("standby"), None) => {
                return call.wrong(
                    3,
                    Some("keep"),
                    "standby needs an undo file",
                    "add `undo_file: \"...\"`, a path as the SQL Server sees it",
                );
            }
            _ => Keep::NoRecovery,
        };
        let folder_on_server = call.text_option("folder_on_server").unwrap_or_else(|| call.text(2));
        Ok(Self { server, database: call.text(1), folder, folder_on_server, keep, alone: call.flag("alone") })
    }

    /// What lies in the folder now.
    pub(super) async fn files(&self) -> Result<Vec<Listed>, Cause> {
        let folder = self.folder.clone();
        let listing = blocking(move || list(&folder, MATCHING)).await?;
        Ok(listing
            .files
            .into_iter()
            .map(|file| Listed { name: file.name, bytes: file.bytes, modified: jiff::Timestamp::try_from(file.modified).ok() })
            .collect())
    }

    pub(super) fn order<'a>(&'a self, files: &'a [Listed]) -> Order<'a> {
        Order {
            server: &self.server,
            database: &self.database,
            folder_on_server: &self.folder_on_server,
            files,
            matching: MATCHING,
            keep: self.keep.clone(),
            alone: self.alone,
            now: jiff::Timestamp::now(),
        }
    }

    pub(super) fn instance(&self, call: &Call<'_, '_>) -> OnServer {
        OnServer { servers: call.run.servers.clone(), key: self.server.clone(), cancel: None, on_message: None }
    }
}

const MATCHING: &str = "*.trn";

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let request = Request::of(call)?;
    let summary = format!("which log backups in {} come next for {}", request.folder.display(), request.database);
    let effect = call.effect(&LOG_CHAIN, effect::Class::Reads, Some(request.server.clone()), summary);
    let (instance, headers, asked) = (request.instance(call), call.run.headers.clone(), request.clone());
    let chain = call.run.effects.perform(&effect, None, |Work { report, .. }| async move {
        let files = asked.files().await?;
        let progress = |at: Progress<'_>| report(crate::journal::Progress::new(in_words(&at), None));
        plan(&instance, &asked.order(&files), &headers, Hooks { stop: &|| false, progress: &progress }).await.map_err(cause)
    })?;
    Ok(Dynamic::from(row([
        ("sets", Dynamic::from(Rows::of(chain.plan.apply.iter().map(|set| set_row(set)).collect()))),
        ("gap", chain.plan.gap.as_ref().map_or(Dynamic::UNIT, gap_row)),
        ("refused", chain.refusal(&request.order(&[])).map_or(Dynamic::UNIT, |refusal| refused_row(&refusal))),
        ("left_out", Dynamic::from(left_out(&chain.plan.left_out))),
        ("loss", Dynamic::from(loss_row(&chain.loss))),
        ("redo_lsn", Dynamic::from(chain.redo.lsn)),
        ("end_lsn", Dynamic::from(chain.plan.end)),
        ("family_guid", guid(chain.plan.family)),
        ("version_major", chain.plan.apply.iter().map(|set| set.version_major).min().map_or(Dynamic::UNIT, Dynamic::from)),
    ])))
}

impl Outcome for Chain {
    fn already() -> Self {
        unreachable!("a read has no done_when")
    }
    fn record(&self) -> Value {
        let mut record = plain_record(self);
        record["loss"] = loss_record(&self.loss);
        record
    }
    fn replay(record: Value) -> Result<Self, String> {
        plain_replay(record)
    }
}

/// A chain failure as an effect's.
pub(super) fn cause(failure: ChainFailure) -> Cause {
    Cause {
        number: failure.failure().and_then(crate::sqlserver::Failure::number),
        in_doubt: failure.in_doubt(),
        story: Box::new(Story {
            title: Some(failure.title()),
            state: failure.state(),
            partly: failure.partly(),
            exact: true,
            ..told(failure.failure().map_or(&[], |failure| failure.messages()))
        }),
        diagnostic: Arc::new(failure),
    }
}

pub(super) fn in_words(progress: &Progress<'_>) -> String {
    match progress {
        Progress::Header { asked, file } => format!("reading header {asked}: {file}"),
        Progress::Restoring { number, of, set, percent } => {
            format!("restoring {number} of {of}, {percent:.0} % of {} to LSN {}", set.title(), set.last_lsn)
        }
        Progress::Applied { number, of, redo, .. } => format!("restored {number} of {of}, redo point {redo}"),
        Progress::Waiting { session, program } => format!("session {session} ({program}) still restores: waiting for it"),
    }
}

fn time(at: Option<DateTime>) -> Dynamic {
    at.map_or(Dynamic::UNIT, |at| Dynamic::from(Time::DateTime(at)))
}

pub(super) fn guid(value: Option<uuid::Uuid>) -> Dynamic {
    value.map_or(Dynamic::UNIT, |guid| guid.hyphenated().to_string().to_uppercase().into())
}

fn lsn(value: Lsn) -> Dynamic {
    Dynamic::from(value)
}

fn set_row(set: &BackupSet) -> Row {
    row([
        ("file", set.file.as_ref().into()),
        ("position", set.position.into()),
        ("first_lsn", lsn(set.first_lsn)),
        ("last_lsn", lsn(set.last_lsn)),
        ("start", time(set.start)),
        ("finish", time(set.finish)),
        ("bytes", count(set.bytes)),
    ])
}

fn gap_row(gap: &Gap) -> Dynamic {
    let text = |value: &Option<String>| value.as_deref().map_or(Dynamic::UNIT, |v| v.into());
    Dynamic::from(row([
        ("from_lsn", lsn(gap.from)),
        ("to_lsn", lsn(gap.to)),
        ("since", time(gap.since)),
        ("until", time(gap.until)),
        ("before", text(&gap.before)),
        ("after", text(&gap.after)),
        ("text", gap.to_string().into()),
    ]))
}

fn refused_row(refusal: &ChainFailure) -> Dynamic {
    let help = miette::Diagnostic::help(refusal).map(|help| help.to_string()).unwrap_or_default();
    Dynamic::from(row([("text", refusal.to_string().into()), ("help", help.into())]))
}

/// What is left out and not ordinary is for people; what every healthy folder holds is only counted.
pub(super) fn left_out(left: &[LeftOut]) -> Rows {
    Rows::of(
        left.iter()
            .filter(|l| !l.reason.is_ordinary())
            .map(|l| row([("file", l.set.title().into()), ("why", l.reason.to_string().into())]))
            .collect(),
    )
}

pub(super) fn loss_row(loss: &Loss) -> Row {
    let seconds = |value: Option<i64>| value.map_or(Dynamic::UNIT, Dynamic::from);
    row([
        ("safe_until", time(loss.safe_until)),
        ("uncertain_until", time(loss.uncertain_until)),
        ("at_least_seconds", seconds(loss.at_least_seconds)),
        ("at_most_seconds", seconds(loss.at_most_seconds)),
        (
            "could_not_serve",
            Dynamic::from(Rows::of(
                loss.could_not_serve
                    .iter()
                    .map(|(file, why)| row([("file", file.as_str().into()), ("why", why.as_str().into())]))
                    .collect(),
            )),
        ),
        ("lines", loss.lines().into_iter().map(Dynamic::from).collect::<Vec<_>>().into()),
    ])
}

/// The loss statement as records and `run_finished` carry it.
pub(super) fn loss_record(loss: &Loss) -> Value {
    let mut record = serde_json::to_value(loss).expect("a loss statement is plain data");
    record["lines"] = loss.lines().into();
    record
}
