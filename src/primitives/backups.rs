//! `backups`: what lies in a folder.

use std::path::PathBuf;
use std::time::SystemTime;

use rhai::{Dynamic, ImmutableString};
use serde_json::{Value, json};

use super::values::{Row, Rows, Time};
use super::{Call, Class, Parameter, Primitive, Raised, Type};
use crate::backups::{BackupsError, File, Listing, LogName, list};
use crate::effect::{self, Cause, Outcome, Story};

pub(super) const FOLDER: Parameter = Parameter::required("folder", Type::Text, "as this program sees it, absolute");

pub static BACKUPS: Primitive = Primitive {
    name: "backups",
    parameters: &[FOLDER, Parameter::optional("matching", Type::Text, "file names, with `*` and `?`; `*.trn` unless given")],
    options: &[],
    class: Class::Reads,
    returns: "`.files`: rows of `name`, `bytes`, `modified` (UTC), oldest first; `.free_bytes`, `()` if the volume does not say; `.writable`, whether the system says that this account may write there",
    doc: "Lists the backup files in a folder, by the time in their names, then by name.",
    examples: &[r#"let share = backups(site.backups.share); note(`${share.files.len()} log backups, ${share.free_bytes} bytes free`);"#],
    run,
};

impl Outcome for Listing {
    fn already() -> Self {
        unreachable!("a read has no done_when")
    }
    fn record(&self) -> Value {
        let files: Vec<Value> =
            self.files.iter().map(|f| json!({ "name": f.name, "bytes": f.bytes, "modified": time(f.modified).to_string() })).collect();
        json!({ "files": files, "free_bytes": self.free_bytes, "writable": self.writable })
    }
    fn replay(record: Value) -> Result<Self, String> {
        let file = |file: &Value| {
            let name = file["name"].as_str()?.to_owned();
            let modified: jiff::Timestamp = file["modified"].as_str()?.parse().ok()?;
            Some(File { log: LogName::parse(&name), bytes: file["bytes"].as_u64()?, modified: since_epoch(modified)?, name })
        };
        let files = record["files"].as_array().and_then(|files| files.iter().map(file).collect());
        let files = files.ok_or("its outcome is not a listing")?;
        Ok(Self {
            folder: PathBuf::new(),
            files,
            free_bytes: record["free_bytes"].as_u64(),
            writable: record["writable"].as_bool().unwrap_or(true),
        })
    }
}

fn since_epoch(at: jiff::Timestamp) -> Option<SystemTime> {
    let since = at.duration_since(jiff::Timestamp::UNIX_EPOCH);
    match since.is_negative() {
        false => SystemTime::UNIX_EPOCH.checked_add(since.unsigned_abs()),
        true => SystemTime::UNIX_EPOCH.checked_sub(since.unsigned_abs()),
    }
}

/// A file's time stamp in UTC.
pub(super) fn time(modified: SystemTime) -> Time {
    let timestamp = jiff::Timestamp::try_from(modified).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Time::Offset(jiff::tz::Offset::UTC.to_datetime(timestamp), 0)
}

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let folder = call.folder(0, None)?;
    let matching = Some(call.text(1)).filter(|m| !m.is_empty()).unwrap_or_else(|| "*.trn".to_owned());
    let effect = call.effect(&BACKUPS, effect::Class::Reads, None, format!("list {matching} in {}", folder.display()));
    let listing = call.run.effects.perform(&effect, None, |_| async move { blocking(move || list(&folder, &matching)).await })?;
    let files = listing.files.iter().map(|file| {
        row([("name", file.name.as_str().into()), ("bytes", count(file.bytes)), ("modified", Dynamic::from(time(file.modified)))])
    });
    let mut files = Rows::of(files.collect());
    if files.rows.is_empty() {
        files.columns = std::sync::Arc::new(["name", "bytes", "modified"].map(ImmutableString::from).to_vec());
    }
    Ok(Dynamic::from(row([
        ("files", Dynamic::from(files)),
        ("free_bytes", listing.free_bytes.map_or(Dynamic::UNIT, count)),
        ("writable", listing.writable.into()),
    ])))
}

/// Runs what blocks on a thread where that is allowed.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, BackupsError> + Send + 'static) -> Result<T, Cause> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(cause),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// A failure about files as an effect's.
fn cause(error: BackupsError) -> Cause {
    let partly = error.result().map(|result| result.copied.len()).filter(|n| *n > 0);
    let partly = partly.map(|n| if n == 1 { "1 file was copied".to_owned() } else { format!("{n} files were copied") });
    Cause { story: Box::new(Story { partly, exact: true, ..Story::default() }), ..Cause::new(error) }
}

pub(super) fn row<const N: usize>(columns: [(&str, Dynamic); N]) -> Row {
    Row(std::sync::Arc::new(columns.into_iter().map(|(name, value)| (name.into(), value)).collect()))
}

pub(super) fn count(n: u64) -> Dynamic {
    i64::try_from(n).unwrap_or(i64::MAX).into()
}
