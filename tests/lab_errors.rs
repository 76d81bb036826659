//! Every message that the lab's SQL Server can raise: how it is brought about, and what then comes, in order, with number,
//! severity and state. The table of numbers is the lab's own, so that one without a row here fails. Told by our own client,
//! and by FreeTDS's `tsql` where it is installed.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::Site;
use cutover::lab::MESSAGES;
use cutover::sqlserver::{Batch, Connection, Message, Password, Target};
use tokio::task::JoinHandle;

/// What a lab opens with, and what is done in it, in order. A case is the numbers that must come and how to bring them about:
/// a line each, sent on the connection `main` unless the line begins with another's name; `>` marks the line whose answer is
/// judged, if it is not the last. `{13}` is log backup 13 in the copy folder, `{other}` a connection's session id. Besides
/// T-SQL: `login USER PASSWORD DATABASE`; of files `cut FILE BYTES`, `flip FILE BYTE`, `add FILE TEXT`, `write FILE TEXT`,
/// `remove FILE`, `full FILE`; `NAME meanwhile TEXT` sends and waits until the server is at it, `ended NAME` is its answer.
struct Scene {
    name: &'static str,
    scenario: &'static str,
    pace: f64,
    cases: &'static [(&'static [i32], &'static str)],
}

const SCENES: &[Scene] = &[
    Scene {
        name: "T-SQL that is not understood, or not carried out",
        scenario: "",
        pace: 0.0,
        cases: &[
            (&[102], "RESTORE DATABASE mgc"),
            (&[105], "SELECT 'x"),
            (&[107], "SELECT x.* FROM sys.databases"),
            (&[108], "SELECT name FROM sys.databases ORDER BY 7"),
            (&[113], "SELECT 1 /* x"),
            (&[116], "SELECT (SELECT 1, 2)"),
            (&[119], "EXEC sp_getapplock @Resource = 'x', 'Shared'"),
            (&[134], "DECLARE @a int DECLARE @a int"),
            (&[137], "SELECT @a"),
            (&[141], "DECLARE @a int SELECT @a = 1, 2"),
            (&[148], "WAITFOR DELAY 'soon'"),
            (&[155], "RESTORE DATABASE mgc WITH NONSENSE"),
            (&[156], "RESTORE SELECT"),
            (&[174], "SELECT ISNULL(1)"),
            (&[191], "{deep}SELECT 1"),
            (&[195], "SELECT NONSENSE(1)"),
            (&[201], "EXEC sp_delete_log_shipping_secondary_database"),
            (&[205], "SELECT 1 UNION SELECT 1, 2"),
            (&[207], "SELECT nothing FROM sys.databases"),
            (&[208], "SELECT 1 FROM nothing"),
            (&[209], "SELECT name FROM sys.databases a CROSS JOIN sys.master_files b"),
            (&[214], "EXEC sp_executesql"),
            (&[226], "BEGIN TRAN ALTER DATABASE mgccomp SET RECOVERY SIMPLE ROLLBACK"),
            (&[229], "DELETE FROM msdb.dbo.backupset"),
            (&[241], "SELECT CAST('x' AS datetime)"),
            (&[243], "SELECT CAST(1 AS nonsense)"),
            (&[245], "SELECT CAST('x' AS int)"),
            (&[262], "CREATE TABLE t (a int)"),
            (&[263], "SELECT *"),
            (&[281], "SELECT CONVERT(varchar(20), GETDATE(), 999)"),
            (&[402], "SELECT GETDATE() * 2"),
            (&[517], "SELECT DATEADD(year, 9000, GETDATE())"),
            (&[529], "SELECT CAST(GETDATE() AS uniqueidentifier)"),
            (&[535], "SELECT DATEDIFF(ms, '19000101', '20260101')"),
            (&[537], "SELECT SUBSTRING('abc', 1, -1)"),
            (&[1007], "SELECT 123456789012345678901234567890123456789"),
            (&[1223], "EXEC sp_releaseapplock 'x', 'Session'"),
            (&[1230], "EXEC sp_getapplock 'x', 'Shared'"),
            (&[1231], "EXEC sp_getapplock 'x', 'Shared', 'Nobody'"),
            (&[2715], "DECLARE @a nonsense"),
            (&[2732], "RAISERROR(5, 16, 1)"),
            (&[2754], "RAISERROR('x', 20, 1)"),
            (&[2812], "EXEC nothing"),
            (&[3902], "COMMIT"),
            (&[3903], "ROLLBACK"),
            (&[4104], "SELECT x.name FROM sys.databases d"),
            (&[4121], "SELECT dbo.f()"),
            (&[4145], "IF 1 SELECT 1"),
            (&[5701], "USE msdb"),
            (&[5703], "SET LANGUAGE us_english"),
            (&[7202], "EXEC a.b.c.d"),
            (&[8114], "EXEC sp_getapplock 'x', 'Shared', 'Session', 'long'"),
            (&[8115], "SELECT CAST(99999999999 AS int)"),
            (&[8117], "SELECT SUM(name) FROM sys.databases"),
            (&[8134], "SELECT 1 / 0"),
            (&[8144], "EXEC sp_who2 'sa', 2"),
            (&[8145], "EXEC sp_who2 @nothing = 1"),
            (&[8155], "SELECT * FROM (SELECT 1) x"),
            (&[8169], "SELECT CAST('x' AS uniqueidentifier)"),
            (&[8178], "EXEC sp_executesql N'SELECT @a', N'@a int'"),
            (&[8623], "SELECT name FROM sys.databases WHERE COUNT(*) > 1"),
            (&[10704], "THROW"),
            (&[10741], "SELECT TOP 1 name FROM sys.databases ORDER BY name OFFSET 1 ROWS"),
            (&[15007], "EXEC sp_who2 'nobody'"),
            (&[15250], "USE master\nEXEC sp_tables @table_qualifier = 'msdb'"),
            (&[18054], "RAISERROR(60000, 16, 1)"),
            (&[35100], "THROW 5, 'x', 1"),
        ],
    },
    Scene {
        name: "logins, sessions and states",
        scenario: "",
        pace: 0.0,
        cases: &[
            (&[18456], "login cutover wrong master"),
            (&[4060, 18456], "login cutover right mgc"),
            (&[911], "USE nowhere"),
            (&[927], "USE mgc"),
            (&[5011, 5069], "ALTER DATABASE nowhere SET MULTI_USER"),
            (&[5052, 5069], "ALTER DATABASE mgc SET MULTI_USER"),
            (&[5058, 5069], "ALTER DATABASE master SET SINGLE_USER"),
            (&[195, 5069], "ALTER DATABASE mgccomp SET NONSENSE"),
            (&[5070, 5069], "other USE mgccomp\nALTER DATABASE mgccomp SET SINGLE_USER"),
            (&[5061, 5069], "ALTER DATABASE mgccomp SET OFFLINE"),
            (&[3702], "DROP DATABASE mgccomp"),
            (&[924], "other ALTER DATABASE mgccomp SET SINGLE_USER\nUSE mgccomp"),
            (&[5064, 5069], "ALTER DATABASE mgccomp SET MULTI_USER"),
            (&[5060], "other ALTER DATABASE mgccomp SET MULTI_USER\nALTER DATABASE mgccomp SET SINGLE_USER WITH ROLLBACK IMMEDIATE"),
            (&[942], "ALTER DATABASE mgccomp SET MULTI_USER\nALTER DATABASE mgccomp SET OFFLINE\nUSE mgccomp"),
            (&[3701], "DROP DATABASE nowhere"),
            (&[3708], "DROP DATABASE msdb"),
            (&[6101], "KILL 70000"),
            (&[6104], "DECLARE @text nvarchar(20) SET @text = N'KILL ' + CAST(@@SPID AS nvarchar(10)) EXEC (@text)"),
            (&[6106], "KILL 900"),
            (&[6107], "KILL 7"),
            (&[6112], "KILL 'd5499c66-e398-45ca-bf7e-dc9c194b48cf'"),
            (&[6115], "BEGIN TRAN KILL 52 ROLLBACK"),
            (&[6120], "KILL 52 WITH STATUSONLY"),
            (&[596], "victim meanwhile WAITFOR DELAY '00:01:00'\nKILL {victim}\nended victim"),
        ],
    },
    Scene {
        name: "RESTORE and BACKUP",
        scenario: "",
        pace: 0.0,
        cases: &[
            (&[3013], "> RESTORE DATABASE mgc WITH RECOVERY, NORECOVERY"),
            (&[3021, 3013], "BEGIN TRAN RESTORE DATABASE mgc WITH RECOVERY ROLLBACK"),
            (&[3031, 3013], "RESTORE DATABASE mgc WITH RECOVERY, NORECOVERY"),
            (&[3044, 3013], "RESTORE LOG mgc FROM DISK = '' WITH NORECOVERY"),
            (&[3108, 3013], "RESTORE DATABASE model FROM DISK = '{13}'"),
            (&[3117, 3013], "RESTORE LOG mgccomp FROM DISK = '{13}' WITH NORECOVERY"),
            (&[3118, 3013], "RESTORE LOG nowhere FROM DISK = '{13}' WITH NORECOVERY"),
            (&[3187, 3013], "RESTORE LOG mgc FROM DISK = '{13}' WITH NORECOVERY, CHECKSUM"),
            (&[3201, 3013], "RESTORE LOG mgc FROM DISK = 'D:\\LogShip\\nothing.trn' WITH NORECOVERY"),
            (&[3206, 3013], "RESTORE LOG mgc FROM tape WITH NORECOVERY"),
            (&[3231, 3013], "RESTORE LOG mgc FROM DISK = '{13}', DISK = '{14}' WITH NORECOVERY"),
            (&[3262], "RESTORE VERIFYONLY FROM DISK = '{13}'"),
            (&[4038, 3013], "RESTORE LOG mgc FROM DISK = '{13}' WITH NORECOVERY, FILE = 2"),
            (&[4305, 3013], "RESTORE LOG mgc FROM DISK = '{14}' WITH NORECOVERY"),
            (&[4326, 3013], "RESTORE LOG mgc FROM DISK = '{12}' WITH NORECOVERY"),
            (&[3211, 3211, 4035, 4035, 3014], "RESTORE LOG mgc FROM DISK = '{13}' WITH NORECOVERY, STATS = 50"),
            (&[3153, 3013], "RESTORE DATABASE mgc WITH RECOVERY\nRESTORE DATABASE mgc WITH RECOVERY"),
            (&[4208, 3013], "BACKUP LOG master TO DISK = 'D:\\LogShip\\x.trn'"),
            (&[4035, 4035, 3014], "BACKUP DATABASE mgccomp TO DISK = 'D:\\LogShip\\c.bak' WITH CHECKSUM"),
            (&[3135, 3013], "RESTORE LOG mgccomp FROM DISK = 'D:\\LogShip\\c.bak'"),
            (&[3154, 3013], "RESTORE DATABASE mgc FROM DISK = 'D:\\LogShip\\c.bak'"),
            (&[3159, 3013], "RESTORE DATABASE mgccomp FROM DISK = 'D:\\LogShip\\c.bak'"),
            (&[3234, 3013], "RESTORE DATABASE copy FROM DISK = 'D:\\LogShip\\c.bak' WITH MOVE 'x' TO 'E:\\Data\\x.mdf'"),
            (&[1834, 3156, 1834, 3156, 3119, 3013], "RESTORE DATABASE copy FROM DISK = 'D:\\LogShip\\c.bak' WITH NORECOVERY"),
            (
                &[5133, 3156, 1834, 3156, 3119, 3013],
                "RESTORE DATABASE copy FROM DISK = 'D:\\LogShip\\c.bak' WITH NORECOVERY, MOVE 'mgccomp_data' TO 'Q:\\x.mdf'",
            ),
            (
                &[3141, 3013],
                "RESTORE DATABASE copy FROM DISK = 'D:\\LogShip\\c.bak' WITH NORECOVERY, MOVE 'mgccomp_data' TO 'E:\\Data\\x.mdf', \
                 MOVE 'mgccomp_log' TO 'E:\\Data\\x.ldf'\n\
                 RESTORE DATABASE copy FROM DISK = 'D:\\LogShip\\c.bak' WITH NORECOVERY",
            ),
            (
                &[3120, 3013],
                "BACKUP DATABASE mgccomp TO DISK = 'D:\\LogShip\\d.bak' WITH DIFFERENTIAL\n\
                 RESTORE DATABASE copy FROM DISK = 'D:\\LogShip\\d.bak' WITH NORECOVERY\n\
                 RESTORE DATABASE copy FROM DISK = 'D:\\LogShip\\d.bak' WITH NORECOVERY",
            ),
            (
                &[3136, 3013],
                "BACKUP DATABASE mgccomp TO DISK = 'D:\\LogShip\\c2.bak'\n\
                 BACKUP DATABASE mgccomp TO DISK = 'D:\\LogShip\\d2.bak' WITH DIFFERENTIAL\n\
                 RESTORE DATABASE copy FROM DISK = 'D:\\LogShip\\d2.bak' WITH NORECOVERY",
            ),
            (
                &[4214, 3013],
                "ALTER DATABASE mgccomp SET RECOVERY SIMPLE\nALTER DATABASE mgccomp SET RECOVERY FULL\nBACKUP LOG mgccomp TO DISK = 'D:\\LogShip\\l.trn'",
            ),
            (
                &[4312, 3013],
                "BACKUP DATABASE mgccomp TO DISK = 'D:\\LogShip\\c3.bak'\n\
                 BACKUP LOG mgccomp TO DISK = 'D:\\LogShip\\l.trn'\n\
                 RESTORE LOG copy FROM DISK = 'D:\\LogShip\\l.trn' WITH NORECOVERY",
            ),
            (&[3183, 3013], "flip copy/c.bak -1\nRESTORE VERIFYONLY FROM DISK = 'D:\\LogShip\\c.bak'"),
            (&[3242, 3013], "add copy/d.bak this is not a set\nRESTORE HEADERONLY FROM DISK = 'D:\\LogShip\\d.bak'"),
            (&[3266, 3013], "BACKUP DATABASE mgccomp TO DISK = 'D:\\LogShip\\d.bak'"),
            (&[3202, 3013], "full copy/f.bak\nBACKUP DATABASE mgccomp TO DISK = 'D:\\LogShip\\f.bak' WITH INIT"),
        ],
    },
    Scene {
        name: "damaged files",
        scenario: "[[fault]]\nkind = \"truncated-log\"\nlog = 13\n[[fault]]\nkind = \"truncated-log\"\nlog = 14\nkeep = 60\n\
                   [[fault]]\nkind = \"empty-file\"\nlog = 15\n[[fault]]\nkind = \"damaged-log\"\nlog = 16\n\
                   [[fault]]\nkind = \"other-fork\"\nlog = 13\n",
        pace: 0.0,
        cases: &[
            (&[3203, 3013], "RESTORE LOG mgc FROM DISK = '{13}' WITH NORECOVERY"),
            (&[3241, 3013], "RESTORE LOG mgc FROM DISK = '{14}' WITH NORECOVERY"),
            (&[3254, 3013], "RESTORE LOG mgc FROM DISK = '{15}' WITH NORECOVERY"),
            (&[3189, 3013], "RESTORE VERIFYONLY FROM DISK = '{16}'"),
            (&[4330, 3013], "RESTORE LOG mgc FROM DISK = 'D:\\LogShip\\mgc_20260305090911.trn' WITH NORECOVERY"),
        ],
    },
    Scene {
        name: "a database that is read between restores",
        scenario: "standby = true\nreaders = 1\n",
        pace: 0.0,
        cases: &[
            (&[3036, 3013], "BACKUP DATABASE mgc TO DISK = 'D:\\LogShip\\x.bak'"),
            (&[3101, 3013], "RESTORE LOG mgc FROM DISK = '{13}' WITH NORECOVERY"),
            (&[3102, 3013], "USE mgc RESTORE DATABASE mgc WITH RECOVERY"),
            (&[5063, 5069], "ALTER DATABASE mgc SET RECOVERY SIMPLE"),
            (
                &[3441, 3013],
                "USE master\nALTER DATABASE mgc SET SINGLE_USER WITH ROLLBACK IMMEDIATE\nremove data/mgc.tuf\n\
                 RESTORE LOG mgc FROM DISK = '{13}' WITH NORECOVERY",
            ),
            (&[945], "ALTER DATABASE mgc SET OFFLINE\nALTER DATABASE mgc SET ONLINE\nUSE mgc"),
            (&[3445], "write data/mgc.tuf not an undo file\nRESTORE DATABASE mgc WITH RECOVERY"),
        ],
    },
    Scene {
        name: "an older primary",
        scenario: "primary-version = [11, 0, 3000]\n",
        pace: 0.0,
        cases: &[
            (&[3180, 3013], "RESTORE LOG mgc FROM DISK = '{13}' WITH STANDBY = 'E:\\Data\\mgc.tuf'"),
            (&[951, 3014], "RESTORE DATABASE mgc WITH RECOVERY"),
        ],
    },
    Scene {
        name: "a newer primary",
        scenario: "version = \"2008R2\"\nprimary-version = [12, 0, 6024]\n",
        pace: 0.0,
        cases: &[(&[3169, 3013], "RESTORE LOG mgc FROM DISK = '{13}' WITH NORECOVERY")],
    },
    Scene {
        name: "what takes its time",
        scenario: "restore-seconds = 60\nrecovery-seconds = 1.5\ncopy-job-seconds = 0\n",
        pace: 1.0,
        cases: &[
            (
                &[3023, 3013],
                "other meanwhile BACKUP DATABASE mgccomp TO DISK = 'D:\\LogShip\\c.bak'\n\
                 BACKUP DATABASE mgccomp TO DISK = 'D:\\LogShip\\d.bak'",
            ),
            (&[3256, 3013], "KILL {other}\nended other\nRESTORE VERIFYONLY FROM DISK = 'D:\\LogShip\\c.bak'"),
            (
                &[4319, 3013],
                "third meanwhile RESTORE LOG mgc FROM DISK = '{13}' WITH NORECOVERY\nKILL {third}\nended third\n\
                 RESTORE LOG mgc FROM DISK = '{14}' WITH NORECOVERY",
            ),
            (&[6109], "fourth BEGIN TRAN\nKILL {fourth}\nKILL {fourth} WITH STATUSONLY"),
        ],
    },
    Scene {
        name: "recovery",
        scenario: "recovery-seconds = 4\ncopy-job-seconds = 0\n",
        pace: 1.0,
        cases: &[(&[922], "other meanwhile RESTORE DATABASE mgc WITH RECOVERY\nUSE mgc")],
    },
    Scene {
        name: "log shipping and jobs",
        scenario: "[[fault]]\nkind = \"monitor-silent\"\n",
        pace: 0.0,
        cases: &[
            (&[5001], "USE msdb EXEC sp_help_log_shipping_monitor"),
            (&[32014], "EXEC master.dbo.sp_delete_log_shipping_secondary_database 'nothing'"),
            (&[32052], "EXEC master.dbo.sp_delete_log_shipping_secondary_database ''"),
            (&[32054], "EXEC master.dbo.sp_delete_log_shipping_secondary_database 'mgc'"),
            (&[32025], "EXEC master.dbo.sp_delete_log_shipping_secondary_primary 'PCHAT-SQL-01', 'mgc'"),
            (&[32023], "EXEC master.dbo.sp_delete_log_shipping_secondary_primary 'NOBODY', 'mgc'"),
            (&[32012], "EXEC master.dbo.sp_add_log_shipping_secondary_primary 'PCHAT-SQL-01', 'mgc', '\\\\a\\b', 'D:\\LogShip', 'c', 'r'"),
            (
                &[32013],
                "EXEC master.dbo.sp_add_log_shipping_secondary_primary 'X', 'mgc', '\\\\a\\b', 'D:\\LogShip', 'c', 'r'\n\
                 EXEC master.dbo.sp_add_log_shipping_secondary_database 'mgc', 'X', 'mgc'",
            ),
            (&[14261], "EXEC msdb.dbo.sp_update_job @job_name = 'c', @new_name = 'r'"),
            (&[14262], "EXEC msdb.dbo.sp_start_job 'nothing'"),
            (&[14294], "EXEC msdb.dbo.sp_start_job"),
            (&[22022], "EXEC msdb.dbo.sp_stop_job 'c'"),
            (&[32010], "EXEC master.dbo.sp_delete_log_shipping_primary_database 'mgccomp'"),
            (&[32015], "EXEC master.dbo.sp_add_log_shipping_primary_database 'msdb', 'D:\\LogShip', '\\\\a\\b'"),
            (
                &[32009],
                "EXEC master.dbo.sp_add_log_shipping_primary_database 'mgccomp', 'D:\\LogShip', '\\\\a\\b'\n\
                 EXEC master.dbo.sp_add_log_shipping_primary_database 'mgccomp', 'D:\\LogShip', '\\\\a\\b'",
            ),
            (
                &[32011],
                "EXEC master.dbo.sp_add_log_shipping_primary_secondary 'mgccomp', 'DR', 'mgccomp'\n\
                 EXEC master.dbo.sp_delete_log_shipping_primary_database 'mgccomp'",
            ),
            (&[32016], "EXEC master.dbo.sp_cleanup_log_shipping_history '00000000-0000-0000-0000-000000000001', 2"),
        ],
    },
    Scene {
        name: "mirroring",
        scenario: "",
        pace: 0.0,
        cases: &[
            (&[1416], "ALTER DATABASE mgccomp SET PARTNER OFF"),
            (&[1418], "ALTER DATABASE mgccomp SET PARTNER = 'TCP://nowhere:5022'"),
            (&[1452], "ALTER DATABASE mgccomp SET PARTNER = 'TCP://dr-sql-01.litwareinc.com:5022'"),
            (&[1448], "ALTER DATABASE mgccomp SET PARTNER = 'TCP://dr-sql-02.litwareinc.com:5022'"),
            (
                &[1464],
                "BACKUP DATABASE mgccomp TO DISK = '\\\\dr-fs-01\\LogShip\\c.bak'\n\
                 mirror RESTORE DATABASE mgccomp FROM DISK = '\\\\dr-fs-01\\LogShip\\c.bak'\n\
                 ALTER DATABASE mgccomp SET PARTNER = 'TCP://dr-sql-02.litwareinc.com:5022'",
            ),
            (
                &[1412],
                "mirror RESTORE DATABASE mgccomp FROM DISK = '\\\\dr-fs-01\\LogShip\\c.bak' WITH REPLACE, NORECOVERY\n\
                 mirror ALTER DATABASE mgccomp SET PARTNER = 'TCP://dr-sql-01.litwareinc.com:5022'\n\
                 BACKUP LOG mgccomp TO DISK = '\\\\dr-fs-01\\LogShip\\l.trn'\n\
                 ALTER DATABASE mgccomp SET PARTNER = 'TCP://dr-sql-02.litwareinc.com:5022'",
            ),
            (
                &[1405],
                "mirror RESTORE LOG mgccomp FROM DISK = '\\\\dr-fs-01\\LogShip\\l.trn' WITH NORECOVERY\n\
                 ALTER DATABASE mgccomp SET PARTNER = 'TCP://dr-sql-02.litwareinc.com:5022'\n\
                 ALTER DATABASE mgccomp SET PARTNER = 'TCP://dr-sql-02.litwareinc.com:5022'",
            ),
            // the roles change, and change back
            (&[954], "ALTER DATABASE mgccomp SET PARTNER FAILOVER\nUSE mgccomp"),
            (&[5701], "mirror USE mgccomp"),
            (&[954], "mirror USE master\nmirror ALTER DATABASE mgccomp SET PARTNER FAILOVER\nmirror USE mgccomp"),
            (&[1468], "ALTER DATABASE mgccomp SET PARTNER SUSPEND\nALTER DATABASE mgccomp SET PARTNER FAILOVER"),
            (&[3104, 3013], "RESTORE DATABASE mgccomp WITH RECOVERY"),
            (&[3743], "DROP DATABASE mgccomp"),
            (
                &[1465],
                "ALTER DATABASE mgccomp SET PARTNER OFF\nALTER DATABASE mgccomp SET RECOVERY SIMPLE\n\
                 ALTER DATABASE mgccomp SET PARTNER = 'TCP://dr-sql-02.litwareinc.com:5022'",
            ),
        ],
    },
    Scene {
        name: "a login that may do nothing",
        scenario: "login = \"reader\"\n",
        pace: 0.0,
        cases: &[
            (&[229], "SELECT * FROM msdb.dbo.log_shipping_secondary"),
            (&[262, 3013], "RESTORE HEADERONLY FROM DISK = '{13}'"),
            (&[300, 297], "SELECT * FROM sys.dm_exec_connections"),
            (&[916], "USE mgccomp"),
            (&[3110, 3013], "RESTORE DATABASE mgc WITH RECOVERY"),
            (&[6102], "KILL 52"),
            (&[21089], "EXEC sp_help_log_shipping_monitor"),
        ],
    },
];

/// The time at which every scene opens: file names and dates follow from it.
const NOW: &str = "now = \"2026-03-05T12:00:00Z\"\n";

/// Log backup `number` as the server names it.
fn log_backup(number: i64) -> String {
    let at: jiff::civil::DateTime = "2026-03-05T12:00:00".parse().unwrap();
    let at = at.saturating_sub(jiff::Span::new().minutes((24 - number) * 15 + 6));
    format!("D:\\LogShip\\mgc_{}.trn", at.strftime("%Y%m%d%H%M%S"))
}

/// Whoever sends the line that is judged.
#[derive(Clone, Copy, PartialEq)]
enum Client {
    Ours,
    Tsql,
}

/// A scene that is open.
struct Stage {
    site: Site,
    connections: BTreeMap<String, Connection>,
    busy: BTreeMap<String, (u16, JoinHandle<Vec<Message>>)>,
    client: Client,
}

impl Stage {
    async fn open(scene: &Scene, client: Client) -> Self {
        let site = Site::paced(&format!("{NOW}{}", scene.scenario), scene.pace).await;
        Self { site, connections: BTreeMap::new(), busy: BTreeMap::new(), client }
    }

    fn target(&self, name: &str) -> Target {
        let server = if name == "mirror" { "backup_mirror" } else { "backup" };
        self.site.target(server, "cutover test")
    }

    fn text(&self, line: &str) -> String {
        let mut text = line.replace("{deep}", &"IF 1 = 1 ".repeat(70));
        for number in 12..=16 {
            text = text.replace(&format!("{{{number}}}"), &log_backup(number));
        }
        let ids = self.connections.iter().map(|(name, connection)| (name, connection.session_id()));
        for (name, id) in ids.chain(self.busy.iter().map(|(name, (id, _))| (name, *id))) {
            text = text.replace(&format!("{{{name}}}"), &id.to_string());
        }
        text
    }

    async fn connection(&mut self, name: &str) -> Connection {
        match self.connections.remove(name) {
            Some(connection) => connection,
            None => Connection::open(&Arc::new(self.target(name))).await.unwrap(),
        }
    }

    async fn send(&mut self, name: &str, text: &str) -> Vec<Message> {
        let text = self.text(text);
        let mut connection = self.connection(name).await;
        let messages = sent(&mut connection, &text).await;
        if connection.is_open() {
            self.connections.insert(name.to_owned(), connection);
        }
        messages
    }

    /// One line; its messages.
    async fn line(&mut self, line: &str, judged: bool) -> Vec<Message> {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        match words.as_slice() {
            ["login", user, rest] => {
                let (password, database) = rest.split_once(' ').unwrap();
                let mut target = self.target("main");
                (*user).clone_into(&mut target.user);
                database.clone_into(&mut target.database);
                if password != "right" {
                    target.password = Password::known(password);
                }
                Connection::open(&Arc::new(target)).await.map(|_| ()).unwrap_err().messages().to_vec()
            }
            ["flip", file, byte] => self.edit(file, |bytes| {
                let at = byte.parse::<isize>().unwrap().rem_euclid(bytes.len() as isize);
                bytes[at as usize] ^= 1;
            }),
            ["add", file, text] => self.edit(file, |bytes| bytes.extend_from_slice(text.as_bytes())),
            ["write", file, text] => self.edit(file, |bytes| *bytes = text.as_bytes().to_vec()),
            ["remove", file] => {
                std::fs::remove_file(self.file(file)).unwrap();
                Vec::new()
            }
            ["full", file] => {
                std::os::unix::fs::symlink("/dev/full", self.file(file)).unwrap();
                Vec::new()
            }
            ["ended", name] => {
                let (_, task) = self.busy.remove(*name).unwrap();
                task.await.unwrap()
            }
            [name, "meanwhile", text] => {
                let mut connection = self.connection(name).await;
                let (id, text) = (connection.session_id(), self.text(text));
                let task = tokio::spawn(async move { sent(&mut connection, &text).await });
                self.busy.insert((*name).to_owned(), (id, task));
                self.until_at_it(id).await;
                Vec::new()
            }
            [name @ ("other" | "third" | "fourth" | "mirror"), ..] => self.send(name, &line[name.len() + 1..]).await,
            _ if judged && self.client == Client::Tsql => self.tsql(line),
            _ => self.send("main", line).await,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.site.folder().join(name)
    }

    fn edit(&self, file: &str, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<Message> {
        let path = self.file(file);
        let mut bytes = std::fs::read(&path).unwrap_or_default();
        edit(&mut bytes);
        std::fs::write(path, bytes).unwrap();
        Vec::new()
    }

    /// Waits until the server is in the middle of what a session asked for.
    async fn until_at_it(&mut self, id: u16) {
        let at_it = format!(
            "SELECT COUNT(*) FROM sys.dm_exec_requests r WHERE r.session_id = {id} AND (r.command = 'WAITFOR' OR r.percent_complete > 0 \
             OR EXISTS (SELECT 1 FROM sys.databases d WHERE d.state = 2) OR r.command LIKE 'BACKUP%')"
        );
        for _ in 0..600 {
            let mut connection = self.connection("watch").await;
            let count = connection.run(&Batch::read(&at_it)).await.unwrap().integer();
            self.connections.insert("watch".to_owned(), connection);
            if count == Some(1) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("session {id} is not at it");
    }

    /// The same text through `tsql`: number, severity and state of what it shows.
    fn tsql(&self, line: &str) -> Vec<Message> {
        let target = self.target("main");
        let password = std::fs::read_to_string(self.site.folder().join("password")).unwrap();
        let mut child = Command::new("tsql")
            .args(["-o", "q", "-H", &target.host, "-p", &target.port.to_string(), "-U", &target.user, "-P", &password])
            .env("TDSVER", "7.4")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(format!("{}\ngo\nexit\n", self.text(line)).as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned() + String::from_utf8_lossy(&output.stderr).as_ref();
        shown.lines().filter_map(told).collect()
    }
}

/// `Msg 4305 (severity 16, state 1) from DR-SQL-01\RTC Line 1:`
fn told(line: &str) -> Option<Message> {
    let mut numbers = line.strip_prefix("Msg ")?.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut next = || numbers.next()?.parse::<i32>().ok();
    Some(Message {
        number: next()?,
        severity: u8::try_from(next()?).ok()?,
        state: u8::try_from(next()?).ok()?,
        text: String::new(),
        server: String::new(),
        procedure: String::new(),
        line: 0,
    })
}

async fn sent(connection: &mut Connection, text: &str) -> Vec<Message> {
    match connection.run(&Batch::change(text).without_limit()).await {
        Ok(answer) => answer.messages,
        Err(failure) => failure.messages().to_vec(),
    }
}

fn shown(messages: &[Message]) -> Vec<(i32, u8, u8)> {
    messages.iter().map(|message| (message.number, message.severity, message.state)).collect()
}

/// Plays a scene; the messages of each case's judged line.
async fn play(scene: &Scene, client: Client) -> Vec<Vec<Message>> {
    let mut stage = Stage::open(scene, client).await;
    let mut answers = Vec::new();
    for (_, how) in scene.cases {
        let lines: Vec<&str> = how.lines().collect();
        let marked = lines.iter().position(|line| line.starts_with("> ")).unwrap_or(lines.len() - 1);
        let mut answer = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let messages = stage.line(line.trim_start_matches("> "), at == marked).await;
            if at == marked {
                answer = messages;
            }
        }
        answers.push(answer);
    }
    for (_, (_, task)) in stage.busy {
        task.abort();
    }
    drop(stage.connections);
    stage.site.stop([]).await;
    answers
}

/// What a number needs, as a line of the transcript; lengths of time are not the same twice.
fn transcript(scene: &Scene, answers: &[Vec<Message>]) -> String {
    let mut out = format!("== {} ==\n", scene.name);
    for ((_, how), answer) in scene.cases.iter().zip(answers) {
        for line in how.lines() {
            out.push_str(&format!("{}\n", line.trim_start_matches("> ").replace("{deep}", "IF 1 = 1 IF 1 = 1 ... ")));
        }
        for message in answer {
            let procedure = if message.procedure.is_empty() { String::new() } else { format!(" in {}", message.procedure) };
            let text = match message.number {
                3014 | 6109 => "...",
                _ => &message.text,
            };
            out.push_str(&format!("    Msg {}, Level {}, State {}{procedure}: {text}\n", message.number, message.severity, message.state));
        }
    }
    out.push('\n');
    out
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

#[test]
fn every_number_is_raised_in_its_order_with_severity_and_state() {
    let mut text = String::new();
    let mut raised = BTreeSet::new();
    let mut wrong = Vec::new();
    for scene in SCENES {
        let answers = runtime().block_on(play(scene, Client::Ours));
        text.push_str(&transcript(scene, &answers));
        for ((numbers, how), answer) in scene.cases.iter().zip(&answers) {
            let found: Vec<i32> = answer.iter().map(|message| message.number).collect();
            // what leaves the database that it entered says so, too
            let found: Vec<i32> =
                if numbers.contains(&5701) { found } else { found.into_iter().filter(|number| *number != 5701).collect() };
            let right = if *numbers == [3013] { found.ends_with(numbers) } else { found == *numbers };
            if !right {
                wrong.push(format!("{how}\n  {numbers:?} expected, and then came {found:?}"));
            }
            for message in answer {
                // information goes out with severity 0
                let class = |severity: u8| if severity > 10 { severity } else { 0 };
                let said = (message.number, class(message.severity), message.state);
                let known = MESSAGES.iter().any(|row| (row.number, class(row.severity), row.state) == said);
                if !known {
                    wrong.push(format!("{how}\n  {message:?} is not in the table"));
                }
                raised.insert(message.number);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: BTreeSet<i32> = MESSAGES.iter().map(|row| row.number).filter(|number| !raised.contains(number)).collect();
    assert!(missing.is_empty(), "nothing here raises {missing:?}");
    insta::assert_snapshot!("lab_errors", text);
}

#[test]
fn tsql_tells_the_same_numbers_severities_and_states() {
    if Command::new("tsql").arg("-C").output().is_err() {
        assert!(std::env::var("CUTOVER_CLIENTS").is_err(), "tsql is required and not installed");
        let _ = writeln!(std::io::stderr(), "tsql is not installed: its half of the table was not compared");
        return;
    }
    for scene in SCENES.iter().filter(|scene| scene.pace == 0.0) {
        let (ours, theirs) = runtime().block_on(async { (play(scene, Client::Ours).await, play(scene, Client::Tsql).await) });
        for (((_, how), ours), theirs) in scene.cases.iter().zip(ours).zip(theirs) {
            let errors = |messages: &[Message]| shown(messages).into_iter().filter(|(_, severity, _)| *severity > 10).collect::<Vec<_>>();
            assert_eq!(errors(&theirs), errors(&ours), "{how}");
        }
    }
}
