//! Where a database that is being restored stands: state, redo point, recovery fork, lineage. Called by `restore`, before
//! the plan and after each log backup; the redo point is always read, never computed.

use std::time::Duration;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::chain_failure::{ChainFailure, World};
use super::headers::{bit, datetime, guid, int, lsn, text};
use super::restore::Instance;
use super::value::{Row, Value};
use crate::wire::lsn::Lsn;

/// What the server says of the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Redo {
    pub lsn: Lsn,
    pub fork: Uuid,
    pub in_standby: bool,
    /// From msdb; none if msdb does not know, cannot be asked, or speaks of another recovery fork.
    pub last: Option<LastRestored>,
}

/// The last set that was restored, from `msdb..restorehistory` and `msdb..backupset`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastRestored {
    pub last_lsn: Option<Lsn>,
    pub fork: Option<Uuid>,
    pub family: Option<Uuid>,
    /// Name of the database that was backed up.
    pub database: Option<String>,
    /// Times of the server that wrote the backup, without zone.
    pub start: Option<DateTime>,
    pub finish: Option<DateTime>,
    /// File name without folder.
    pub file: Option<String>,
}

/// Catalogue and msdb answer at once, or something is wrong (an msdb that is never purged is slow).
pub(super) const LIMIT: Duration = Duration::from_secs(10);

const STATE: &str = "SELECT name, database_id, state, state_desc, is_in_standby FROM sys.databases WHERE name = @database";

const REDO: &str = "SELECT file_id, redo_start_lsn, redo_start_fork_guid FROM sys.master_files \
                    WHERE database_id = @id AND type = 0";

// type V is a VERIFYONLY: nothing was restored
const LAST: &str = "SELECT TOP (1) h.restore_history_id, h.restore_type, s.database_name, s.family_guid, s.last_lsn, \
                    s.last_recovery_fork_guid, s.backup_start_date, s.backup_finish_date, m.physical_device_name \
                    FROM msdb.dbo.restorehistory AS h \
                    JOIN msdb.dbo.backupset AS s ON s.backup_set_id = h.backup_set_id \
                    LEFT JOIN msdb.dbo.backupmediafamily AS m ON m.media_set_id = s.media_set_id \
                    WHERE h.destination_database_name = @database AND h.restore_type IN ('D', 'I', 'L') \
                    ORDER BY h.restore_history_id DESC";

/// What msdb says of the last restored set; none if it does not know or cannot be asked.
pub(super) async fn last_restored<I: Instance>(instance: &I, database: &str) -> Option<LastRestored> {
    let answer = instance.read(LAST, vec![("database", Value::Text(database.to_owned()))], LIMIT).await.ok()?;
    answer.sets.iter().flat_map(|set| &set.rows).next().map(from_row)
}

/// Reads state and redo point; `history`: msdb too, which is slow on servers that never purge it.
pub(super) async fn read<I: Instance>(
    instance: &I,
    server: &str,
    database: &str,
    world: &World,
    history: bool,
) -> Result<Redo, ChainFailure> {
    let ask = async |text: &str, params: Vec<(&'static str, Value)>, doing: &'static str| {
        instance.read(text, params, LIMIT).await.map_err(|failure| ChainFailure::Server {
            doing: doing.to_owned(),
            world: Box::new(world.clone()),
            failure: Box::new(failure),
        })
    };
    let name = || vec![("database", Value::Text(database.to_owned()))];
    let answer = ask(STATE, name(), "reading the state of the database").await?;
    let Some(row) = answer.sets.iter().flat_map(|set| &set.rows).next() else {
        return Err(ChainFailure::NoDatabase { server: server.to_owned(), database: database.to_owned() });
    };
    let in_standby = bit(row, "is_in_standby");
    match (int(row, "state"), in_standby) {
        (Some(1), _) | (Some(0), true) => {}
        (Some(0), false) => {
            return Err(ChainFailure::AlreadyRecovered {
                server: server.to_owned(),
                database: database.to_owned(),
                applied: world.applied_so_far(),
                lost: String::new(),
            });
        }
        (state, _) => {
            let state = text(row, "state_desc").map_or_else(|| format!("{state:?}"), str::to_owned);
            return Err(ChainFailure::not_restoring(server, database, &state));
        }
    }
    let unclear = |why: String| ChainFailure::UnclearRedo { server: server.to_owned(), database: database.to_owned(), why };
    if in_standby {
        // redo_start_lsn is NULL while readers may be inside: msdb is the only witness
        let answer = ask(LAST, name(), "reading the restore history in msdb").await?;
        let last = answer.sets.iter().flat_map(|set| &set.rows).next().map(from_row);
        let Some(last) = last else { return Err(unclear("it is in STANDBY, and msdb holds no restore history of it".into())) };
        let (Some(lsn), Some(fork)) = (last.last_lsn, last.fork) else {
            return Err(unclear("it is in STANDBY, and the restore history in msdb names no LSN or fork".into()));
        };
        return Ok(Redo { lsn, fork, in_standby, last: Some(last) });
    }

    let id = int(row, "database_id").ok_or_else(|| unclear("sys.databases gave no database_id".into()))?;
    let answer = ask(REDO, vec![("id", Value::Int(id))], "reading the redo point").await?;
    let files: Vec<(Option<Lsn>, Option<Uuid>)> =
        answer.sets.iter().flat_map(|set| &set.rows).map(|row| (lsn(row, "redo_start_lsn"), guid(row, "redo_start_fork_guid"))).collect();
    let (lsn, fork) = match files.first() {
        None => {
            return Err(unclear(
                "sys.master_files shows no data file of it: the login lacks VIEW ANY DEFINITION, or the full backup was never restored"
                    .into(),
            ));
        }
        Some(&(Some(lsn), Some(fork))) if files.iter().all(|file| *file == (Some(lsn), Some(fork))) => (lsn, fork),
        _ => {
            let lsns = || files.iter().filter_map(|file| file.0);
            let mut forks: Vec<Uuid> = files.iter().filter_map(|file| file.1).collect();
            forks.sort();
            forks.dedup();
            return Err(unclear(match (lsns().min(), lsns().max()) {
                _ if files.iter().any(|file| file.0.is_none() || file.1.is_none()) => {
                    "a data file of it has no redo point: it is not waiting for log like the others".into()
                }
                _ if forks.len() > 1 => format!("its data files stand on {} recovery forks", forks.len()),
                (Some(least), Some(most)) => format!("its data files stand at different LSNs, from {least} to {most}"),
                _ => "its data files have no redo point".into(),
            }));
        }
    };
    let last = if history {
        // what msdb says only helps to tell lineage and to guess names: without it, the fork still binds the chain
        last_restored(instance, database).await.filter(|last| last.fork == Some(fork))
    } else {
        None
    };
    Ok(Redo { lsn, fork, in_standby, last })
}

fn from_row(row: &Row) -> LastRestored {
    LastRestored {
        last_lsn: lsn(row, "last_lsn"),
        fork: guid(row, "last_recovery_fork_guid"),
        family: guid(row, "family_guid"),
        database: text(row, "database_name").map(str::to_owned),
        start: datetime(row, "backup_start_date"),
        finish: datetime(row, "backup_finish_date"),
        file: text(row, "physical_device_name").and_then(|path| path.rsplit(['\\', '/']).next()).map(str::to_owned),
    }
}
