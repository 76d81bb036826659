//! SELECT, variables, flow, conversions and refusals.

use super::{Stage, Tape};
use crate::lab::tds::{Cell, Column, Parameter, Type};
use crate::lab::values::parse_type;

#[test]
fn the_catalogue_answers_queries_of_every_shape() {
    let mut stage = Stage::quiet();
    let mut show = |text: &str| stage.run(text).table();
    assert_eq!(
        show("SELECT name, state_desc, collation_name, is_in_standby FROM sys.databases WHERE database_id > 4 ORDER BY name DESC"),
        "mgccomp | ONLINE | SQL_Latin1_General_CP1_CI_AS | 0\nmgc | RESTORING | NULL | 0"
    );
    assert_eq!(
        show(
            "SELECT d.name, COUNT(*) AS files FROM master.sys.databases AS d \
              INNER JOIN sys.master_files f ON f.database_id = d.database_id \
              WHERE d.name LIKE 'mgc%' GROUP BY d.name HAVING COUNT(*) > 1 ORDER BY 1"
        ),
        "mgc | 2\nmgccomp | 2"
    );
    assert_eq!(show("SELECT TOP (2) name FROM sys.databases ORDER BY database_id"), "master\ntempdb");
    assert_eq!(show("SELECT 1 WHERE EXISTS (SELECT 1 FROM sys.databases d WHERE d.name = N'MGC' AND d.state = 1)"), "1");
    assert_eq!(
        show("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM msdb.dbo.log_shipping_secondary_databases WHERE secondary_database = 'mgc')"),
        ""
    );
    assert_eq!(
        show("SELECT CASE WHEN state = 1 THEN 'waits' ELSE N'open' END FROM sys.databases WHERE name IN ('mgc', 'mgccomp') ORDER BY name"),
        "waits\nopen"
    );
    assert_eq!(
        show("SELECT COUNT(DISTINCT redo_start_fork_guid), COUNT(DISTINCT type) FROM sys.master_files WHERE database_id = DB_ID('mgc')"),
        "1 | 2"
    );
    assert_eq!(
        show("WITH x AS (SELECT name FROM sys.databases WHERE database_id < 3) SELECT x.name FROM x ORDER BY x.name"),
        "master\ntempdb"
    );
    assert_eq!(show("SELECT t.n FROM (SELECT COUNT(*) AS n FROM sys.databases) AS t"), "6");
    assert_eq!(show("SELECT name FROM sys.databases WHERE database_id = 1 UNION ALL SELECT 'x'"), "master\nx");
    assert_eq!(
        show(
            "SELECT s.primary_server, d.last_restored_file FROM msdb.dbo.log_shipping_secondary s \
              LEFT OUTER JOIN msdb..log_shipping_secondary_databases d ON d.secondary_id = s.secondary_id"
        )
        .split(" | ")
        .next(),
        Some("PCHAT-SQL-01")
    );
}

#[test]
fn log_sequence_numbers_compare_as_numbers_whatever_they_meet() {
    let mut stage = Stage::quiet();
    let redo = stage.instance.lock().database("mgc").expect("mgc").redo;
    let mut value = |text: &str| stage.run(text).value();
    let number = Cell::Numeric { value: redo.0 as i128, scale: 0 };
    let of = "FROM sys.master_files WHERE database_id = DB_ID('mgc') AND type = 0";
    assert_eq!(value(&format!("SELECT MIN(redo_start_lsn) {of}")), number);
    assert_eq!(value(&format!("SELECT MAX(redo_start_lsn) {of} AND redo_start_lsn >= {redo}")), number);
    assert_eq!(value(&format!("SELECT COUNT(*) {of} AND redo_start_lsn > 9")), Cell::Int(1));
    assert_eq!(value(&format!("SELECT COUNT(*) {of} AND redo_start_lsn = N'{redo}'")), Cell::Int(1));
    assert_eq!(value(&format!("SELECT COUNT(*) {of} AND redo_start_lsn BETWEEN {redo} AND 9999999999999999999999999")), Cell::Int(1));
    assert_eq!(value(&format!("SELECT redo_start_lsn + 1 - 1 {of}")), number);
    assert_eq!(value(&format!("SELECT CONVERT(varchar(30), redo_start_lsn) {of}")), Cell::Text(redo.to_string()));
    let count = "SELECT COUNT(*) FROM msdb.dbo.backupset WHERE last_lsn <= @lsn AND type = 'L'";
    let parameter = Parameter { name: "@lsn".into(), ty: Type::Numeric { precision: 25, scale: 0 }, value: number, output: false };
    assert_eq!(stage.run_with(count, &[parameter]).value(), Cell::Int(12));
    let text = Parameter { name: "@lsn".into(), ty: Type::NVarChar(Some(40)), value: Cell::Text(redo.to_string()), output: false };
    assert_eq!(stage.run_with(count, &[text]).value(), Cell::Int(12));
}

#[test]
fn restore_history_joins_the_sets_that_were_restored() {
    let mut stage = Stage::quiet();
    let answer = stage.run(
        "SELECT TOP 1 b.last_lsn, b.last_recovery_fork_guid, b.family_guid, f.physical_device_name \
         FROM msdb.dbo.restorehistory AS r JOIN msdb.dbo.backupset b ON b.backup_set_id = r.backup_set_id \
         JOIN msdb.dbo.backupmediafamily AS f ON f.media_set_id = b.media_set_id \
         WHERE r.destination_database_name = 'mgc' AND r.restore_type IN ('D','I','L') ORDER BY r.restore_history_id DESC",
    );
    let state = stage.instance.lock();
    let mgc = state.database("mgc").expect("mgc");
    let row = &answer.sets[0].rows[0];
    assert_eq!(row[0], Cell::Numeric { value: mgc.redo.0 as i128, scale: 0 });
    assert_eq!(row[1], Cell::Guid(mgc.fork));
    assert_eq!(row[2], Cell::Guid(mgc.family));
    let last = state.secondary_databases[0].last_restored.as_ref().map(|(file, _)| file.clone());
    assert_eq!(row[3], Cell::Text(last.expect("a file")));
}

#[test]
fn functions_answer_for_the_session_and_the_server() {
    let mut stage = Stage::quiet();
    let id = i16::try_from(stage.id()).expect("small");
    let mut value = |text: &str| stage.run(text).value();
    assert_eq!(value("SELECT @@SPID"), Cell::SmallInt(id));
    assert_eq!(value("SELECT @@SERVERNAME"), Cell::Text("DR-SQL-01\\RTC".into()));
    assert_eq!(value("SELECT SERVERPROPERTY('Edition')"), Cell::Text("cutover lab".into()));
    assert_eq!(value("SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128))"), Cell::Text("12.0.6024.0".into()));
    assert_eq!(value("SELECT 1 WHERE SERVERPROPERTY('ServerName') = N'dr-sql-01\\rtc'"), Cell::Int(1));
    assert_eq!(value("SELECT DB_NAME()"), Cell::Text("master".into()));
    assert_eq!(value("SELECT DB_ID('MGC')"), Cell::SmallInt(5));
    assert_eq!(value("SELECT DB_ID('none')"), Cell::Null);
    assert_eq!(value("SELECT IS_SRVROLEMEMBER('sysadmin')"), Cell::Int(1));
    assert_eq!(value("SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')"), Cell::Int(1));
    assert_eq!(value("SELECT ORIGINAL_LOGIN()"), Cell::Text("cutover".into()));
    assert_eq!(value("SELECT OBJECT_ID('msdb.dbo.nothing')"), Cell::Null);
    assert_eq!(
        value("SELECT ISNULL(NULL, 'x') + UPPER('a') + SUBSTRING('hello', 2, 3) + REPLACE('aXa', 'x', '-')"),
        Cell::Text("xAella-a".into())
    );
    assert_eq!(value("SELECT DATEDIFF(minute, '2026-01-02 03:04:59', '2026-01-02 03:06:00')"), Cell::Int(2));
    assert_eq!(
        value("SELECT CONVERT(varchar(19), DATEADD(hour, -1, CAST('2026-01-02 03:00' AS datetime)), 120)"),
        Cell::Text("2026-01-02 02:00:00".into())
    );
    assert_eq!(value("SELECT 1 WHERE DATEDIFF(second, GETDATE(), SYSDATETIME()) = 0 AND GETUTCDATE() > '2020-01-01'"), Cell::Int(1));
    assert_eq!(value("SELECT COALESCE(NULL, 7) / 2"), Cell::Int(3));
    assert_eq!(value("SELECT LEN('ab  ')"), Cell::Int(2));
    assert_eq!(value("SELECT CHARINDEX('B', 'abc')"), Cell::Int(2));
    assert_eq!(value("SELECT NULLIF('a', 'A')"), Cell::Null);
    assert_eq!(value("SELECT -5"), Cell::Int(-5));
    assert_eq!(value("SELECT ABS(-5) % 3"), Cell::Int(2));
}

#[test]
fn every_type_comes_back_through_cast() {
    let mut stage = Stage::quiet();
    let at = |text: &str| text.parse().expect("a moment");
    for (sql, ty, expected) in [
        ("CAST(1 AS bit)", "bit", Cell::Bit(true)),
        ("CAST(200 AS tinyint)", "tinyint", Cell::TinyInt(200)),
        ("CAST(-2 AS smallint)", "smallint", Cell::SmallInt(-2)),
        ("CAST(7 AS int)", "int", Cell::Int(7)),
        ("CAST(9000000000 AS bigint)", "bigint", Cell::BigInt(9_000_000_000)),
        ("CAST(1.5 AS real)", "real", Cell::Real(1.5)),
        ("CAST(1.5 AS float)", "float", Cell::Float(1.5)),
        ("CAST(-12.345 AS decimal(10,3))", "decimal(10,3)", Cell::Numeric { value: -12_345, scale: 3 }),
        ("CAST('38876000016230900001' AS numeric(25,0))", "numeric(25,0)", Cell::Numeric { value: 38_876_000_016_230_900_001, scale: 0 }),
        ("CAST(12.5 AS money)", "money", Cell::Money(125_000)),
        ("CAST(12.5 AS smallmoney)", "smallmoney", Cell::Money(125_000)),
        ("CAST(N'größer' AS nvarchar(20))", "nvarchar(20)", Cell::Text("größer".into())),
        ("CAST(N'x' AS nvarchar(max))", "nvarchar(max)", Cell::Text("x".into())),
        ("CAST('abc' AS varchar(2))", "varchar(2)", Cell::Text("ab".into())),
        ("CAST('a' AS char(3))", "char(3)", Cell::Text("a  ".into())),
        ("CAST(N'a' AS nchar(2))", "nchar(2)", Cell::Text("a ".into())),
        ("CAST(0x0102 AS varbinary(8))", "varbinary(8)", Cell::Binary(vec![1, 2])),
        ("CAST(0x01 AS binary(2))", "binary(2)", Cell::Binary(vec![1, 0])),
        (
            "CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier)",
            "uniqueidentifier",
            Cell::Guid("6F9619FF-8B86-D011-B42D-00C04FC964FF".parse().expect("a guid")),
        ),
        ("CAST('2026-01-02' AS date)", "date", Cell::Date("2026-01-02".parse().expect("a date"))),
        ("CAST('03:04:05.678' AS time(3))", "time(3)", Cell::Time("03:04:05.678".parse().expect("a time"))),
        ("CAST('2026-01-02T03:04:05.678' AS datetime)", "datetime", Cell::DateTime(at("2026-01-02T03:04:05.677"))),
        ("CAST('2026-01-02 03:04:31' AS smalldatetime)", "smalldatetime", Cell::DateTime(at("2026-01-02T03:05:00"))),
        ("CAST('2026-01-02 03:04:05.1234567' AS datetime2(7))", "datetime2(7)", Cell::DateTime(at("2026-01-02T03:04:05.1234567"))),
        (
            "CAST('2026-01-02 03:04:05 +02:00' AS datetimeoffset(0))",
            "datetimeoffset(0)",
            Cell::DateTimeOffset(at("2026-01-02T03:04:05"), 120),
        ),
        ("CAST(5 AS sql_variant)", "sql_variant", Cell::Int(5)),
        ("CAST(NULL AS money)", "money", Cell::Null),
    ] {
        let answer = stage.run(&format!("SELECT {sql} AS x"));
        assert_eq!(answer.value(), expected, "{sql}");
        let column = Column { name: "x".into(), ty: parse_type(ty, 1).expect("a type") };
        assert_eq!(answer.sets[0].columns, [column], "{sql}");
    }
}

#[test]
fn variables_conditions_and_loops_work_in_a_batch() {
    let mut stage = Stage::quiet();
    let answer = stage.run(
        "DECLARE @n int = 1, @name sysname;\n\
         SET @name = N'mgc'\n\
         SELECT @n = COUNT(*) FROM sys.databases WHERE name = @name\n\
         IF @n = 1 AND EXISTS (SELECT 1 FROM sys.databases) BEGIN PRINT 'one ' + @name; SELECT @n AS n END ELSE SELECT 'none'\n\
         WHILE @n < 4 SET @n = @n + 1\n\
         SELECT @n",
    );
    assert_eq!(answer.sets.len(), 2);
    assert_eq!(answer.value(), Cell::Int(4));
    assert_eq!(answer.messages.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["one mgc"]);
    let answer = stage.run(
        "BEGIN TRY RAISERROR('no %s %d', 16, 3, 'way', 7) SELECT 1 END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_MESSAGE() END CATCH",
    );
    assert_eq!(answer.table(), "50000 | no way 7");
    let answer = stage.run("RAISERROR('told', 10, 1) WITH NOWAIT; EXEC ('SELECT 5')");
    assert_eq!((answer.infos(), answer.value()), (vec![50000], Cell::Int(5)));
    let answer = stage.run("EXEC sp_executesql N'SELECT @a + 1', N'@a int', @a = 4");
    assert_eq!(answer.value(), Cell::Int(5));
    let answer = stage.run("DECLARE @rc int; EXEC @rc = sp_getapplock 'r', 'Shared', 'Session', 0; SELECT @rc");
    assert_eq!(answer.value(), Cell::Int(0));
}

#[test]
fn what_is_not_known_is_refused_with_the_servers_number_and_line() {
    let mut stage = Stage::quiet();
    let mut check = |text: &str, expected: &[i32]| {
        let answer: Tape = stage.run(text);
        assert_eq!(answer.errors(), expected, "{text}: {:?}", answer.messages);
        answer.messages.last().map(|message| (message.severity, message.line))
    };
    assert_eq!(check("SELEC 1", &[2812]), Some((16, 1)));
    assert_eq!(check("SELECT 1\nSELECT 2 FROM", &[102]), Some((15, 2)));
    check("SELECT * FROM nothing.dbo.here", &[208]);
    check("SELECT nothing FROM sys.databases", &[207]);
    check("SELECT x.name FROM sys.databases d", &[4104]);
    check("SELECT name FROM sys.databases, sys.master_files", &[209]);
    check("SELECT @x", &[137]);
    check("DECLARE @x int DECLARE @x int", &[134]);
    check("SELECT NOSUCH(1)", &[195]);
    check("SELECT 1/0", &[8134]);
    check("SELECT CAST('x' AS int)", &[245]);
    check("SELECT CAST('x' AS datetime)", &[241]);
    check("SELECT CAST(1 AS geography)", &[243]);
    check("SELECT 1 WHERE 1", &[4145]);
    check("EXEC no_such_procedure", &[2812]);
    check("EXEC sp_who2 1, 2", &[8144]);
    check("EXEC sp_getapplock @nothing = 1", &[8145]);
    check("EXEC sp_getapplock", &[201]);
    check("USE nothing", &[911]);
    check("USE mgc", &[927]);
    check("SET NONSENSE ON", &[195]);
    check("INSERT INTO t VALUES (1)", &[208]);
    check("UPDATE msdb.dbo.sysjobs SET enabled = 0", &[229]);
    check("DELETE FROM msdb.dbo.log_shipping_secondary", &[229]);
    check("CREATE TABLE t (a int)", &[262]);
    check("SELECT * INTO #t FROM sys.databases", &[262]);
    check("DBCC CHECKDB", &[156]);
    check("SELECT 'open", &[105]);
    check("WAITFOR DELAY 'soon'", &[148]);
    check("SELECT (SELECT 1, 2)", &[116]);
    // the statement fails, the batch goes on
    let answer = stage.run("EXEC no_such_procedure SELECT 3");
    assert_eq!((answer.errors(), answer.sets.len()), (vec![2812], 1));
    // the batch is not begun
    let answer = stage.run("SELECT 3 SELECT FROM WHERE");
    assert_eq!(answer.sets.len(), 0);
}

#[test]
fn set_options_are_accepted_and_use_tells_the_context() {
    let mut stage = Stage::quiet();
    let answer = stage.run("SET NOCOUNT ON; SET ANSI_NULLS, QUOTED_IDENTIFIER ON; SET LANGUAGE us_english; SET LOCK_TIMEOUT 5000; SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; USE msdb");
    assert_eq!(answer.errors(), [0; 0]);
    assert_eq!(answer.infos(), [5703, 5701]);
    assert_eq!(stage.run("SELECT COUNT(*) FROM sysjobs").value(), Cell::Int(2));
}

#[test]
fn less_usual_forms_are_understood_too() {
    let mut stage = Stage::quiet();
    let mut show = |text: &str| stage.run(text).table();
    assert_eq!(show("SELECT name FROM sys.databases WITH (NOLOCK) WHERE name = 'mgc' OPTION (RECOMPILE, MAXDOP 1)"), "mgc");
    assert_eq!(show("SELECT TOP 1 ROW_NUMBER() OVER (ORDER BY name DESC), name FROM sys.databases"), "1 | tempdb");
    assert_eq!(show("SELECT SUM(backup_size), SUM(position), AVG(position) FROM msdb..backupset"), "1072576 | 13 | 1");
    assert_eq!(show("SELECT SYSTEM_USER, CURRENT_USER, USER_NAME()"), "cutover | dbo | dbo");
    assert_eq!(show("DECLARE @x int = 1 SET @x += 4 SELECT @x"), "5");
    assert_eq!(show("SELECT 1 a, 2 b UNION SELECT 3, 4 ORDER BY a DESC"), "3 | 4\n1 | 2");
    assert_eq!(
        show("SELECT LEFT(name, 2), RIGHT(name, 2), IIF(1 = 1, 'a', N'bb') FROM sys.databases WHERE database_id = 1"),
        "ma | er | a"
    );
    assert_eq!(show("SELECT TOP 1 name FROM (SELECT name FROM sys.databases UNION ALL SELECT 'zz') AS q ORDER BY name DESC"), "zz");
    assert_eq!(
        show(
            "SELECT (SELECT COUNT(*) FROM sys.master_files f WHERE f.database_id = d.database_id) FROM sys.databases d WHERE d.name = 'mgc'"
        ),
        "2"
    );
    assert_eq!(show("IF (SELECT COUNT(*) FROM sys.databases) > 5 AND DB_ID('x') IS NULL SELECT 'many'"), "many");
    assert_eq!(show("SELECT x = 5, N'y' AS [y z]"), "5 | y");
}
