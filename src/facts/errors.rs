//! What SQL Server's error numbers mean in a failover, and what to do next, in our own words. Used by the SQL room to explain
//! a failure, by the lab for severities, and by `cutover explain`. Numbers and severities are from Microsoft's page
//! "Database Engine events and errors" (SQL Server 2016); the advice is ours. Of -2 and the numbers of the network, which
//! clients make up themselves, only the meaning is common knowledge.

/// One number of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorFact {
    pub number: i32,
    /// as the catalogue has it; 10 and less are information. What the wire says goes before this.
    pub severity: u8,
    /// one sentence: what it means here
    pub meaning: &'static str,
    /// one sentence: the next act for this failover; empty for information
    pub act: &'static str,
    /// true if it only says that something failed and the cause is in an error before it
    pub wrapper: bool,
}

const fn row(number: i32, severity: u8, meaning: &'static str, act: &'static str) -> ErrorFact {
    ErrorFact { number, severity, meaning, act, wrapper: false }
}

const fn note(number: i32, severity: u8, meaning: &'static str) -> ErrorFact {
    row(number, severity, meaning, "")
}

const fn wrapper(number: i32, severity: u8, meaning: &'static str) -> ErrorFact {
    ErrorFact { number, severity, meaning, act: "Read the error before it.", wrapper: true }
}

/// The catalogue, sorted by number.
#[rustfmt::skip]
pub static ERRORS: &[ErrorFact] = &[
    row(-2, 11, "The client gave up waiting; the server may still be working on the statement.", "Reconnect and read the database's state before anything is sent again."),
    row(53, 20, "The server's network path was not found.", "Check the server name, the network and the firewall, then connect again."),
    row(102, 15, "The text is not valid T-SQL near the word it names.", "Correct the text in the runbook; nothing of this batch has run."),
    row(105, 15, "A string or a quoted name in the text is never closed.", "Close the quotation in the runbook; nothing of this batch has run."),
    row(113, 15, "A comment in the text is never closed.", "Close the comment in the runbook; nothing of this batch has run."),
    row(134, 15, "A variable is declared twice; a bound parameter counts as declared.", "Take the DECLARE out of the text, or the name out of the parameters."),
    row(137, 15, "A variable is used that was never declared or bound.", "Pass the name in the parameters, or declare it; upper and lower case may matter."),
    row(155, 15, "An option is not known to this statement.", "Correct the option in the runbook; nothing of this batch has run."),
    row(156, 15, "The text is not valid T-SQL near the keyword it names.", "Correct the text in the runbook; nothing of this batch has run."),
    row(201, 16, "A procedure was called without a parameter that it needs.", "Pass the missing parameter."),
    row(207, 16, "A column does not exist in this version of SQL Server or in this table.", "Correct the column's name, or use what this version of SQL Server offers."),
    row(208, 16, "A table or view does not exist in the database the text ran in.", "Check the name and the database; write it in three parts if it lies elsewhere."),
    row(229, 14, "The login has no permission on the object.", "Use a sysadmin login, or have the permission granted."),
    row(245, 16, "A text could not be converted to the type that was wanted.", "Correct the value that was passed."),
    row(258, 20, "The connection attempt waited too long for an answer.", "Check that the server is up and reachable, then connect again."),
    row(262, 14, "The login lacks a permission in the database.", "Use a sysadmin login, or have the permission granted."),
    row(297, 16, "The login has no permission for this action.", "Use a sysadmin login; without VIEW SERVER STATE sessions stay invisible."),
    row(300, 14, "The login lacks a server permission, such as VIEW SERVER STATE.", "Use a sysadmin login; without VIEW SERVER STATE sessions stay invisible."),
    row(911, 16, "The database does not exist on this server.", "Check the server and the database name before you go on; this may be the wrong instance."),
    row(913, 22, "The database was not found by its id; it may be changing state.", "Wait a moment and try again."),
    row(916, 14, "The login may not use this database.", "Use a login that has access, or map the login to a user there."),
    row(921, 14, "The database has not been recovered yet.", "Wait until its recovery is complete, then try again."),
    row(922, 14, "The database is being recovered right now.", "Wait until its recovery is complete, then try again."),
    row(923, 14, "The database is in restricted mode; only its owner, dbcreator or sysadmin may enter.", "Use a sysadmin login, or set the database to MULTI_USER when the work is done."),
    row(924, 14, "The database allows a single user, and somebody else is in.", "Find the session in sys.dm_exec_sessions, end it, and take the place in the same batch."),
    row(926, 14, "The database is SUSPECT: its recovery failed.", "Read the server's error log for the first failure; do not detach or restart."),
    row(927, 14, "The database is in the middle of a restore and cannot be opened.", "Nothing is wrong before it is brought online; run this from another database."),
    row(942, 14, "The database is OFFLINE.", "Find out who took it offline and why before you set it ONLINE."),
    row(945, 16, "The database cannot be opened: files are missing, or memory or disk is short.", "Read the server's error log, and check the drives and the rights of the service account."),
    row(952, 16, "The database is changing state.", "Wait a moment and try again."),
    row(954, 14, "The database is a mirror and cannot be opened.", "Work on the principal; this is the mirror's instance."),
    row(955, 14, "The database is mirrored and has lost its quorum.", "Check partner and witness in sys.database_mirroring before you force anything."),
    row(956, 14, "The mirrored database is not synchronized and cannot be opened.", "Check the partner's state in sys.database_mirroring."),
    row(1205, 13, "The statement was chosen to end a deadlock and was rolled back.", "Run the whole statement again."),
    row(1222, 16, "The statement waited longer for a lock than it was allowed to.", "Find the session that holds the lock, then try again."),
    row(1404, 16, "The mirror is busy with an earlier command.", "Wait a moment and run the mirroring step again."),
    row(1405, 16, "The database is already set up for mirroring here.", "Read sys.database_mirroring; if the partner is the right one, this is done, else remove mirroring first."),
    row(1408, 16, "The other server's copy has not been rolled forward far enough.", "Restore the newest log backups on the mirror WITH NORECOVERY, then run the mirroring step again."),
    row(1409, 16, "The database has log backups that must be restored on the mirror first.", "Restore the newest log backups on the mirror WITH NORECOVERY, then run the mirroring step again."),
    row(1410, 16, "The database is already set up for mirroring on the other server.", "Read sys.database_mirroring there; remove the old partnership first if it is not this one."),
    row(1411, 16, "The files of the other server's copy stand at different points.", "Restore the database on the mirror afresh WITH NORECOVERY."),
    row(1412, 16, "The other server's copy has not been rolled forward to a point in this database's log.", "Restore the newest log backups on the mirror WITH NORECOVERY, then run the mirroring step again."),
    row(1413, 16, "The partners lost contact before mirroring was set up.", "Check both endpoints and the network, then run the mirroring step again."),
    row(1416, 16, "The database is not set up for mirroring.", "Check that this is the right database and server; there is no mirroring to change."),
    row(1418, 16, "The partner's address cannot be reached, or does not exist.", "Check the port, that both endpoints are started, and that each service account may connect to the other's endpoint."),
    row(1419, 16, "The database cannot be opened on the other server.", "Restore it there WITH NORECOVERY, then run the mirroring step again."),
    row(1421, 16, "The other server did not answer while mirroring was set up.", "Check the endpoint and the network, then run the mirroring step again."),
    row(1426, 16, "The command needs a database that has a witness or both its partners.", "Check the witness in sys.database_mirroring; mirroring works without one."),
    row(1431, 16, "Neither the partner nor the witness can be reached.", "Check the network and both servers before you change anything."),
    note(1440, 10, "Mirroring is active with this database as the principal."),
    note(1441, 10, "Mirroring is active with this database as the mirror."),
    note(1442, 10, "Mirroring is inactive for this database."),
    note(1443, 10, "Mirroring has ended for this database."),
    row(1448, 16, "The database does not exist on the other server.", "Restore it there WITH NORECOVERY, then run the mirroring step again."),
    row(1452, 16, "The partner is this server itself.", "Name the backup mirror's own address and port; each instance on a machine needs its own port."),
    row(1456, 16, "The witness could not be told; it cannot be reached.", "Check the witness's endpoint, or go on without a witness."),
    row(1460, 16, "The other server still holds an earlier mirroring setup for this database.", "Remove it there with ALTER DATABASE SET PARTNER OFF, then run the mirroring step again."),
    row(1463, 16, "This edition of SQL Server does not offer mirroring in this form.", "Use the same edition of SQL Server on both partners."),
    row(1464, 16, "The database on the other server is not waiting for a restore.", "Restore it there WITH NORECOVERY; check first that it is not somebody's live database."),
    row(1465, 16, "The database is not in the FULL recovery model.", "Set RECOVERY FULL on the principal, take full and log backups, and begin the mirroring step again."),
    row(1466, 16, "The database is read-only.", "Set it READ_WRITE on the principal, then run the mirroring step again."),
    row(1468, 16, "The database is mirrored, and this operation is not allowed on it.", "Remove mirroring first if that is meant; this may be the wrong server."),
    row(2812, 16, "The procedure does not exist, or the login may not see it.", "Check the name and the database, and that the login is a sysadmin."),
    wrapper(3013, 16, "BACKUP or RESTORE ended abnormally; the cause is in the error before this one."),
    note(3014, 10, "The statement finished: pages, seconds, speed."),
    row(3021, 16, "BACKUP and RESTORE are not allowed inside a transaction.", "End the transaction; these statements run in autocommit."),
    row(3023, 16, "Another backup, restore or file change is under way on this database.", "Find it in sys.dm_exec_requests, wait until it ends, then try again."),
    row(3036, 16, "The database is a standby and cannot be backed up until its restore sequence is complete.", "Bring it online first if the failover has come that far."),
    row(3059, 16, "This is not supported on a mirror or a secondary replica.", "Work on the principal; this is the wrong instance."),
    row(3101, 16, "The database is in use, so RESTORE could not get it for itself.", "Find who is inside with sp_who2, end those sessions, and restore again at once."),
    row(3102, 16, "This very session is using the database.", "Run `USE master` first."),
    row(3104, 16, "The database is mirrored or in an availability group, so RESTORE is not allowed.", "Check that this is the right server; remove mirroring only if it is."),
    row(3110, 14, "The login may not restore this database.", "Use a login that is sysadmin or dbcreator."),
    row(3117, 16, "No file of the database is waiting for a log: it is already recovered, or its base was not restored.", "Read its state: ONLINE means the restore sequence is over; else restore the full backup WITH NORECOVERY."),
    row(3118, 16, "The database does not exist, and only a full backup can create it.", "Check the server and the name; this is probably the wrong instance."),
    wrapper(3119, 16, "Planning the RESTORE failed; the errors before this one say why."),
    row(3120, 16, "The database is already past what this backup holds.", "Leave this backup out."),
    row(3121, 16, "The file is on a recovery path that does not fit this backup.", "Find the backup of the same recovery fork; look for a restore or a recovery of the primary."),
    row(3132, 16, "The media set has several members, and not all were given.", "Name every member of the striped backup in one statement."),
    row(3136, 16, "The differential backup does not belong to the full backup that was restored.", "Use the differential of this full backup, or the full backup of this differential."),
    row(3141, 16, "The backup holds a database of another name.", "Check the file; use REPLACE only if you mean to overwrite with another database."),
    row(3153, 16, "The database is already fully recovered.", "It is online already; check who did it and that every log was applied before."),
    row(3154, 16, "The backup belongs to another database than the one that stands here.", "Use the right file; never add REPLACE to get past this."),
    row(3156, 16, "A database file cannot be placed where the backup says.", "Name another place with MOVE; look for a data file that the primary added."),
    row(3159, 16, "The tail of the log has not been backed up and would be lost.", "Back the log up WITH NORECOVERY first; use REPLACE only if you mean to lose it."),
    row(3167, 16, "RESTORE could not start the database.", "Read the server's error log for the reason."),
    row(3169, 16, "The backup comes from a newer version of SQL Server.", "Restore on a server of that version or a newer one."),
    row(3178, 16, "The differential backup does not fit the state that the file is in.", "Use the differential of the full backup that was restored."),
    row(3180, 16, "STANDBY is not possible, because the database must first be upgraded.", "Use NORECOVERY."),
    row(3185, 16, "RESTORE cannot use this backup while the database is in this state.", "Check the database's state in sys.databases, and restore from the full backup if it is SUSPECT."),
    row(3186, 16, "The backup set is damaged.", "Fetch another copy of the file and compare both."),
    row(3187, 16, "CHECKSUM was asked for, but the backup holds no checksums.", "Take CHECKSUM out of the statement."),
    row(3189, 16, "Damage to the backup set was found.", "Fetch another copy of the file and compare both."),
    row(3191, 16, "A database file cannot be written.", "Check the drive and the rights of the SQL Server service account on the folder."),
    row(3201, 16, "The backup file cannot be opened; the operating system's reason is in the text.", "Check the path as the SQL Server sees it, and that its service account may read it."),
    row(3202, 16, "Writing to the backup device failed.", "Check the drive's space and health, then write the backup again."),
    row(3203, 16, "Reading from the backup device failed.", "Check the drive and the network, copy the file again, and restore it again."),
    note(3211, 10, "Progress of a BACKUP or RESTORE in percent."),
    row(3231, 16, "The media on the device belong to another media set.", "Name the members that belong together."),
    row(3241, 16, "The file is not a whole backup: cut off, half copied, no backup at all, or from a newer version.", "Compare its size with the file on the share, and copy it again."),
    row(3242, 16, "The file holds no valid backup set.", "Compare its size with the file on the share, and copy it again."),
    row(3254, 16, "The backup file is empty.", "Copy it again from the share; if it is empty there, it never was written."),
    row(3256, 16, "The backup was cut off while it was being written.", "Use another copy, or a tail-log backup of the primary if it can still be had."),
    row(3257, 16, "The drive has too little space for the database's files.", "Make room on the drive that the text names, then restore again."),
    row(3258, 16, "The media of this backup were mixed up.", "Name the members that belong together, in one statement."),
    note(3262, 10, "The backup set was verified and is valid."),
    row(3266, 16, "The data at the end of the backup file are malformed.", "Copy the file again and check it with RESTORE VERIFYONLY."),
    row(3270, 16, "SQL Server met an inconsistency of its own while reading the backup.", "Use another copy of the file; if it fails as well, call Microsoft support."),
    row(3271, 16, "A read or write failed beyond repair.", "Check the drive and the network; the text names the file."),
    row(3279, 16, "The backup is protected by a password that was not given.", "Pass the media or backup password."),
    row(3283, 16, "A database file could not be initialised.", "Read the server's error log; check the drive and the rights on it."),
    row(3302, 21, "Redoing the log failed.", "Keep the files as they are, and restore the database afresh from a full backup and its logs."),
    row(3313, 21, "Redoing a logged operation failed.", "Keep the files as they are, and restore the database afresh from a full backup and its logs."),
    row(3314, 21, "Undoing a logged operation failed.", "Keep the files as they are, and restore the database afresh from a full backup and its logs."),
    note(3406, 10, "Recovery rolled transactions forward; the text says how many."),
    note(3407, 10, "Recovery rolled transactions back; the text says how many."),
    note(3421, 10, "Recovery of the database is complete."),
    row(3441, 21, "The standby undo file cannot be read or written.", "Give the undo file back, or mend its path and rights; without it the database must be restored afresh."),
    row(3443, 21, "The standby or read-only database was modified, so no log fits it any more.", "Restore the database afresh from a full backup and its logs."),
    row(3445, 21, "The standby undo file is not valid for this database.", "Find the right undo file; without it the database must be restored afresh."),
    note(3450, 10, "Progress of the recovery in percent, with the seconds that remain."),
    note(3454, 10, "Recovery is writing a checkpoint."),
    row(3456, 21, "A log record could not be redone, because the page was in another state than it should be.", "Keep the files as they are, and restore the database afresh from a full backup and its logs."),
    note(4035, 10, "Pages processed for one file of the database."),
    row(4060, 11, "The login's database cannot be opened.", "Connect to master: set no `database` for this server in the site file."),
    row(4305, 16, "The log backup begins after the point the database has reached: a log backup between is missing.", "Find the earlier log backup that holds the LSN in the text; do not bring the database online before it is applied or given up."),
    row(4306, 16, "In old versions: the restore before this one did not leave the database waiting for more logs.", "Read the database's state: ONLINE means the restore sequence is over."),
    row(4312, 16, "The log cannot be applied, because the chain was broken on the primary, for instance by a change of the recovery model.", "Find a newer full or differential backup that bridges the gap."),
    note(4315, 10, "The work was done, but the database still waits for more logs."),
    row(4318, 16, "The file is already past the end of this backup, so it cannot be recovered with it.", "Apply it WITH NORECOVERY, then bring the database online by itself."),
    row(4319, 16, "An earlier RESTORE of a file was interrupted.", "Apply the same log backup again; if that fails, begin the sequence again from the full backup."),
    row(4320, 16, "A file was not fully restored from the full backup.", "Restore the full backup again."),
    note(4322, 10, "The work was done, but the backup holds changes after the stopping point; the database still waits."),
    row(4323, 16, "An earlier restore used CONTINUE_AFTER_ERROR, and every further one must as well.", "Stop and weigh it: damaged data were accepted before. Restore afresh if there is another way."),
    row(4326, 16, "The log backup ends before the point the database has reached: it is already applied.", "Leave this file out and go on with the next."),
    row(4327, 16, "Bulk-logged changes made it impossible to stop at a point, so the whole backup was applied.", "Accept the end of the backup as the stopping point, or begin the sequence again."),
    row(4328, 16, "Rolling forward stopped, because a file is missing.", "Restore beyond the point where the file was dropped, or place it with MOVE."),
    note(4329, 10, "The work was done, but the log ends before the stopping point; the database still waits."),
    row(4330, 16, "The backup is of another recovery fork than the database.", "Find the log backup of the right fork; look for a restore or a recovery of the primary, or for files of a returned primary."),
    row(4331, 16, "The files of the database stand at different points, so it cannot be recovered.", "Apply more log backups WITH NORECOVERY."),
    row(4332, 16, "RESTORE LOG was halted; the database can be brought online as it is, or more can be tried.", "Read the errors before it, and decide with the loss statement at hand."),
    row(4333, 16, "The database cannot be recovered, because the log was not restored.", "Apply the log backups that belong to it first."),
    row(4335, 16, "The stopping point lies before what this database already holds.", "Take STOPAT out, or begin the sequence again from the full backup."),
    row(4338, 16, "The stopping point lies before this log backup.", "Take STOPAT out, or use the earlier log backup."),
    note(4339, 10, "The work was done, but the database still waits for more logs."),
    row(4343, 16, "The database has already gone past the stopping point.", "Take STOPAT out, or begin the sequence again from the full backup."),
    row(4347, 16, "An earlier RESTORE was interrupted while it brought the database online.", "Run RESTORE DATABASE WITH RECOVERY again."),
    row(4349, 16, "The log backup begins too late to initialise the log.", "Find the earlier log backup that holds the LSN in the text."),
    row(5001, 16, "The statement must run in master.", "Run `USE master` first."),
    row(5002, 16, "The database does not exist.", "Check the server and the database name; this may be the wrong instance."),
    row(5011, 14, "The login may not alter the database, the database does not exist, or its state hides who may.", "Check the name and the state, and that the login is a sysadmin."),
    row(5052, 16, "ALTER DATABASE is not permitted while the database is in this state, such as RESTORING.", "Leave it out: a database that is being restored lets nobody in anyway."),
    note(5060, 10, "Sessions are being rolled back so that the database's state can change."),
    row(5061, 16, "ALTER DATABASE could not get its lock on the database.", "Find who is inside with sp_who2, end those sessions, and try again."),
    row(5063, 16, "The database is a warm standby and read-only.", "End the standby with the next RESTORE; do not try to write to it."),
    row(5064, 16, "The database allows a single user, and another session has the place.", "Find that session with sp_who2, end it, and try again at once."),
    wrapper(5069, 16, "ALTER DATABASE failed; the cause is in the error before this one."),
    row(5070, 16, "The state cannot be changed while others use the database.", "End the other sessions, or add WITH ROLLBACK IMMEDIATE."),
    note(5701, 10, "The session's database changed; sent with every login and USE."),
    note(5703, 10, "The session's language was set; sent with every login."),
    row(6101, 16, "This is not a valid session id.", "Read the list of sessions again."),
    row(6102, 14, "The login may not use KILL.", "Use a login that is sysadmin or processadmin."),
    row(6103, 17, "SQL Server could not clean up after the session it ended.", "Read the list of sessions again before you try once more."),
    row(6104, 16, "KILL cannot end the session it runs in.", "Leave this session, @@SPID, out of the list."),
    row(6106, 16, "No session with this id is active; it is already gone.", "Nothing is left to do for this session."),
    row(6107, 14, "Only user sessions can be ended.", "Leave system sessions out; is_user_process tells them."),
    note(6109, 10, "The session is being rolled back; the text says how far it is."),
    row(6115, 16, "KILL is not allowed inside a transaction.", "End the transaction first."),
    row(6120, 16, "No rollback of this session is under way, so there is no progress to report.", "Read the list of sessions again; it is probably gone."),
    row(8114, 16, "A value could not be converted to the type that was wanted.", "Correct the value that was passed."),
    row(8144, 16, "A procedure was called with too many parameters.", "Take the surplus parameters out."),
    row(8145, 16, "The procedure has no parameter of this name.", "Correct the parameter's name; versions of SQL Server differ here."),
    row(9003, 20, "The log's position is not valid for this database.", "Restore the database afresh from a full backup and its logs."),
    row(10_053, 20, "The connection was dropped on this side of the network.", "Reconnect and read the state before you repeat a change."),
    row(10_054, 20, "The server, or something between, cut the connection.", "Reconnect and read the state before you repeat a change."),
    row(10_060, 20, "The server did not answer the connection attempt in time.", "Check that the server is up, and that the port is open in every firewall between."),
    row(10_061, 20, "The server's machine refused the connection: nothing listens on that port.", "Check that the SQL Server service runs and that the port in the site file is its own."),
    row(11_001, 20, "The server's name is unknown to name resolution.", "Check the server name in the site file, and DNS."),
    row(14_258, 16, "SQL Server Agent is just starting.", "Wait a moment and try again."),
    row(14_260, 16, "The login may not run this job.", "Use a sysadmin login."),
    row(14_261, 16, "A thing of this name, such as a job, exists already.", "Check that it is the one you mean; then this is done."),
    row(14_262, 16, "A thing of this name, such as a log shipping job, does not exist; it may be gone already.", "Check sysjobs and the log shipping rows in msdb; if both are gone, this is done."),
    row(14_393, 16, "Only the owner, a sysadmin or an Agent operator may start this job.", "Use a sysadmin login."),
    row(14_420, 16, "Log shipping alert: the primary has not backed its log up within the threshold.", "During a failover this is to be expected: the primary is gone."),
    row(14_421, 16, "Log shipping alert: the secondary has not restored a log within the threshold.", "During a failover this is to be expected; otherwise look at the copy and restore jobs."),
    note(18_100, 10, "A session was ended by somebody; the text says from which machine."),
    note(18_264, 10, "A database was backed up; the text holds the LSNs."),
    note(18_265, 10, "A log was backed up; the text holds the LSNs."),
    note(18_267, 10, "A database was restored; the text holds the LSNs."),
    note(18_268, 10, "A log was restored; the text holds the LSNs."),
    row(18_452, 14, "The login comes from a domain that the server does not trust.", "Use an account of a trusted domain, or a SQL login."),
    row(18_456, 14, "The login failed; the reason stands only in the server's error log.", "Check user and password once; do not try again and again, the account may be locked out."),
    row(18_461, 14, "The server runs in single-user mode and another administrator is in.", "Find out who started it that way and why."),
    row(18_470, 14, "The login is disabled.", "Have the login enabled, or use another."),
    row(18_486, 14, "The login is locked out after failed attempts.", "Have the login unlocked; do not try again before that."),
    row(21_089, 16, "Only a sysadmin may do this.", "Use a sysadmin login."),
    note(32_001, 10, "The description of a log shipping job or step; no error."),
    note(32_002, 10, "The description of a log shipping job or step; no error."),
    note(32_003, 10, "The description of a log shipping job or step; no error."),
    note(32_004, 10, "The description of a log shipping job or step; no error."),
    note(32_005, 10, "The description of a log shipping job or step; no error."),
    note(32_006, 10, "The description of a log shipping job or step; no error."),
    row(32_007, 16, "The database is not ONLINE.", "Check its state and that this is the right server."),
    note(32_008, 10, "The log backup job was skipped, because the database is not online here; its mirror partner takes the backups."),
    row(32_009, 16, "A log shipping primary entry for this database exists already.", "Check that it is the one you mean; then this is done."),
    row(32_010, 16, "The database is not a log shipping primary.", "Check the server and the name; it may have been removed before."),
    row(32_011, 16, "The primary still has secondaries.", "Remove the secondaries first."),
    row(32_012, 16, "This secondary exists already for the primary.", "Check that it is the one you mean; then this is done."),
    row(32_013, 16, "A log shipping entry for this secondary database exists already.", "Check that it is the one you mean; then this is done."),
    row(32_014, 16, "The database is not a log shipping secondary; it may have been removed already.", "Check the log shipping rows and jobs in msdb; if both are gone, this is done."),
    row(32_015, 16, "The primary is in the SIMPLE recovery model, which has no log chain.", "Set RECOVERY FULL and take a full backup before log shipping is set up."),
    row(32_016, 16, "The log shipping entry's id and kind do not fit: its rows are half removed.", "Compare the log shipping rows in msdb with the jobs, and remove what is left over."),
    row(32_017, 16, "This edition of SQL Server has no log shipping.", "Use an edition that has it."),
    row(32_018, 16, "Log shipping is not installed on this instance.", "Check that this is the right instance."),
    note(32_019, 10, "The text of a log shipping alert job; no error."),
    note(32_020, 10, "The text of a log shipping alert job; no error."),
    note(32_021, 10, "The text of a log shipping alert job; no error."),
    row(32_022, 16, "A job of this name exists that does not belong to log shipping.", "Rename or remove that job, then try again."),
    row(32_023, 16, "The primary is unknown on this secondary.", "Check the names of primary server and database; its rows may be gone already."),
    row(32_024, 16, "The primary is already entered on this secondary.", "Check that it is the one you mean; then this is done."),
    row(32_025, 16, "The primary still has secondary databases on this server.", "Remove the secondary databases first."),
    note(32_026, 10, "The text of a log shipping alert job; no error."),
    note(32_027, 10, "The text of a log shipping alert job; no error."),
    row(32_028, 16, "The alert threshold has an invalid value.", "Correct @threshold_alert."),
    note(32_029, 10, "The log backup was complete; its temporary name ending in .wrk was changed to .trn."),
    note(32_030, 10, "The monitor server could not be asked."),
    note(32_031, 10, "The monitor server could not be asked."),
    row(32_032, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_033, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_034, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_035, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_036, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_037, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_038, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_039, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_040, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_041, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_042, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_043, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_044, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_045, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_046, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_047, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_048, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_049, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_050, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_051, 10, "A report or complaint of the database mirroring monitor; the text says which.", "Read the text; it concerns only the monitor of mirroring, not mirroring itself."),
    row(32_052, 16, "A parameter is null or empty.", "Pass a value for the parameter the text names."),
    row(32_053, 16, "The server does not know its own name: @@SERVERNAME is null.", "Set it with sp_addserver and restart the instance, or ask who renamed the machine."),
    row(32_054, 16, "The link to the remote monitor server could not be made.", "If the monitor is lost, repeat with @ignoreremotemonitor = 1."),
    row(32_055, 16, "The remote monitor server could not be configured.", "If the monitor is lost, repeat with @ignoreremotemonitor = 1."),
];

/// The catalogue's row for a number.
pub fn find(number: i32) -> Option<&'static ErrorFact> {
    ERRORS.binary_search_by_key(&number, |fact| fact.number).ok().map(|at| &ERRORS[at])
}

/// True if the number only wraps an earlier error of the same batch.
pub fn is_wrapper(number: i32) -> bool {
    find(number).is_some_and(|fact| fact.wrapper)
}

/// What a Windows error code means that SQL Server gives inside the text of 3201 and its kin ("System Error Codes").
pub fn os_error_meaning(code: u32) -> Option<&'static str> {
    Some(match code {
        2 => "there is no such file at this path, as the SQL Server sees it",
        3 => "there is no such folder, as the SQL Server sees it",
        5 => "the SQL Server's service account may not open the file",
        6 | 21 => "the drive is not ready",
        19 => "the medium is write-protected",
        23 | 1117 => "the drive reports a read error",
        32 => "another process has the file open",
        33 => "another process has locked part of the file",
        38 => "the file ends too early",
        39 | 112 => "the drive is full",
        53 => "the file server was not found on the network",
        59 => "the network failed unexpectedly",
        64 => "the file server cut the connection",
        67 => "the file server has no share of this name",
        86 | 1326 => "the file server refused the SQL Server's service account",
        121 => "the file server did not answer in time",
        123 => "the path is not a valid file name",
        1231 => "the file server's network cannot be reached",
        1265 => "the domain controller cannot be reached to check the service account",
        _ => return None,
    })
}

/// The Windows error code inside a message's text: `Operating system error 5(Access is denied.)`, or as 3203 and 3202 have
/// it, `failed: 38(Reached the end of the file.)`.
pub fn os_error_in(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let number = |after: &str| {
        let at = lower.find(after)? + after.len();
        let digits: String = lower[at..].trim_start().chars().take_while(char::is_ascii_digit).collect();
        lower[at..].trim_start()[digits.len()..].starts_with('(').then(|| digits.parse().ok()).flatten()
    };
    number("operating system error").or_else(|| number("failed: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_sorted_and_come_once() {
        assert!(ERRORS.windows(2).all(|pair| pair[0].number < pair[1].number));
    }

    #[test]
    fn every_row_is_a_sentence_and_every_error_has_an_act() {
        for fact in ERRORS {
            for text in [fact.meaning, fact.act] {
                assert!(text.is_empty() || text.ends_with('.'), "{}: {text}", fact.number);
                assert!(text.starts_with(|c: char| c.is_uppercase()) || text.is_empty(), "{}: {text}", fact.number);
            }
            assert!(!fact.meaning.is_empty(), "{}", fact.number);
            assert!(fact.severity <= 10 || !fact.act.is_empty(), "{} has no act", fact.number);
            assert!(fact.severity <= 25, "{}", fact.number);
        }
    }

    #[test]
    fn rows_are_found_by_number() {
        assert_eq!(find(4305).map(|fact| fact.severity), Some(16));
        assert_eq!(find(-2).map(|fact| fact.wrapper), Some(false));
        assert!(find(32_056).is_none(), "SQL Server 2016 has no such number");
        assert!(is_wrapper(3013) && is_wrapper(5069) && !is_wrapper(3201) && !is_wrapper(1));
    }

    #[test]
    fn the_operating_system_s_code_is_read_out_of_the_text() {
        let text = "Cannot open backup device 'D:\\x.trn'. Operating system error 5(Access is denied.).";
        assert_eq!(os_error_in(text).and_then(os_error_meaning), Some("the SQL Server's service account may not open the file"));
        assert_eq!(os_error_in("Read on \"D:\\x.trn\" failed: 38(Reached the end of the file.)"), Some(38));
        assert_eq!(os_error_in("Operating system error"), None);
        assert_eq!(os_error_in("The login failed: 12 tries"), None);
        assert_eq!(os_error_in("no such thing"), None);
    }
}
