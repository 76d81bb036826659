//! Site files, good and bad, and what is said about them.

use std::time::Duration;

use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use super::secret::{SecretFrom, SecretRef};
use super::{Auth, BROWSER_PORT, CommandLimit, DEFAULT_PORT, Instance, Site, Tls, TlsMinimum};
use crate::wire::tls::Fingerprint;

const GOOD: &str = r#"[site]
name = "litwareinc"
pool = "atl-cs-001.litwareinc.com"
active_servers = ["dr-chat-01.litwareinc.com"]
recovery_time_target = "2h"

[sql.backup]
server = "127.0.0.1"
fqdn = "dr-sql-01.litwareinc.com"
port = 14330
auth = { user = "sa", password = { file = "secret.txt" } }

[backups]
share = '\\atl-files-01\LogShip$'
copy_to = 'D:\LogShip'

[powershell]
program = "pwsh"
allow = ["Set-CsPersistentChatState"]

[vars]
x = 1
"#;

fn rendered(error: &dyn miette::Diagnostic) -> String {
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .with_links(false)
        .render_report(&mut text, error)
        .expect("a String takes any text");
    text
}

/// `message | what is pointed at | help` of every problem of a text, in order.
fn complaints(text: &str, overrides: &[&str]) -> Vec<String> {
    let overrides: Vec<String> = overrides.iter().map(|over| (*over).to_owned()).collect();
    let errors = match Site::parse("site.toml", text, &overrides) {
        Ok(_) => return Vec::new(),
        Err(errors) => errors,
    };
    let pointed = |at: &super::error::At| {
        let whole = at.source.inner();
        whole[at.span.offset()..at.span.offset() + at.span.len()].to_owned()
    };
    errors
        .problems()
        .iter()
        .map(|problem| {
            let place = problem.at.as_ref().map(pointed).unwrap_or_default();
            format!("{problem} | {place} | {}", problem.help)
        })
        .collect()
}

#[test]
fn a_good_file_is_read_whole() {
    let site = Site::parse("/etc/cutover/site.toml", GOOD, &[]).expect("GOOD is good");
    assert_eq!((site.name.as_str(), site.database.as_str(), site.lab), ("litwareinc", "mgc", false));
    assert_eq!(site.recovery_time_target, Some(Duration::from_secs(7200)));
    let backup = &site.sql["backup"];
    assert_eq!((backup.port, backup.tls, backup.database.as_str()), (14330, Tls::Verify, "master"));
    assert_eq!(backup.instance_name, None);
    let Auth::Sql { user, password } = &backup.auth else { panic!("a SQL login") };
    assert_eq!(user, "sa");
    assert_eq!(password.from, SecretFrom::File("/etc/cutover/secret.txt".into()));
    assert_eq!(site.backups.copy_to_on_server, r"D:\LogShip");
    assert_eq!(site.weak(), Vec::<String>::new());
}

#[test]
fn a_runbook_sees_names_and_paths_and_no_way_in() {
    let site = Site::parse("site.toml", GOOD, &["vars.y='z'".to_owned()]).expect("GOOD is good");
    let view = serde_json::Value::Object(site.view());
    assert_eq!(
        view,
        serde_json::json!({
            "name": "litwareinc",
            "pool": "atl-cs-001.litwareinc.com",
            "database": "mgc",
            "active_servers": ["dr-chat-01.litwareinc.com"],
            "mirror_share": null,
            "recovery_time_target": "2h",
            "lab": false,
            "sql": { "backup": { "fqdn": "dr-sql-01.litwareinc.com", "instance_name": null } },
            "backups": { "share": r"\\atl-files-01\LogShip$", "copy_to": r"D:\LogShip", "copy_to_on_server": r"D:\LogShip" },
            "vars": { "x": 1, "y": "z" },
        })
    );
}

#[test]
fn the_example_that_comes_with_the_program_is_good() {
    let text = include_str!("../../runbooks/site.example.toml");
    let site = Site::parse("runbooks/site.example.toml", text, &[]).unwrap_or_else(|errors| panic!("{}", rendered(&errors)));
    assert_eq!(site.sql.keys().collect::<Vec<_>>(), ["backup", "backup_mirror", "primary", "primary_mirror"]);
    assert_eq!(site.sql["backup"].limits.command, Some(CommandLimit::After(Duration::from_secs(60))));
    assert_eq!(site.sql["backup"].instance_name.as_deref(), Some("RTC"));
    assert_eq!(site.sql["primary"].fqdn, "atl-sql-01.litwareinc.com");
}

#[test]
fn overrides_win_and_are_taken_as_toml_or_as_text() {
    let overrides = ["vars.x=2", "vars.t=plain text", "site.database = \"other\"", "vars.list=[1, 'a']", "sql.backup.port=1433"];
    let overrides: Vec<String> = overrides.iter().map(|over| (*over).to_owned()).collect();
    let site = Site::parse("site.toml", GOOD, &overrides).expect("all of these are good");
    assert_eq!(serde_json::Value::Object(site.vars), serde_json::json!({ "x": 2, "t": "plain text", "list": [1, "a"] }));
    assert_eq!((site.database.as_str(), site.sql["backup"].port), ("other", DEFAULT_PORT));
}

#[test]
fn a_wrong_override_is_pointed_at_in_its_own_text() {
    assert_eq!(
        complaints(GOOD, &["site.databse=x", "nonsense", "site.lab=yes", "a b=1"]),
        [
            "`--set nonsense` is not KEY=VALUE | nonsense | Write it as `--set vars.name=value`.",
            "`--set a b=1` is not KEY=VALUE | a b=1 | Write the key as names with dots between, as in `vars.name`.",
            "the key `site.databse` is unknown | databse | Write `database`, which is probably meant.",
            "`site.lab` must be true or false, not text | yes | Write `true` or `false` without quotes.",
        ]
    );
}

#[test]
fn every_mistake_is_named_pointed_at_and_answered() {
    // instead of this text of GOOD, that text; the complaint
    let table: &[(&str, &str, &str)] = &[
        (
            "pool = \"atl-cs-001.litwareinc.com\"\n",
            "",
            "the key `site.pool` is missing | site | Add `pool = \"...\"`, the pool's fully qualified name.",
        ),
        (
            "name = \"litwareinc\"\n",
            "name = \"l\"\nport = 1\n",
            "the key `site.port` is unknown | port | Move `port` to [sql.NAME], or put facts of your own under [vars].",
        ),
        ("pool =", "pol =", "the key `site.pol` is unknown | pol | Write `pool`, which is probably meant."),
        ("[vars]", "[var]", "the key `var` is unknown | var | Write `vars`, which is probably meant."),
        (
            "[sql.backup]",
            "[sql.bakup]",
            "the key `sql.backup` is missing | sql | Rename `[sql.bakup]` to `[sql.backup]`, if that is the server to fail over to.",
        ),
        (
            "port = 14330",
            "port = \"14330\"",
            "`sql.backup.port` must be a port number, not text | \"14330\" | Write the number without quotes.",
        ),
        (
            "port = 14330",
            "port = 70000",
            "`sql.backup.port` must be a port from 1 to 65535 | 70000 | Write the port that the instance listens on.",
        ),
        (
            "port = 14330",
            "port = 14330\ninstance = \"RTC\"",
            "`sql.backup.instance` must be left out where `port` is given | instance | Keep `port`, which needs no SQL Server Browser, or `instance`, whose port the Browser is asked for.",
        ),
        (
            "port = 14330",
            "instance = 'dr-sql-01\\RTC'",
            "`sql.backup.instance` must be an instance's name | 'dr-sql-01\\RTC' | Write what stands after the backslash.",
        ),
        (
            "port = 14330",
            "browser_port = 1434",
            "`sql.backup.browser_port` must be left out where `port` is given | browser_port | Take it out, or name the `instance` whose port the SQL Server Browser knows.",
        ),
        (
            "port = 14330",
            "instance = \"RTC\"\nbrowser_port = 0",
            "`sql.backup.browser_port` must be a port from 1 to 65535 | 0 | Write the port that the SQL Server Browser listens on.",
        ),
        (
            "port = 14330",
            "tls = \"pin\"",
            "the key `sql.backup.certificate` is missing | backup | Add `certificate = \"sha256:...\"`, the SHA-256 of the server's certificate; a refused connection shows it.",
        ),
        (
            "port = 14330",
            "tls = \"pin\"\ncertificate = \"3a 5b 99 01 3a 5b 99 01 3a 5b 99 01 3a 5b 99 01 3a 5b 99 01\"",
            "`sql.backup.certificate` must be the SHA-256 of a certificate | \"3a 5b 99 01 3a 5b 99 01 3a 5b 99 01 3a 5b 99 01 3a 5b 99 01\" | This looks like the SHA-1 thumbprint that Windows shows: write the SHA-256, which a refused connection shows, too.",
        ),
        (
            "port = 14330",
            "tls = \"pin\"\ncertificate = \"abc\"",
            "`sql.backup.certificate` must be the SHA-256 of a certificate | \"abc\" | Write `sha256:` and 64 hexadecimal digits; a refused connection shows them.",
        ),
        (
            "port = 14330",
            "certificate = \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
            "`sql.backup.certificate` must be left out unless `tls = \"pin\"` | certificate | Write `tls = \"pin\"` to accept this certificate and no other, or take the key out.",
        ),
        (
            "port = 14330",
            "tls = \"trust_any\"",
            "`sql.backup.tls` must be a way to protect the connection | \"trust_any\" | Write `tls = \"trust-any\"`.",
        ),
        (
            "port = 14330",
            "tls = true",
            "`sql.backup.tls` must be text, not true or false | true | Write one of `verify`, `pin`, `trust-any`, `login-only`, `off`.",
        ),
        (
            "port = 14330",
            "tls_minimum = \"1.1\"",
            "`sql.backup.tls_minimum` must be \"1.2\" or \"1.0\" | \"1.1\" | Take the key out: 1.2 is what goes without saying. `\"1.0\"` also takes 1.1, and the cipher suites of that time.",
        ),
        (
            "port = 14330",
            "tls = \"off\"\ntls_minimum = \"1.0\"",
            "`sql.backup.tls_minimum` must be left out where `tls = \"off\"` | tls_minimum | Take the key out: nothing is encrypted.",
        ),
        (
            "\"127.0.0.1\"",
            "\"dr-sql-01\"\ntls = \"off\"",
            "`sql.backup.tls` would send the password in clear | \"off\" | Write `tls = \"verify\"`, with `ca` if the certificate is your own.",
        ),
        (
            "\"127.0.0.1\"",
            "'dr-sql-01\\RTC'",
            "`sql.backup.server` must be a machine's name or address | 'dr-sql-01\\RTC' | Write `server = \"dr-sql-01\"` and `instance = \"RTC\"`, or the instance's own `port`.",
        ),
        (
            "\"127.0.0.1\"",
            "\"dr-sql-01,1433\"",
            "`sql.backup.server` must be a machine's name or address | \"dr-sql-01,1433\" | Write `server = \"dr-sql-01\"` and `port = 1433`.",
        ),
        (
            "{ file = \"secret.txt\" }",
            "{ fil = \"secret.txt\" }",
            "the key `sql.backup.auth.password.fil` is unknown | fil | Write `file`, which is probably meant.",
        ),
        (
            "{ file = \"secret.txt\" }",
            "{ file = \"a\", env = \"B\" }",
            "`sql.backup.auth.password` must be one reference | password | Keep one of `env`, `file`.",
        ),
        (
            "{ file = \"secret.txt\" }",
            "\"hunter2\"",
            "`sql.backup.auth.password` must be a reference, not text | \"*******\" | Put the password in a file of its own, readable by you alone, and write `password = { file = \"...\" }`.",
        ),
        (
            "auth = { user = \"sa\", password = { file = \"secret.txt\" } }",
            "",
            "the key `sql.backup.auth` is missing | backup | Write `auth = { user = \"...\", password = { file = \"...\" } }`.",
        ),
        (
            "\"atl-cs-001.litwareinc.com\"",
            "\"service:atl-cs-001.litwareinc.com\"",
            "`site.pool` must be a fully qualified name: it holds a `:` | \"service:atl-cs-001.litwareinc.com\" | Write only the name: `atl-cs-001.litwareinc.com`.",
        ),
        (
            "[\"dr-chat-01.litwareinc.com\"]",
            "[\"dr-chat-01\"]",
            "`site.active_servers` must be a fully qualified name: it has no domain | \"dr-chat-01\" | Write the name with its domain, as in `dr-chat-01.litwareinc.com`.",
        ),
        (
            "[\"dr-chat-01.litwareinc.com\"]",
            "\"a.b\"",
            "`site.active_servers` must be a list of texts, not text | \"a.b\" | Write it as a list: [\"a.b\"].",
        ),
        (
            "'D:\\LogShip'",
            "'LogShip'",
            "`backups.copy_to` must be an absolute path | 'LogShip' | Write the whole path: '\\\\server\\share', 'D:\\folder' or '/folder'.",
        ),
        (
            "'D:\\LogShip'",
            "\"\\\\dr-sql-01\\\\LogShip\"",
            "`backups.copy_to` must be an absolute path | \"\\\\dr-sql-01\\\\LogShip\" | Write it in single quotes, where a backslash is a backslash: '\\\\dr-sql-01\\LogShip'.",
        ),
        (
            "'\\\\atl-files-01\\LogShip$'",
            "'Z:\\LogShip'",
            "`backups.share` is on a drive letter, which may be mapped for one session only | 'Z:\\LogShip' | Write the share's own name: '\\\\server\\share'.",
        ),
        (
            "\"2h\"",
            "\"two hours\"",
            "`site.recovery_time_target` must be a duration | \"two hours\" | Write it as `90s`, `5m`, `2h` or `1h30m`.",
        ),
        ("\"litwareinc\"", "\"\"", "`site.name` must be text that is not empty | \"\" | Write a value, or take the key out."),
        ("\"litwareinc\"", "5", "`site.name` must be text, not an integer | 5 | Put it in quotes."),
        (
            "[powershell]",
            "[powershell]\nmodule = \"Teams\"",
            "`powershell.module` must be the name of the management shell's module | \"Teams\" | Write one of `Lync`, `SkypeForBusiness`.",
        ),
        (
            "[vars]\n",
            "[journal]\nfolder = \"runs\"\n[vars]\n",
            "`journal.folder` must be an absolute path | \"runs\" | Write the whole path: '\\\\server\\share', 'D:\\folder' or '/folder'.",
        ),
        (
            "[vars]\nx = 1",
            "vars = 1",
            "the key `powershell.vars` is unknown | vars | Use one of `program`, `arguments`, `module`, `allow`, or put facts of your own under [vars].",
        ),
    ];
    for (old, new, wanted) in table {
        assert!(GOOD.contains(old), "{old} is in GOOD");
        let found = complaints(&GOOD.replacen(old, new, 1), &[]);
        assert!(found.iter().any(|complaint| complaint == wanted), "{new}:\n{}\nwanted\n{wanted}", found.join("\n"));
    }
}

#[test]
fn what_is_not_toml_is_said_with_its_place() {
    let found = complaints(&GOOD.replace("'D:\\LogShip'", "\"D:\\LogShip\""), &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("this is not valid TOML: "), "{found:?}");
    assert!(found[0].ends_with(r"| Write Windows paths in single quotes: '\\server\share' or 'D:\folder'."), "{found:?}");
    let found = complaints(&GOOD.replace("[vars]", "[backups]"), &[]);
    assert!(found[0].contains("duplicate key"), "{found:?}");
}

#[test]
fn all_mistakes_come_in_one_pass_and_no_password_is_shown() {
    let text = GOOD
        .replace("pool = ", "poool = ")
        .replace("14330", "\"14330\"")
        .replace("{ file = \"secret.txt\" }", "\"hunter2\"")
        .replace("'D:\\LogShip'", "'LogShip'");
    let errors = Site::parse("site.toml", &text, &["site.lab=1".to_owned()]).expect_err("five mistakes");
    let shown = rendered(&errors);
    assert!(!shown.contains("hunter2") && !format!("{errors:?}").contains("hunter2"));
    insta::assert_snapshot!(shown);
}

#[test]
fn a_lab_may_lie_on_a_drive() {
    let text = GOOD.replace("'\\\\atl-files-01\\LogShip$'", "'C:\\Temp\\share'").replace("[site]", "[site]\nlab = true");
    let site = Site::parse("site.toml", &text, &[]).expect("a lab is one machine");
    assert!(site.lab && site.backups.share == r"C:\Temp\share");
}

#[test]
fn a_missing_file_says_how_to_name_one() {
    let errors = Site::read("/no/such/site.toml", &[]).expect_err("there is no such file");
    assert_eq!(errors.problems()[0].help, "Name the site file with `--site FILE`.");
}

fn secret(site: &Site) -> &SecretRef {
    let Auth::Sql { password, .. } = &site.sql["backup"].auth else { panic!("a SQL login") };
    password
}

#[test]
fn a_secret_is_read_late_without_its_line_end_and_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = Site::parse(folder.path().join("site.toml"), GOOD, &[]).expect("GOOD is good: nothing is resolved yet");
    let why = |site: &Site| rendered(&site.check_secrets().expect_err("no secret"));
    assert!(why(&site).contains("cannot be read"));
    let file = folder.path().join("secret.txt");
    std::fs::write(&file, "").expect("a file");
    assert!(why(&site).contains("is empty"));
    std::fs::write(&file, " p w\n\r\n").expect("a file");
    let resolved = secret(&site).resolve().expect("there is a secret");
    assert_eq!(resolved.expose(), " p w\n");
    assert_eq!(format!("{resolved:?}"), "Secret(hidden)");
    site.check_secrets().expect("there is a secret");
}

#[test]
fn an_unset_variable_points_at_the_reference() {
    let text = GOOD.replace("{ file = \"secret.txt\" }", "{ env = \"CUTOVER_TEST_NEVER_SET\" }");
    let site = Site::parse("site.toml", &text, &[]).expect("a reference is good until it is needed");
    let problem = secret(&site).resolve().expect_err("the variable is not set");
    insta::assert_snapshot!(rendered(&*problem), @r#"
    cutover::site::secret

      × the password of `backup` cannot be had: the environment variable `CUTOVER_TEST_NEVER_SET` is
      │ not set
        ╭─[site.toml:11:42]
     10 │ port = 14330
     11 │ auth = { user = "sa", password = { env = "CUTOVER_TEST_NEVER_SET" } }
        ·                                          ────────────┬───────────
        ·                                                      ╰── looked for here
     12 │ 
        ╰────
      help: Set `CUTOVER_TEST_NEVER_SET` in the environment that cutover is started from.
    "#);
}

#[test]
fn everything_weaker_than_a_known_certificate_at_1_2_is_listed_for_the_start_of_a_run() {
    let mut text = GOOD.replace("port = 14330", "tls = \"off\"");
    for (name, keys) in [
        ("primary", "tls = \"trust-any\"\ntls_minimum = \"1.0\""),
        ("primary_mirror", "tls = \"login-only\""),
        ("pinned", &format!("tls = \"pin\"\ncertificate = \"{}\"\ntls_minimum = \"1.2\"", "0".repeat(64))),
        ("old", "tls_minimum = \"1.0\""),
    ] {
        text.push_str(&format!("[sql.{name}]\n{keys}\nserver = \"a.b\"\nauth = {{ user = \"u\", password = {{ prompt = true }} }}\n"));
    }
    let site = Site::parse("site.toml", &text, &[]).expect("loopback may go without TLS");
    assert_eq!(
        site.weak(),
        [
            "the connection to `backup` is not encrypted",
            "the connection to `primary` takes any certificate, so whoever stands between can read and change everything",
            "the connection to `primary` takes TLS 1.0 and the cipher suites of its time, which can be broken",
            "the connection to `primary_mirror` encrypts the login only, with any certificate, so whoever stands between can read and change everything",
            "the connection to `old` takes TLS 1.0 and the cipher suites of its time, which can be broken",
        ]
    );
    assert_eq!((site.sql["pinned"].tls, site.sql["old"].tls), (Tls::Pin(Fingerprint([0; 32])), Tls::Verify));
    assert_eq!((site.sql["pinned"].tls_minimum, site.sql["old"].tls_minimum), (TlsMinimum::V1_2, TlsMinimum::V1_0));
}

#[test]
fn a_named_instance_stands_for_its_port_and_tells_sites_apart() {
    let named = |instance: &str| Site::parse("site.toml", &GOOD.replace("port = 14330", instance), &[]).expect("an instance");
    let site = named("instance = \"RTC\"");
    assert_eq!(site.sql["backup"].instance, Some(Instance { name: "RTC".to_owned(), browser_port: BROWSER_PORT }));
    let elsewhere = named("instance = \"RTC\"\nbrowser_port = 51434");
    assert_eq!(elsewhere.sql["backup"].instance.as_ref().map(|instance| instance.browser_port), Some(51434));
    assert_eq!(site.id(), named("instance = \"rtc\"").id());
    assert_ne!(site.id(), named("instance = \"LYNC\"").id());
    assert_ne!(site.id(), named("port = 14330").id());
}

#[test]
fn a_windows_account_is_known_by_its_backslash_and_refused_before_a_run_by_a_build_that_cannot_speak_for_it() {
    let with = |auth: &str| GOOD.replace("user = \"sa\", password = { file = \"secret.txt\" }", auth);
    let text = with("user = 'LITWAREINC\\svc', password = { env = \"CUTOVER_TEST_NEVER_SET\" }")
        .replace("\"127.0.0.1\"", "\"a.b\"\ntls = \"off\"");
    let site = Site::parse("site.toml", &text, &[]).expect("NTLM sends no password");
    assert!(matches!(&site.sql["backup"].auth, Auth::Windows { user, .. } if user == r"LITWAREINC\svc"));
    let told = rendered(&site.check_secrets().expect_err("no NTLM, or no password"));
    let expected = match cfg!(feature = "ntlm") {
        true => "the environment variable `CUTOVER_TEST_NEVER_SET` is not set",
        false => "`sql.backup.auth.user` cannot be used here: a Windows account with a password logs in by NTLM",
    };
    assert!(told.split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "").contains(expected), "{told}");
    let text = GOOD.replace("auth = { user = \"sa\", password = { file = \"secret.txt\" } }", "auth = \"Windows\"");
    let site = Site::parse("site.toml", &text, &[]).expect("the file may be meant for another machine");
    assert!(matches!(site.sql["backup"].auth, Auth::Current { .. }));
    let refused = site.check_secrets().err().map(|errors| errors.problems()[0].to_string());
    assert_eq!(refused.is_some_and(|why| why.contains("only Windows vouches")), !cfg!(windows));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]
    /// Lines left out, swapped and garbled: a site, or errors that say something.
    #[test]
    fn any_garbled_file_is_answered(lines in proptest::collection::vec(0..40usize, 0..40), junk in "[a-z\"'\\[\\]={}.,\\\\ 0-9é]{0,8}", at in 0..40usize) {
        let good: Vec<&str> = GOOD.lines().collect();
        let mut text: Vec<String> = good.iter().enumerate().filter(|(n, _)| !lines.contains(n)).map(|(_, line)| (*line).to_owned()).collect();
        if let Some(line) = text.get_mut(at) {
            let middle = line.char_indices().nth(line.chars().count() / 2).map_or(0, |(middle, _)| middle);
            line.insert_str(middle, &junk);
        }
        if let Err(errors) = Site::parse("site.toml", &text.join("\n"), std::slice::from_ref(&junk)) {
            prop_assert!(!errors.problems().is_empty());
            rendered(&errors);
        }
    }
}

#[test]
fn a_brace_that_is_not_closed_is_one_error_however_much_follows() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/site.example.toml")).unwrap();
    let torn = text.replacen(r#"{ file = "secrets/dr-sql-01.txt" } }"#, r#"{ file = "secrets/dr-sql-01.txt" }"#, 1);
    assert_ne!(text, torn);
    let errors = Site::parse("site.toml", &torn, &[]).unwrap_err();
    assert_eq!(errors.to_string(), "the site file `site.toml` cannot be used");
    let told = rendered(&errors);
    assert!(told.contains("Look at the lines before this one"), "{told}");
}
