"""What every client is put through. `connection.run(text)` sends a text, shows it, and shows the whole answer."""

from lab import arguments, columns, heading, row

CATALOGUE = [
    """SELECT name, database_id, state_desc, recovery_model_desc, is_in_standby
FROM sys.databases ORDER BY database_id""",
    """SELECT DB_NAME(database_id) AS db, type_desc, name, physical_name, size, redo_start_lsn
FROM sys.master_files WHERE database_id > 4 ORDER BY file_id""",
    """SELECT session_id, host_name, program_name, login_name, status
FROM sys.dm_exec_sessions WHERE is_user_process = 1 AND program_name <> APP_NAME() ORDER BY session_id""",
    """SELECT host_name, program_name, login_name, status, DB_NAME(database_id) AS db
FROM sys.dm_exec_sessions WHERE session_id = @@SPID""",
    """SELECT DB_NAME(database_id) AS db, mirroring_guid, mirroring_role_desc
FROM sys.database_mirroring WHERE database_id > 4""",
    """SELECT s.primary_server, s.primary_database, s.backup_source_directory, s.backup_destination_directory,
  d.secondary_database, d.restore_mode, d.disconnect_users
FROM msdb.dbo.log_shipping_secondary AS s
JOIN msdb.dbo.log_shipping_secondary_databases AS d ON d.secondary_id = s.secondary_id""",
    "SELECT name, enabled, category_id FROM msdb.dbo.sysjobs ORDER BY name",
    """SELECT TOP 3 h.restore_history_id, h.destination_database_name, h.restore_type, b.database_name, b.type, b.first_lsn,
  b.last_lsn, b.backup_start_date, b.is_copy_only
FROM msdb.dbo.restorehistory AS h JOIN msdb.dbo.backupset AS b ON b.backup_set_id = h.backup_set_id
ORDER BY h.restore_history_id DESC""",
    "SELECT @@SERVERNAME, SERVERPROPERTY('Edition') AS edition, IS_SRVROLEMEMBER('sysadmin') AS sysadmin",
]

SETS = """SET NOCOUNT OFF
SELECT 1 AS one, N'first' AS set_name
PRINT N'between the sets'
SELECT name FROM sys.databases WHERE database_id IN (1, 3)
SELECT name FROM sys.databases WHERE 1 = 0
RAISERROR (N'%s of %d', 5, 7, N'a warning', 1)
SELECT 3 AS last"""

ERRORS = [
    "SELEC 1",
    "SELECT * FROM nowhere",
    "SELECT nothing FROM sys.databases",
    "EXEC sp_nothing",
    "SELECT CONVERT(int, N'abc')",
    "SELECT 1 AS before_it\nRAISERROR (N'raised', 16, 3)\nSELECT 2 AS after_it",
    "KILL 32000",
    "KILL 1",
    "USE nowhere",
    "DECLARE @a int\nSELECT @b",
]


# far more than fits on the way to a client that stops reading
MANY = """SELECT REPLICATE(N'x', 1000) AS text FROM sys.databases AS a
CROSS JOIN sys.databases AS b CROSS JOIN sys.databases AS c CROSS JOIN sys.databases AS d CROSS JOIN sys.databases AS e"""


class Connection:
    """What is the same with every DB-API module: `self.cursor` is its cursor, and `run` the module's own."""

    def set(self, show):
        if self.cursor.description:
            columns([column[0] for column in self.cursor.description])
            for values in self.cursor.fetchall():
                row(values, show)
        if self.cursor.rowcount >= 0:
            print(f"  ({self.cursor.rowcount} rows)")

    def restore(self, file):
        return self.run(f"RESTORE LOG mgc FROM DISK = N'{file}' WITH NORECOVERY")

    def who_is_in(self, database):
        self.cursor.execute("exec sp_who2")
        return [int(values[0]) for values in self.cursor.fetchall() if values[5] == database]


def catalogue(connection):
    heading("catalogue")
    for text in CATALOGUE:
        connection.run(text)


def sessions(connection):
    """To be called on the first connection of all: then its id is the same in every run."""
    heading("sp_who2")
    connection.run("exec sp_who2")


def sets_and_messages(connection):
    heading("several sets and messages")
    connection.run(SETS)


def errors(connection, lab):
    heading("errors")
    for text in ERRORS:
        connection.run(text)
    heading("a log backup that is too recent")
    last = lab.copied()[-1]
    connection.run(f"RESTORE LOG mgc FROM DISK = N'{last}' WITH NORECOVERY")


def version(connection):
    """What tells an older server from a newer one."""
    heading("version")
    connection.run("SELECT SERVERPROPERTY('ProductVersion') AS version, N'ü and 🙂' AS text")
    connection.run("SELECT database_id FROM sys.dm_exec_sessions WHERE session_id = @@SPID")
    connection.run("SELECT CONCAT(N'a', N'b') AS joined")
    connection.run("exec sp_describe_undeclared_parameters N'SELECT @a'")


def failover(connection, lab):
    """Steps 1 to 4 of the procedure, in autocommit, from a connection to master."""
    heading("step 1: remove log shipping")
    connection.run("exec sp_delete_log_shipping_secondary_database mgc")
    heading("step 2: copy what is not copied yet")
    for name in lab.copy_uncopied():
        print("  " + name)
    heading("step 3: apply what is not applied yet, in sequence")
    for file in lab.copied():
        applied = connection.restore(file)
        if not applied and connection.who_is_in("mgc"):
            # readers of a database in STANDBY: step 4.1 comes early
            end_readers(connection)
            connection.restore(file)
    heading("step 4.1: end all connections to mgc")
    end_readers(connection)
    heading("step 4.2: bring the database online")
    connection.run("restore database mgc with recovery")
    connection.run("SELECT name, state_desc, is_in_standby, user_access_desc FROM sys.databases WHERE name = N'mgc'")
    connection.run("restore database mgc with recovery")


def end_readers(connection):
    """KILL, for each session that sp_who2 shows in mgc."""
    for number in connection.who_is_in("mgc"):
        connection.run(f"kill {number}")


def without_autocommit(connection, lab):
    heading("without autocommit")
    connection.run("SELECT @@TRANCOUNT AS open_transactions")
    connection.run(f"RESTORE LOG mgc FROM DISK = N'{lab.copied()[0]}' WITH NORECOVERY")
    connection.run("restore database mgc with recovery")
    connection.run("BACKUP LOG mgc TO DISK = N'D:\\LogShip\\tail.trn' WITH NORECOVERY")
    connection.run("ALTER DATABASE mgc SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
    connection.run("KILL 60")


def play(connect, talk, encryption):
    """The part that the script was started with; `connect(lab)` is a connection to a lab."""
    lab, part = arguments()
    match part:
        case "talk":
            talk(lab)
        case "failover":
            failover(connect(lab), lab)
        case "version":
            version(connect(lab))
        case "encryption":
            encryption(lab)
