//! `copy_backups`: copies what is not yet copied.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rhai::Dynamic;

use super::backups::{blocking, count, row};
use super::call::Plain;
use super::sql::{ALREADY, DONE_WHEN, WITHIN};
use super::values::Rows;
use super::{Call, Class, Parameter, Primitive, Raised, Type};
use crate::backups::{Copied, CopyOptions, DEFAULT_WORKERS, copy};
use crate::effect::{self, Effect, Work};
use crate::journal::Progress;

pub static COPY_BACKUPS: Primitive = Primitive {
    name: "copy_backups",
    parameters: &[Parameter::required("options", Type::Options, "")],
    options: &[
        Parameter::required("from", Type::Text, "the folder that is read, as this program sees it"),
        Parameter::required("to", Type::Text, "the folder that is written to"),
        Parameter::optional("matching", Type::Text, "file names, with `*` and `?`; `*.trn` unless given"),
        Parameter::optional(
            "newer_than",
            Type::Text,
            "the last restored file, by name or path: what lies more than two files before it is not needed",
        ),
        Parameter::optional("workers", Type::Integer, "files in flight at once, 1 to 16; 4 unless given"),
        Parameter::optional("verify", Type::Boolean, "read back what was written and compare; true unless given"),
        Parameter::optional("create", Type::Boolean, "make the last part of `to` if it is missing; false unless given"),
        Parameter::optional(
            "wait",
            Type::Duration,
            "how long files that still grow at the source are waited for; unless given they are tried twice and left there, with a warning",
        ),
        DONE_WHEN,
        WITHIN,
        ALREADY,
    ],
    class: Class::Changes,
    returns: "`.copied`, `.skipped`, `.refused`: rows with `name` and `bytes` or why; `.bytes`, `.seconds`",
    doc: "Copies the backup files that are not there yet, oldest first, each under a temporary name until it is whole, flushed and compared. A `.wrk` file is never \
          touched and another file of the same name never overwritten. What could not be copied is named, and fails the effect after the rest is done.",
    examples: &[
        r#"let done = copy_backups(#{ from: site.backups.share, to: site.backups.copy_to }); note(`${done.copied.len()} copied`);"#,
    ],
    run,
};

impl Plain for Copied {}

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let workers = call.integer_option("workers").unwrap_or(DEFAULT_WORKERS as i64);
    let Some(workers) = usize::try_from(workers).ok().filter(|n| (1..=16).contains(n)) else {
        return call.wrong(0, Some("workers"), format!("{workers} workers are not possible"), "give a number from 1 to 16");
    };
    let mut options = CopyOptions::new(call.folder(0, Some("from"))?, call.folder(0, Some("to"))?);
    options.workers = workers;
    options.newer_than = call.text_option("newer_than");
    options.patience = call.duration_option("wait").unwrap_or_default();
    options.verify = call.options.get("verify").is_none_or(|v| v.as_bool().unwrap_or(true));
    if let Some(matching) = call.text_option("matching") {
        options.matching = matching;
    }
    let create = call.flag("create");
    let summary = format!("copy {} from {} to {}", options.matching, options.from.display(), options.to.display());
    let effect = Effect { looks: true, ..call.effect(&COPY_BACKUPS, effect::Class::Changes, None, summary) };
    let copied = call.with_test(|test| {
        call.run.effects.perform(&effect, test, |Work { report, cancel }| async move {
            let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
            let stopped = stop.0.clone();
            let copying = blocking(move || {
                if create {
                    make(&options.to);
                }
                let progress = move |p: crate::backups::CopyProgress| {
                    let fraction = (p.bytes_total > 0).then(|| p.bytes as f64 / p.bytes_total as f64);
                    let text = format!("copying {} ({} of {} files)", p.name, p.files, p.files_total);
                    report(Progress { bytes: Some((p.bytes, p.bytes_total)), ..Progress::new(text, fraction) });
                };
                copy(&options, &progress, &stopped)
            });
            let mut copying = std::pin::pin!(copying);
            tokio::select! {
                biased;
                copied = &mut copying => copied,
                // what is under way is taken away by whoever copies it, and then nothing half-done is left
                () = cancel.cancelled() => {
                    stop.0.store(true, Ordering::Relaxed);
                    copying.await
                }
            }
        })
    })?;
    for name in &copied.grown {
        let text = format!("{name} still grows at its source and was left there: copy again later, it may be the newest log there is");
        call.run.effects.note(crate::journal::Level::Warn, &text)?;
    }
    for name in &copied.work {
        call.run.effects.note(
            crate::journal::Level::Note,
            &format!("{name} was left alone: a backup in progress, or one that its primary never renamed"),
        )?;
    }
    let files = |names: Vec<(&str, Dynamic)>, second: &str| {
        Rows::of(names.into_iter().map(|(name, value)| row([("name", name.into()), (second, value)])).collect())
    };
    Ok(Dynamic::from(row([
        ("copied", Dynamic::from(files(copied.copied.iter().map(|f| (f.name.as_str(), count(f.bytes))).collect(), "bytes"))),
        ("skipped", Dynamic::from(files(copied.skipped.iter().map(|f| (f.name.as_str(), count(f.bytes))).collect(), "bytes"))),
        (
            "refused",
            Dynamic::from(files(copied.refused.iter().map(|f| (f.name.as_str(), f.difference.to_string().into())).collect(), "why")),
        ),
        ("bytes", count(copied.bytes)),
        ("seconds", copied.seconds.into()),
    ])))
}

/// Makes the last part of a path; what is wrong with the rest, the copy itself says best.
fn make(folder: &PathBuf) {
    if let Err(error) = std::fs::create_dir(folder) {
        tracing::debug!(%error, folder = %folder.display(), "not made");
    }
}

/// Tells the copying threads to give up when nobody waits for them any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
