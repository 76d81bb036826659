//! The messages that the simulated server raises, each with the number, severity and shape of `sys.messages`; the wording
//! is close to the server's, so that what reads it (two LSNs in 4305) can be practised. One function a number, sorted by
//! number. Whoever raises one adds nothing: batch line and procedure are filled in where the statement runs.

use super::tds::{ServerMessage, Type};
use super::values::type_name;
use crate::wire::lsn::Lsn;

pub type Raised = Box<ServerMessage>;

/// A message as it is raised, without procedure and line.
pub fn message(number: i32, severity: u8, state: u8, text: impl Into<String>) -> Raised {
    Box::new(ServerMessage { number, severity, state, text: text.into(), procedure: String::new(), line: 1 })
}

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $ty:ty),*) = $number:literal, $severity:literal, $state:literal, $text:literal;)*) => {
        $($(#[$doc])* pub fn $name($($argument: $ty),*) -> Raised {
            message($number, $severity, $state, format!($text))
        })*
    };
}

messages! {
    incorrect_syntax(near: &str) = 102, 15, 1, "Incorrect syntax near '{near}'.";
    unclosed_quote(text: &str) = 105, 15, 1, "Unclosed quotation mark after the character string '{text}'.";
    missing_end_comment() = 113, 15, 1, "Missing end comment mark '*/'.";
    keyword_syntax(near: &str) = 156, 15, 1, "Incorrect syntax near the keyword '{near}'.";
    duplicate_variable(name: &str) = 134, 15, 2, "The variable name '{name}' has already been declared. Variable names must be unique within a query batch or stored procedure.";
    undeclared(name: &str) = 137, 15, 2, "Must declare the scalar variable \"{name}\".";
    assign_and_retrieve() = 141, 15, 1, "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.";
    wait_time(text: &str) = 148, 15, 1, "Incorrect time syntax in time string '{text}' used with WAITFOR.";
    arguments_needed(function: &str, count: usize) = 174, 15, 1, "The {function} function requires {count} argument(s).";
    not_a_function(name: &str) = 195, 15, 10, "'{name}' is not a recognized built-in function name.";
    not_an_option(name: &str) = 195, 15, 1, "'{name}' is not a recognized option.";
    not_a_set_option(name: &str) = 195, 15, 5, "'{name}' is not a recognized SET option.";
    no_parameter_name(position: usize) = 119, 15, 1, "Must pass parameter number {position} and subsequent parameters as '@name = value'. After the form '@name = value' has been used, all subsequent parameters must be passed in the form '@name = value'.";
    parameter_missing(procedure: &str, name: &str) = 201, 16, 4, "Procedure or function '{procedure}' expects parameter '{name}', which was not supplied.";
    invalid_column(name: &str) = 207, 16, 1, "Invalid column name '{name}'.";
    invalid_object(name: &str) = 208, 16, 1, "Invalid object name '{name}'.";
    ambiguous_column(name: &str) = 209, 16, 1, "Ambiguous column name '{name}'.";
    date() = 241, 16, 1, "Conversion failed when converting date and/or time from character string.";
    unknown_type(name: &str) = 243, 16, 1, "Type {name} is not a defined system type.";
    operand_type(operator: &str) = 402, 16, 1, "The data types are incompatible in the {operator} operator.";
    killed() = 596, 21, 1, "Cannot continue the execution because the session is in the kill state.";
    no_database(name: &str) = 911, 16, 1, "Database '{name}' does not exist. Make sure that the name is entered correctly.";
    recovering(name: &str) = 922, 14, 1, "Database '{name}' is being recovered. Waiting until recovery is finished.";
    single_user(name: &str) = 924, 14, 1, "Database '{name}' is already open and can only have one user at a time.";
    restoring(name: &str) = 927, 14, 2, "Database '{name}' cannot be opened. It is in the middle of a restore.";
    is_mirror(name: &str) = 954, 14, 1, "The database \"{name}\" cannot be opened. It is acting as a mirror database.";
    not_mirrored(name: &str) = 1416, 16, 1, "Database \"{name}\" is not configured for database mirroring.";
    no_parameter(name: &str, procedure: &str) = 8145, 16, 1, "{name} is not a parameter for procedure {procedure}.";
    too_many_arguments(procedure: &str) = 8144, 16, 2, "Procedure or function {procedure} has too many arguments specified.";
    divide_by_zero() = 8134, 16, 1, "Divide by zero error encountered.";
    guid() = 8169, 16, 2, "Conversion failed when converting from a character string to uniqueidentifier.";
    no_such_procedure(name: &str) = 2812, 16, 62, "Could not find stored procedure '{name}'.";

    wrapper(kind: &str) = 3013, 16, 1, "{kind} is terminating abnormally.";
    backup_done(kind: &str, pages: u64, seconds: f64, speed: f64) = 3014, 10, 1, "{kind} successfully processed {pages} pages in {seconds:.3} seconds ({speed:.3} MB/sec).";
    in_transaction() = 3021, 16, 0, "Cannot perform a backup or restore operation within a transaction.";
    standby_backup() = 3036, 16, 1, "The database is in warm-standby state (set by executing RESTORE WITH STANDBY) and cannot be backed up until the entire restore sequence is completed.";
    media_name() = 3044, 16, 2, "Invalid zero-length device name. Reissue the statement with a valid device name.";
    in_use() = 3101, 16, 1, "Exclusive access could not be obtained because the database is in use.";
    own_session(name: &str) = 3102, 16, 1, "RESTORE cannot process database '{name}' because it is in use by this session. It is recommended that the master database be used when performing this operation.";
    mirrored(name: &str) = 3104, 16, 1, "RESTORE cannot operate on database '{name}' because it is configured for database mirroring or has joined an availability group. If you intend to restore the database, use ALTER DATABASE to remove mirroring.";
    nothing_to_roll_forward() = 3117, 16, 1, "The log or differential backup cannot be restored because no files are ready to rollforward.";
    only_full(name: &str) = 3118, 16, 1, "The database \"{name}\" does not exist. RESTORE can only create a database when restoring either a full backup or a file backup of the primary file.";
    wrong_name(database: &str) = 3141, 16, 0, "The database to be restored was named '{database}'. Reissue the statement using the WITH REPLACE option to overwrite the database.";
    wrong_type() = 3143, 16, 1, "The data set on the device is not a database backup set that RESTORE can use for this statement.";
    already_recovered() = 3153, 16, 2, "The database is already fully recovered.";
    other_database(name: &str) = 3154, 16, 4, "The backup set holds a backup of a database other than the existing '{name}' database.";
    tail_not_backed_up(name: &str) = 3159, 16, 1, "The tail of the log for the database \"{name}\" has not been backed up. Use BACKUP LOG WITH NORECOVERY to backup the log if it contains work you do not want to lose. Use the WITH REPLACE or WITH STOPAT clause of the RESTORE statement to just overwrite the contents of the log.";
    no_checksum() = 3187, 16, 1, "RESTORE WITH CHECKSUM cannot be specified because the backup set does not contain checksum information.";
    damaged() = 3189, 16, 1, "Damage to the backup set was detected.";
    cannot_open(device: &str, code: u32, cause: &str) = 3201, 16, 2, "Cannot open backup device '{device}'. Operating system error {code}({cause}).";
    cannot_write(device: &str, code: u32, cause: &str) = 3202, 16, 1, "Write on \"{device}\" failed: {code}({cause})";
    read_failed(device: &str) = 3203, 16, 1, "Read on \"{device}\" failed: 38(Reached the end of the file.)";
    percent(done: u32) = 3211, 10, 1, "{done} percent processed.";
    malformed(device: &str) = 3241, 16, 0, "The media family on device '{device}' is incorrectly formed. SQL Server cannot process this media family.";
    empty_volume(device: &str) = 3254, 16, 1, "The volume on device '{device}' is empty.";
    valid(position: usize) = 3262, 10, 1, "The backup set on file {position} is valid.";
    pages(pages: u64, database: &str, file: &str, position: usize) = 4035, 10, 1, "Processed {pages} pages for database '{database}', file '{file}' on file {position}.";
    cannot_open_login(name: &str) = 4060, 11, 1, "Cannot open database \"{name}\" requested by the login. The login failed.";
    multi_part(name: &str) = 4104, 16, 1, "The multi-part identifier \"{name}\" could not be bound.";
    not_a_condition(near: &str) = 4145, 15, 1, "An expression of non-boolean type specified in a context where a condition is expected, near '{near}'.";
    simple_recovery() = 4208, 16, 1, "The statement BACKUP LOG is not allowed while the recovery model is SIMPLE. Use BACKUP DATABASE or change the recovery model using ALTER DATABASE.";
    too_recent(first: Lsn, needed: Lsn) = 4305, 16, 1, "The log in this backup set begins at LSN {first}, which is too recent to apply to the database. An earlier log backup that includes LSN {needed} can be restored.";
    interrupted(file: &str) = 4319, 16, 3, "A previous restore operation was interrupted and did not complete processing on file '{file}'. Either restore the backup set that was interrupted or restart the restore sequence.";
    too_early(last: Lsn, needed: Lsn) = 4326, 16, 1, "The log in this backup set terminates at LSN {last}, which is too early to apply to the database. A more recent log backup that includes LSN {needed} can be restored.";
    other_fork() = 4330, 16, 1, "This backup set cannot be applied because it is on a recovery path that is inconsistent with the database. The recovery path is the sequence of data and log backups that have brought the database to a particular recovery point. Find a compatible backup set to restore, or restore the rest of the database to match a recovery point within this backup set, which will restore the database to a different point in time.";
    alter_denied(name: &str) = 5011, 14, 5, "User does not have permission to alter database '{name}', the database does not exist, or the database is not in a state that allows access checks.";
    not_in_restore(statement: &str) = 5052, 16, 1, "{statement} is not permitted while a database is in the Restoring state.";
    alter_failed() = 5069, 16, 1, "ALTER DATABASE statement failed.";
    rolling_back(percent: u32) = 5060, 10, 1, "Nonqualified transactions are being rolled back. Estimated rollback completion: {percent}%.";
    alter_blocked(name: &str) = 5064, 16, 1, "Changes to the state or options of database '{name}' cannot be made at this time. The database is in single-user mode, and a user is currently connected to it.";
    context_changed(name: &str) = 5701, 10, 2, "Changed database context to '{name}'.";
    not_a_session_id(id: i64) = 6101, 16, 1, "Session ID {id} is not valid.";
    own_kill() = 6104, 16, 1, "Cannot use KILL to kill your own process.";
    not_active(id: i64) = 6106, 16, 2, "Process ID {id} is not an active process ID.";
    system_kill() = 6107, 14, 1, "Only user processes can be killed.";
    kill_in_transaction() = 6115, 16, 1, "KILL command cannot be used inside user transactions.";
    no_rollback(id: i64) = 6120, 16, 1, "Status report cannot be obtained. Rollback operation for Process ID {id} is not in progress.";
    no_such_job(name: &str) = 14262, 16, 1, "The specified @job_name ('{name}') does not exist.";
    no_such_job_id(id: &str) = 14262, 16, 1, "The specified @job_id ('{id}') does not exist.";
    no_such_schedule(name: &str) = 14262, 16, 1, "The specified @schedule_name ('{name}') does not exist.";
    one_of(first: &str, second: &str) = 14294, 16, 1, "Supply either {first} or {second} to identify the object.";
    job_not_running(name: &str) = 22022, 16, 1, "SQLServerAgent Error: Request to stop job {name} refused because the job is not currently running.";
    job_running(name: &str) = 22022, 16, 1, "SQLServerAgent Error: Request to run job {name} refused because the job is already running.";
    login_failed(user: &str) = 18456, 14, 1, "Login failed for user '{user}'.";
    no_monitor() = 32054, 16, 1, "There was an error establishing a link to the remote monitor server.";
    secondary_exists(name: &str) = 32013, 16, 1, "A log shipping entry already exists for secondary database {name}. ";
    primary_exists(server: &str, name: &str) = 32012, 16, 1, "A secondary entry already exists for primary {server}.{name}.";
    not_secondary(name: &str) = 32014, 16, 1, "Database {name} does not exist as log shipping secondary.";
    no_primary_here(server: &str, name: &str) = 32023, 16, 1, "An entry for primary server {server}, primary database {name} does not exist on this secondary. Register the primary first.";
    still_secondaries(server: &str, name: &str) = 32025, 16, 1, "Primary Server {server}, Database {name} has active log shipping secondary database(s) on this secondary. Drop the secondary database(s) first.";
    must_be_in_master() = 5001, 16, 1, "User must be in the master database.";
}

/// 245: text that is not a number.
pub fn conversion_failed(from: Type, text: &str, to: Type) -> Raised {
    let (from, to) = (bare(from), bare(to));
    message(245, 16, 1, format!("Conversion failed when converting the {from} value '{text}' to data type {to}."))
}

/// 529: types between which no conversion exists.
pub fn explicit(from: Type, to: Type) -> Raised {
    message(529, 16, 2, format!("Explicit conversion from data type {} to {} is not allowed.", bare(from), bare(to)))
}

/// 8114: text that is not a decimal, float or binary.
pub fn converting(from: Type, to: Type) -> Raised {
    message(8114, 16, 5, format!("Error converting data type {} to {}.", bare(from), bare(to)))
}

/// 8115: a value too large for the type.
pub fn overflow(to: Type) -> Raised {
    message(8115, 16, 2, format!("Arithmetic overflow error converting expression to data type {}.", bare(to)))
}

/// 281: a style that CONVERT does not know for this type.
pub fn style(style: i32, from: Type) -> Raised {
    message(281, 16, 1, format!("{style} is not a valid style number when converting from {} to a character string.", bare(from)))
}

fn bare(ty: Type) -> String {
    let name = type_name(ty);
    name.split('(').next().unwrap_or(&name).to_owned()
}
