//! The forms of RESTORE that only read a file: HEADERONLY, FILELISTONLY, LABELONLY, VERIFYONLY.

use super::plan::readable;
use super::{OPTIONS, chosen, damaged, device, known_options, open, unreadable};
use crate::lab::catalog::{IntoCell, columns, size};
use crate::lab::media::{self, Set};
use crate::lab::messages;
use crate::lab::statements::Failure;
use crate::lab::statements::admin::whole;
use crate::lab::statements::run::Runner;
use crate::lab::tds::{Cell, Column};
use crate::tsql::syntax::{Options, Restore, RestoreKind};
use crate::wire::lsn::Lsn;

pub(super) fn read(runner: &mut Runner<'_>, restore: &Restore) -> Result<(), Failure> {
    known_options(restore, &OPTIONS)?;
    if runner.connection.transactions > 0 {
        return Err(messages::in_transaction().into());
    }
    let instance = std::sync::Arc::clone(&runner.connection.instance);
    if !instance.rights.over_databases() {
        return Err(messages::denied("CREATE DATABASE", "master").into());
    }
    let (device, path) = device(runner, restore)?;
    match restore.kind {
        RestoreKind::LabelOnly => {
            let media = media::label(&path).map_err(|error| unreadable(&device, &error))?;
            let columns = columns(LABEL);
            let row = row(
                &columns,
                &[
                    ("MediaSetId", media.set_id.cell()),
                    ("FamilyCount", 1.cell()),
                    ("FamilySequenceNumber", 1.cell()),
                    ("MediaFamilyId", media.family_id.cell()),
                    ("MediaSequenceNumber", 1.cell()),
                    ("MediaLabelPresent", Cell::TinyInt(0)),
                    ("SoftwareName", "Microsoft SQL Server".cell()),
                    ("SoftwareVendorId", 4608.cell()),
                    ("MediaDate", media.date.cell()),
                    ("Mirror_Count", 1.cell()),
                    ("IsCompressed", false.cell()),
                ],
            );
            runner.rows(&columns, &[row]);
        }
        RestoreKind::HeaderOnly => {
            let contents = open(&device, &path)?;
            if let Some(error) = &contents.rest {
                return Err(unreadable(&device, error).into());
            }
            let columns = header_columns(instance.version);
            let wanted = restore.value("FILE").map(|value| whole(runner, value)).transpose()?;
            let rows: Vec<Vec<Cell>> = contents
                .sets
                .iter()
                .filter(|set| wanted.is_none_or(|wanted| i64::try_from(set.position) == Ok(wanted)))
                .map(|set| header_row(&columns, set, readable(&instance, &set.header, false).is_ok()))
                .collect();
            runner.rows(&columns, &rows);
        }
        RestoreKind::FileListOnly => {
            let contents = open(&device, &path)?;
            let set = chosen(runner, restore, &device, &contents)?;
            readable(&instance, &set.header, false)?;
            let columns = columns(FILE_LIST);
            let rows: Vec<Vec<Cell>> = set
                .header
                .files
                .iter()
                .map(|file| {
                    let data = file.kind == 'D';
                    row(
                        &columns,
                        &[
                            ("LogicalName", (&file.logical).cell()),
                            ("PhysicalName", (&file.physical).cell()),
                            ("Type", file.kind.to_string().cell()),
                            ("FileGroupName", data.then_some("PRIMARY").cell()),
                            ("Size", size(file.pages * 8192)),
                            ("MaxSize", size(35_184_372_080_640)),
                            ("FileID", i64::from(file.id).cell()),
                            ("CreateLSN", Lsn(0).cell()),
                            ("DropLSN", Lsn(0).cell()),
                            ("UniqueID", file.unique.cell()),
                            ("ReadOnlyLSN", Lsn(0).cell()),
                            ("ReadWriteLSN", Lsn(0).cell()),
                            ("BackupSizeInBytes", Cell::BigInt(if data { i64::try_from(set.payload).unwrap_or(0) } else { 0 })),
                            ("SourceBlockSize", 512.cell()),
                            ("FileGroupID", i32::from(data).cell()),
                            ("DifferentialBaseLSN", set.header.database_backup_lsn.cell()),
                            ("IsReadOnly", false.cell()),
                            ("IsPresent", true.cell()),
                        ],
                    )
                })
                .collect();
            runner.rows(&columns, &rows);
        }
        _ => {
            let contents = open(&device, &path)?;
            let set = chosen(runner, restore, &device, &contents)?;
            readable(&instance, &set.header, false)?;
            if restore.has("CHECKSUM") && !set.header.checksums {
                return Err(messages::no_checksum().into());
            }
            media::verify(&path, set).map_err(|error| damaged(&device, set, &error))?;
            runner.say(*messages::valid(set.position));
            runner.reply.done(None);
        }
    }
    Ok(())
}

/// A row by column name; what is not named is NULL.
pub fn row(columns: &[Column], cells: &[(&str, Cell)]) -> Vec<Cell> {
    columns
        .iter()
        .map(|column| cells.iter().find(|(name, _)| *name == column.name).map_or(Cell::Null, |(_, cell)| fitted(cell, column)))
        .collect()
}

/// Literals of Rust are wider than the columns they stand for.
fn fitted(cell: &Cell, column: &Column) -> Cell {
    crate::lab::values::from_sqlite((&crate::lab::values::to_sqlite(cell)).into(), column.ty)
}

const LABEL: &str = "MediaName nvarchar(128), MediaSetId uniqueidentifier, FamilyCount int, FamilySequenceNumber int, \
    MediaFamilyId uniqueidentifier, MediaSequenceNumber int, MediaLabelPresent tinyint, MediaDescription nvarchar(255), \
    SoftwareName nvarchar(128), SoftwareVendorId int, MediaDate datetime, Mirror_Count int, IsCompressed bit";

const FILE_LIST: &str = "LogicalName nvarchar(128), PhysicalName nvarchar(260), Type char(1), FileGroupName nvarchar(128), \
    Size numeric(20,0), MaxSize numeric(20,0), FileID bigint, CreateLSN numeric(25,0), DropLSN numeric(25,0), \
    UniqueID uniqueidentifier, ReadOnlyLSN numeric(25,0), ReadWriteLSN numeric(25,0), BackupSizeInBytes bigint, \
    SourceBlockSize int, FileGroupID int, LogGroupGUID uniqueidentifier, DifferentialBaseLSN numeric(25,0), \
    DifferentialBaseGUID uniqueidentifier, IsReadOnly bit, IsPresent bit, TDEThumbprint varbinary(32)";

const HEADER: &str = "BackupName nvarchar(128), BackupDescription nvarchar(255), BackupType smallint, \
    ExpirationDate datetime, Compressed bit, Position smallint, DeviceType tinyint, UserName nvarchar(128), \
    ServerName nvarchar(128), DatabaseName nvarchar(128), DatabaseVersion int, DatabaseCreationDate datetime, \
    BackupSize numeric(20,0), FirstLSN numeric(25,0), LastLSN numeric(25,0), CheckpointLSN numeric(25,0), \
    DatabaseBackupLSN numeric(25,0), BackupStartDate datetime, BackupFinishDate datetime, SortOrder smallint, \
    CodePage smallint, UnicodeLocaleId int, UnicodeComparisonStyle int, CompatibilityLevel tinyint, SoftwareVendorId int, \
    SoftwareVersionMajor int, SoftwareVersionMinor int, SoftwareVersionBuild int, MachineName nvarchar(128), Flags int, \
    BindingID uniqueidentifier, RecoveryForkID uniqueidentifier, Collation nvarchar(128), FamilyGUID uniqueidentifier, \
    HasBulkLoggedData bit, IsSnapshot bit, IsReadOnly bit, IsSingleUser bit, HasBackupChecksums bit, IsDamaged bit, \
    BeginsLogChain bit, HasIncompleteMetaData bit, IsForceOffline bit, IsCopyOnly bit, \
    FirstRecoveryForkID uniqueidentifier, ForkPointLSN numeric(25,0), RecoveryModel nvarchar(60), \
    DifferentialBaseLSN numeric(25,0), DifferentialBaseGUID uniqueidentifier, BackupTypeDescription nvarchar(60), \
    BackupSetGUID uniqueidentifier, CompressedBackupSize bigint, containment tinyint, KeyAlgorithm nvarchar(32), \
    EncryptorThumbprint varbinary(20), EncryptorType nvarchar(32)";

/// The version of a database's files, by the server's major version.
pub fn database_version(major: i32) -> i32 {
    match major {
        ..=9 => 611,
        10 => 661,
        11 => 706,
        12 => 782,
        _ => 852,
    }
}

/// 52 columns up to 2008 R2, 53 on 2012, 56 from 2014.
fn header_columns(version: (u8, u8, u16)) -> Vec<Column> {
    let mut all = columns(HEADER);
    all.truncate(match version.0 {
        0..=10 => 52,
        11 => 53,
        _ => 56,
    });
    all
}

/// `readable`: false for a set of a newer server, of which the name tells that this one cannot read it.
fn header_row(columns: &[Column], set: &Set, readable: bool) -> Vec<Cell> {
    let header = &set.header;
    let name = if readable { header.name.as_deref() } else { Some("*** INCOMPLETE ***") };
    let bytes = set.payload + 2048;
    row(
        columns,
        &[
            ("BackupName", name.cell()),
            ("BackupType", Cell::SmallInt(header.kind.number())),
            ("Compressed", false.cell()),
            ("Position", i32::try_from(set.position).unwrap_or(0).cell()),
            ("DeviceType", 2.cell()),
            ("UserName", (&header.user).cell()),
            ("ServerName", (&header.server).cell()),
            ("DatabaseName", (&header.database).cell()),
            ("DatabaseVersion", database_version(header.version.0).cell()),
            ("DatabaseCreationDate", header.database_created.cell()),
            ("BackupSize", size(bytes)),
            ("FirstLSN", header.first_lsn.cell()),
            ("LastLSN", header.last_lsn.cell()),
            ("CheckpointLSN", header.checkpoint_lsn.cell()),
            ("DatabaseBackupLSN", header.database_backup_lsn.cell()),
            ("BackupStartDate", header.start.cell()),
            ("BackupFinishDate", header.finish.cell()),
            ("SortOrder", 52.cell()),
            ("CodePage", 0.cell()),
            ("UnicodeLocaleId", 1033.cell()),
            ("UnicodeComparisonStyle", 196_609.cell()),
            ("CompatibilityLevel", 110.cell()),
            ("SoftwareVendorId", 4608.cell()),
            ("SoftwareVersionMajor", header.version.0.cell()),
            ("SoftwareVersionMinor", header.version.1.cell()),
            ("SoftwareVersionBuild", header.version.2.cell()),
            ("MachineName", (&header.machine).cell()),
            ("Flags", header.flags.cell()),
            ("BindingID", header.binding.cell()),
            ("RecoveryForkID", header.last_fork.cell()),
            ("Collation", (&header.collation).cell()),
            ("FamilyGUID", header.family.cell()),
            ("HasBulkLoggedData", false.cell()),
            ("IsSnapshot", false.cell()),
            ("IsReadOnly", false.cell()),
            ("IsSingleUser", false.cell()),
            ("HasBackupChecksums", header.checksums.cell()),
            ("IsDamaged", (header.flags & 32 != 0).cell()),
            ("BeginsLogChain", header.begins_chain.cell()),
            ("HasIncompleteMetaData", (header.flags & 128 != 0).cell()),
            ("IsForceOffline", (header.flags & 256 != 0).cell()),
            ("IsCopyOnly", header.copy_only.cell()),
            ("FirstRecoveryForkID", header.first_fork.cell()),
            ("ForkPointLSN", header.fork_point.cell()),
            ("RecoveryModel", (&header.recovery_model).cell()),
            ("BackupTypeDescription", header.kind.description().cell()),
            ("BackupSetGUID", header.set.cell()),
            ("CompressedBackupSize", Cell::BigInt(i64::try_from(bytes).unwrap_or(0))),
            ("containment", Cell::TinyInt(0)),
        ],
    )
}
