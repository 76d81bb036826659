use std::time::Duration;

use tds_protocol::login7::{FeatureExtension, FeatureId};
use tds_protocol::rpc::{ProcId, RpcOptionFlags, RpcParam, RpcRequest, TypeInfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::engine::{Client, Fake, connect, login, runtime, start, start_options, start_with};
use crate::lab::tds::{Cell, Encryption, Request, ServerOptions, TlsAge, Type};
use crate::wire::tls::{PreLogin, encrypt, kind, packets, read_packet, status};

#[test]
fn a_login_over_verified_tls_is_acknowledged_in_full() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let asked = login().with_packet_size(8000);
        let mut client = connect(&lab, encrypt::LOGIN_ONLY, &asked).await;
        assert_eq!(client.answered_encrypt, encrypt::REQUIRED);
        insta::assert_snapshot!(client.read().await.join("\n"), @r#"
        ENV Database mgc <- master
        INFO 5701 0 SQL01: Changed database context to 'mgc'.
        ENV SqlCollation [9, 4, 208, 0, 52] <- []
        ENV Language us_english <-
        INFO 5703 0 SQL01: Changed language setting to us_english.
        LOGINACK 74000004 Microsoft SQL Server 0c001788
        ENV PacketSize 8000 <- 4096
        DONE
        "#);
        let seen = lab.fake.logins.lock().unwrap()[0].clone();
        assert_eq!((seen.user.as_str(), seen.password.as_str()), ("sa", "Pa$$wörd"));
        assert_eq!((seen.database.as_str(), seen.host.as_str(), seen.program.as_str()), ("mgc", "admin-pc", "cutover"));
        assert_eq!(lab.fake.log(), ["51 login", "answered 1 []"]);
        drop(client);
        lab.fake.until("51 logout").await;
    });
}

#[test]
fn a_wrong_password_gets_the_engines_error_and_the_door() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = connect(&lab, encrypt::ON, &login().with_sql_auth("sa", "guess")).await;
        assert_eq!(client.answered_encrypt, encrypt::ON);
        assert_eq!(client.read().await, ["ERROR 18456 14 1 SQL01: Login failed for user 'sa'.", "DONE error"]);
        assert!(client.ended().await);
        assert_eq!(lab.fake.log(), ["0 login", "answered 1 [18456]"]);
    });
}

#[test]
fn a_windows_login_is_refused_by_name() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = connect(&lab, encrypt::ON, &login().with_integrated_auth(vec![1, 2, 3])).await;
        assert!(client.read().await[0].starts_with("ERROR 18452 14 1 SQL01: Login failed."));
        assert!(client.ended().await);
    });
}

#[test]
fn features_are_acknowledged_only_to_those_who_asked_a_server_that_knows_them() {
    runtime().block_on(async {
        let utf8 = login().with_feature(FeatureExtension { feature_id: FeatureId::Utf8Support, data: vec![].into() });
        for (version, expected) in [(None, true), (Some((10, 50, 6000)), false)] {
            let fake = Fake { version, ..Fake::default() };
            let lab = start_with(fake, Encryption::Required, TlsAge::Current);
            let answer = connect(&lab, encrypt::ON, &utf8).await.read().await;
            assert_eq!(answer.contains(&"FEATURES [(10, [0])]".to_owned()), expected, "{answer:#?}");
            let ack = if expected { "LOGINACK 74000004" } else { "LOGINACK 730b0003" };
            assert!(answer.iter().any(|line| line.starts_with(ack)), "{answer:#?}");
        }
    });
}

#[test]
fn encryption_can_be_for_the_login_only_or_absent_or_of_2008() {
    runtime().block_on(async {
        for (ours, age, theirs, answered) in [
            (Encryption::Optional, TlsAge::Current, encrypt::LOGIN_ONLY, encrypt::LOGIN_ONLY),
            (Encryption::Optional, TlsAge::Current, encrypt::NOT_SUPPORTED, encrypt::NOT_SUPPORTED),
            (Encryption::Off, TlsAge::Current, encrypt::LOGIN_ONLY, encrypt::NOT_SUPPORTED),
            (Encryption::Required, TlsAge::Old, encrypt::REQUIRED, encrypt::ON),
        ] {
            let lab = start(ours, age);
            let mut client = connect(&lab, theirs, &login()).await;
            assert_eq!(client.answered_encrypt, answered);
            assert_eq!(client.read().await.last().unwrap(), "DONE");
            assert_eq!(client.ask("set").await, ["DONE"], "{ours:?} {age:?} {theirs}");
        }
    });
}

#[test]
fn a_batch_ends_each_statement_and_says_more_until_the_last() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        let answer = client.ask("select 2; print hello; set; restore; use msdb").await;
        insta::assert_snapshot!(answer.join("\n"), @r#"
        COLUMNS n text
        NBCROW [2] [04, 00, 00, 00, 00]
        ROW [04, 01, 00, 00, 00, 0a, 00, 00, 00, 00, 00, 00, 00, 0a, 00, 00, 00, 72, 00, 6f, 00, 77, 00, 20, 00, 31, 00, 00, 00, 00, 00]
        DONE more count=2
        INFO 0 0 SQL01: hello
        DONE more
        ERROR 4305 16 1 SQL01: The log in this backup set begins too late.
        ERROR 3013 16 1 SQL01: RESTORE LOG is terminating abnormally.
        DONE more error
        ENV Database msdb <- master
        DONE
        "#);
        assert_eq!(lab.fake.log()[2..], ["51 batch select 2; print hello; set; restore; use msdb", "answered 3 [4305, 3013]"]);
        assert_eq!(client.ask("print alone").await, ["INFO 0 0 SQL01: alone", "DONE"]);
        assert_eq!(client.ask("").await, ["DONE"]);
    });
}

#[test]
fn a_value_that_does_not_fit_its_column_is_an_error_and_no_row() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        let answer = client.ask("misfit").await;
        assert!(answer[1].starts_with("ERROR 8114 16"), "{answer:#?}");
        assert_eq!(answer[2..], ["ROW [01, ff]", "DONE error"]);
    });
}

#[test]
fn a_large_answer_spans_packets_and_stays_whole() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = connect(&lab, encrypt::ON, &login().with_packet_size(512)).await;
        client.read().await;
        let answer = client.ask("select 20000").await;
        assert_eq!(answer.len(), 20002);
        assert_eq!(answer.last().unwrap(), "DONE count=20000");
    });
}

#[test]
fn sp_executesql_is_unpacked_into_a_batch_with_named_parameters() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        let rpc = |text: &str, declared: &str, values: Vec<RpcParam>| {
            let mut rpc =
                RpcRequest::named("sp_executesql").param(RpcParam::nvarchar("stmt", text)).param(RpcParam::nvarchar("params", declared));
            for value in values {
                rpc = rpc.param(value);
            }
            rpc.encode()
        };
        let body = rpc(
            "set; double",
            "@db nvarchar(128), @n numeric(25,0), @id int OUTPUT",
            vec![RpcParam::nvarchar("", "mgc"), RpcParam::null("", TypeInfo::decimal(25, 0)), RpcParam::int("@ID", 21).as_output()],
        );
        client.send(kind::RPC, 0, &body).await;
        assert_eq!(client.read().await, ["DONEINPROC more", "DONEINPROC more", "STATUS 0", "VALUE 4 @ID [4, 42, 0, 0, 0]", "DONEPROC"]);
        let requests = lab.fake.requests.lock().unwrap().clone();
        let [Request::Batch { text, parameters }] = requests.as_slice() else { panic!("{requests:?}") };
        assert_eq!(text, "set; double");
        let seen: Vec<_> = parameters.iter().map(|p| (p.name.as_str(), p.value.clone(), p.output)).collect();
        assert_eq!(seen, [("@db", Cell::Text("mgc".into()), false), ("@n", Cell::Null, false), ("@ID", Cell::Int(21), true)]);
        assert_eq!(parameters[1].ty, Type::Numeric { precision: 25, scale: 0 });
        assert_eq!(lab.fake.log()[2..], ["51 rpc set; double @db,@n,@ID", "answered 3 []"]);

        client.send(kind::RPC, 0, &rpc("set", "@a int, @b int", vec![RpcParam::int("@b", 1)])).await;
        let answer = client.read().await;
        assert!(answer[0].starts_with("ERROR 8178 16"), "{answer:#?}");
        assert_eq!(answer[1..], ["DONEINPROC more error", "STATUS -6", "DONEPROC error"]);
        client.send(kind::RPC, 0, &rpc("set", "@a int", vec![RpcParam::int("", 1), RpcParam::int("", 2)])).await;
        assert!(client.read().await[0].starts_with("ERROR 8144 16"));
    });
}

#[test]
fn procedures_are_called_by_name_by_number_and_several_in_one_message() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        let one = RpcRequest::named("dbo.sp_rows").param(RpcParam::int("@n", 1)).encode();
        let two = RpcRequest::by_id(ProcId::Unprepare).param(RpcParam::int("", 1)).encode();
        // the second call's own ALL_HEADERS does not come again
        let headers = u32::from_le_bytes(two[..4].try_into().unwrap()) as usize;
        let body = [&one[..], &[0xFF], &two[headers..]].concat();
        client.send(kind::RPC, 0, &body).await;
        insta::assert_snapshot!(client.read().await.join("\n"), @r#"
        COLUMNS n
        ROW [04, 07, 00, 00, 00]
        DONEINPROC more count=1
        STATUS 3
        DONEPROC more
        ERROR 8179 16 2 SQL01: Could not find prepared statement with handle 1.
        DONEINPROC more error
        STATUS -6
        DONEPROC error
        "#);
        assert_eq!(lab.fake.log()[2..], ["51 rpc EXEC dbo.sp_rows @n", "answered 3 []", "51 rpc EXEC sp_unprepare", "answered 5 [8179]"]);
    });
}

/// The body of an RPC that asks for no columns.
fn without_metadata(rpc: RpcRequest) -> Vec<u8> {
    rpc.with_options(RpcOptionFlags { no_metadata: true, ..RpcOptionFlags::new() }).encode().to_vec()
}

#[test]
fn a_statement_is_prepared_run_again_under_its_handle_and_given_up() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        let prepexec = |handle: RpcParam, text: &str, value: i32| {
            RpcRequest::by_id(ProcId::PrepExec)
                .param(handle.as_output())
                .param(RpcParam::nvarchar("", "@P1 int"))
                .param(RpcParam::nvarchar("", text))
                .param(RpcParam::int("", value))
        };
        let none = || RpcParam::null("", TypeInfo::int());
        client.send(kind::RPC, 0, &prepexec(none(), "select 0", 7).encode()).await;
        let first = ["COLUMNS n text", "DONEINPROC more count=0", "STATUS 0", "VALUE 0  [4, 1, 0, 0, 0]", "DONEPROC"];
        assert_eq!(client.read().await, first);
        let again = RpcRequest::by_id(ProcId::Execute).param(RpcParam::int("", 1)).param(RpcParam::int("", 8));
        client.send(kind::RPC, 0, &again.encode()).await;
        assert_eq!(client.read().await, ["COLUMNS n text", "DONEINPROC more count=0", "STATUS 0", "DONEPROC"]);
        client.send(kind::RPC, 0, &without_metadata(again.clone())).await;
        assert_eq!(client.read_bytes().await[..4], [0x81, 0xFF, 0xFF, 0xFF]);

        // the old handle comes in where the new one goes out: its statement is given up
        client.send(kind::RPC, 0, &without_metadata(prepexec(RpcParam::int("", 1), "select 0", 9))).await;
        assert_eq!(client.read_bytes().await[..3], [0x81, 0xFF, 0xFF]);
        client.send(kind::RPC, 0, &again.encode()).await;
        let gone = "ERROR 8179 16 2 SQL01: Could not find prepared statement with handle 1.";
        assert_eq!(client.read().await, [gone, "DONEINPROC more error", "STATUS -6", "DONEPROC error"]);
        // other columns than before are told, whatever the client thinks it has
        let other = RpcRequest::by_id(ProcId::PrepExec)
            .param(RpcParam::int("", 2).as_output())
            .param(RpcParam::null("", TypeInfo::nvarchar(10)))
            .param(RpcParam::nvarchar("", "misfit"));
        client.send(kind::RPC, 0, &without_metadata(other)).await;
        assert_eq!(client.read().await[0], "COLUMNS n");

        let prepare = RpcRequest::by_id(ProcId::Prepare)
            .param(none().as_output())
            .param(RpcParam::nvarchar("", "@a int, @b nvarchar(max)"))
            .param(RpcParam::nvarchar("", "select 5"))
            .param(RpcParam::int("", 1));
        client.send(kind::RPC, 0, &prepare.encode()).await;
        assert_eq!(client.read().await, ["COLUMNS n text", "DONEINPROC more", "STATUS 0", "VALUE 0  [4, 4, 0, 0, 0]", "DONEPROC"]);
        let unprepare = RpcRequest::by_id(ProcId::Unprepare).param(RpcParam::int("", 4));
        client.send(kind::RPC, 0, &unprepare.encode()).await;
        assert_eq!(client.read().await, ["STATUS 0", "DONEPROC"]);
        client.send(kind::RPC, 0, &unprepare.encode()).await;
        assert!(client.read().await[0].starts_with("ERROR 8179"));

        client.send(kind::RPC, 0, &prepexec(none(), "nonsense", 7).encode()).await;
        assert_eq!(
            client.read().await,
            [
                "ERROR 102 15 1 SQL01: Incorrect syntax.",
                "ERROR 8180 16 1 SQL01: Statement(s) could not be prepared.",
                "DONEINPROC more error",
                "STATUS -6",
                "DONEPROC error"
            ]
        );
        let log = lab.fake.log();
        assert!(log.contains(&"describe select 5 with 2".to_owned()), "{log:#?}");
        assert!(log.contains(&"51 rpc select 0 @P1".to_owned()), "{log:#?}");
        assert!(!log.iter().any(|line| line.starts_with("51 rpc select 5")), "{log:#?}");
    });
}

#[test]
fn a_procedure_is_prepared_with_its_call() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        let call = RpcRequest::by_id(ProcId::PrepExecRpc)
            .param(RpcParam::null("", TypeInfo::int()).as_output())
            .param(RpcParam::nvarchar("", "dbo.sp_rows"))
            .param(RpcParam::int("", 3));
        client.send(kind::RPC, 0, &call.encode()).await;
        let rows = ["COLUMNS n", "ROW [04, 07, 00, 00, 00]", "DONEINPROC more count=1", "STATUS 3"];
        let answer = client.read().await;
        assert_eq!(answer[..4], rows);
        assert_eq!(answer[4..], ["VALUE 0  [4, 1, 0, 0, 0]", "DONEPROC"]);
        let again = RpcRequest::by_id(ProcId::Execute).param(RpcParam::int("", 1)).param(RpcParam::int("", 4));
        client.send(kind::RPC, 0, &again.encode()).await;
        assert_eq!(client.read().await[..4], rows);
        // a connection taken from a pool has no prepared statements
        client.send(kind::RPC, status::RESET, &again.encode()).await;
        assert!(client.read().await[1].starts_with("ERROR 8179"));
    });
}

#[test]
fn transactions_of_text_and_of_requests_are_the_same() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        assert_eq!(client.ask("begin").await, ["ENV BeginTransaction [1, 0, 0, 0, 0, 0, 0, 0] <- []", "DONE"]);
        let commit = [&[4, 0, 0, 0][..], &7u16.to_le_bytes(), &[0, 0]].concat();
        client.send(kind::TRANSACTION, 0, &commit).await;
        assert_eq!(client.read().await, ["ENV CommitTransaction [] <- [1, 0, 0, 0, 0, 0, 0, 0]", "DONE"]);
        client.send(kind::TRANSACTION, 0, &commit).await;
        assert!(client.read().await[0].starts_with("ERROR 3902 16"));
        let answer = client.ask("begin; rollback").await;
        assert_eq!(answer[1], "ENV RollbackTransaction [] <- [2, 0, 0, 0, 0, 0, 0, 0]");
    });
}

#[test]
fn a_parameter_of_unknown_type_is_answered_and_the_connection_lives() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        let mut body = RpcRequest::named("p").encode().to_vec();
        body.extend_from_slice(&[0, 0, 0xF3, 1, 2, 3]);
        client.send(kind::RPC, 0, &body).await;
        assert!(client.read().await[0].contains("ERROR 8009 16"));
        assert_eq!(client.ask("set").await, ["DONE"]);
    });
}

#[test]
fn an_attention_ends_a_running_statement_and_is_acknowledged_in_its_message() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        client.batch("set; slow; select 3").await;
        lab.fake.until("slow begins").await;
        client.attention().await;
        assert_eq!(client.read().await, ["DONE more", "INFO 3211 0 SQL01: 10 percent processed.", "DONE attention"]);
        assert!(lab.fake.log().contains(&"slow ends, cancelled true, gone false".to_owned()));
        assert!(lab.fake.log().contains(&"51 attention".to_owned()));
        assert_eq!(client.ask("select 0").await, ["COLUMNS n text", "DONE count=0"]);
    });
}

#[test]
fn an_attention_in_the_middle_of_rows_ends_them_and_is_acknowledged_once() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        client.batch("select 2000000; print after").await;
        let (header, first) = read_packet(&mut client.stream).await.unwrap().unwrap();
        assert_eq!((header.last(), first[0]), (false, 0x81));
        client.attention().await;
        let rest = client.read_bytes().await;
        // whole rows, then the acknowledgement and nothing else
        assert_eq!(rest[rest.len() - 13..], [0xFD, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(rest.len() < 30_000_000, "{}", rest.len());
        assert_eq!(client.ask("select 0").await, ["COLUMNS n text", "DONE count=0"]);
    });
}

#[test]
fn an_attention_when_idle_is_acknowledged_once_and_harms_nothing() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        client.attention().await;
        assert_eq!(client.read().await, ["DONE attention"]);
        client.attention().await;
        client.batch("set").await;
        assert_eq!(client.read().await, ["DONE attention"]);
        assert_eq!(client.read().await, ["DONE"]);
    });
}

#[test]
fn a_request_taken_back_is_not_run() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        client.send(kind::BATCH, status::IGNORE, b"half a batch").await;
        assert_eq!(client.read().await, ["DONE error"]);
        assert_eq!(lab.fake.requests.lock().unwrap().len(), 0);
        assert_eq!(client.ask("set").await, ["DONE"]);
    });
}

#[test]
fn progress_arrives_while_the_statement_runs() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        client.batch("slow").await;
        assert_eq!(client.read_part().await, ["INFO 3211 0 SQL01: 10 percent processed."]);
        assert!(!lab.fake.log().iter().any(|line| line.starts_with("slow ends")));
    });
}

#[test]
fn a_client_that_leaves_is_seen_by_the_session_that_runs_on() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        client.batch("slow; select 1; use master").await;
        lab.fake.until("slow begins").await;
        drop(client);
        lab.fake.until("slow ends, cancelled true, gone true").await;
        lab.fake.until("answered 3 []").await;
        lab.fake.until("51 logout").await;
    });
}

#[test]
fn a_fatal_error_a_cut_and_a_kill_end_the_connection() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        assert_eq!(client.ask("fatal").await, ["ERROR 21 20 1 SQL01: Warning: Fatal error.", "DONE error"]);
        assert!(client.ended().await);
        let mut client = Client::ready(&lab).await;
        client.batch("select 1; cut").await;
        assert!(client.ended().await);
        let mut client = Client::ready(&lab).await;
        assert!(!lab.server.connections().cut(99));
        assert!(lab.server.connections().cut(53));
        assert!(client.ended().await);
        lab.fake.until("53 logout").await;
        assert!(!lab.server.connections().cut(53));
    });
}

#[test]
fn transaction_requests_are_answered_with_their_descriptors() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        let request = |kind: u16, rest: &[u8]| {
            let mut body = vec![22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
            body.extend_from_slice(&kind.to_le_bytes());
            body.extend_from_slice(rest);
            body
        };
        client.send(kind::TRANSACTION, 0, &request(5, &[0, 0])).await;
        assert_eq!(client.read().await, ["ENV BeginTransaction [1, 0, 0, 0, 0, 0, 0, 0] <- []", "DONE"]);
        client.send(kind::TRANSACTION, 0, &request(7, &[0, 1, 0, 0])).await;
        assert_eq!(
            client.read().await,
            ["ENV CommitTransaction [] <- [1, 0, 0, 0, 0, 0, 0, 0]", "ENV BeginTransaction [2, 0, 0, 0, 0, 0, 0, 0] <- []", "DONE"]
        );
        client.send(kind::TRANSACTION, 0, &request(8, &[0, 0])).await;
        assert_eq!(client.read().await, ["ENV RollbackTransaction [] <- [2, 0, 0, 0, 0, 0, 0, 0]", "DONE"]);
        client.send(kind::TRANSACTION, 0, &request(8, &[0, 0])).await;
        assert!(client.read().await[0].starts_with("ERROR 3903 16"));
        assert_eq!(lab.fake.log()[2..], ["transaction true", "transaction false", "transaction true", "transaction false"]);
    });
}

#[test]
fn the_reset_bit_reaches_the_session_and_is_acknowledged_first() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        let body = tds_protocol::SqlBatch::new("set").encode();
        client.send(kind::BATCH, status::RESET, &body).await;
        let answer = client.read().await;
        assert!(answer[0].starts_with("ENV ResetConnectionCompletionAck"), "{answer:#?}");
        assert_eq!(answer[1..], ["DONE"]);
        assert_eq!(lab.fake.log()[2], "reset");
    });
}

#[test]
fn malformed_requests_end_their_own_connection_only() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut other = Client::ready(&lab).await;
        for (kind, body) in [
            (kind::BATCH, &b"\xFF\xFF\xFF\xFF"[..]),
            (kind::BATCH, b"\x04\x00\x00\x00x"),
            (kind::RPC, b"\x04\x00\x00\x00\xFF\xFF\x63\x00"),
            (kind::RPC, b"\x04\x00\x00\x00"),
            (kind::BULK, b""),
            (kind::TRANSACTION, b""),
            (0x55, b""),
        ] {
            let mut client = Client::ready(&lab).await;
            client.send(kind, 0, body).await;
            assert!(client.ended().await, "{kind} {body:?}");
        }
        for hello in [&b"\x12\x01\x00\x03"[..], b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x12\x01\x00\x09\0\0\0\0\x01"] {
            let mut tcp = TcpStream::connect(lab.server.addr()).await.unwrap();
            tcp.write_all(hello).await.unwrap();
            tcp.shutdown().await.unwrap();
            let mut client = Client { stream: Box::new(tcp), answered_encrypt: 0 };
            assert!(client.ended().await);
        }
        assert_eq!(other.ask("set").await, ["DONE"]);
    });
}

#[test]
fn nobody_gets_much_memory_before_login() {
    runtime().block_on(async {
        let lab = start(Encryption::Off, TlsAge::Current);
        let mut tcp = TcpStream::connect(lab.server.addr()).await.unwrap();
        let flood = packets(kind::PRELOGIN, 0, 32_767, &vec![0; 200_000], true, &mut 0);
        // the server may hang up before all of it is sent
        let _ = tcp.write_all(&flood).await;
        let mut client = Client { stream: Box::new(tcp), answered_encrypt: 0 };
        assert!(client.ended().await);
    });
}

#[test]
fn a_client_that_stalls_before_its_login_is_closed() {
    runtime().block_on(async {
        let lab = start_options(Fake::default(), |certificate| ServerOptions {
            certificate,
            encryption: Encryption::Required,
            tls: TlsAge::Current,
            login_time: Duration::from_millis(200),
        });
        // one that has logged in has all the time it likes
        let mut other = Client::ready(&lab).await;
        let hello = packets(kind::PRELOGIN, 0, 4096, &PreLogin { options: vec![(1, vec![1])] }.write(), true, &mut 0);
        for sent in [0, 3, hello.len()] {
            let mut tcp = TcpStream::connect(lab.server.addr()).await.unwrap();
            tcp.write_all(&hello[..sent]).await.unwrap();
            let mut rest = Vec::new();
            tcp.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest.is_empty(), sent < hello.len());
        }
        assert_eq!(other.ask("set").await, ["DONE"]);
    });
}

#[test]
fn so_many_strangers_and_no_more_are_let_in_and_they_leave_room() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut other = Client::ready(&lab).await;
        let mut strangers = Vec::new();
        for _ in 0..256 {
            strangers.push(TcpStream::connect(lab.server.addr()).await.unwrap());
        }
        let mut late = TcpStream::connect(lab.server.addr()).await.unwrap();
        assert_eq!(late.read(&mut [0]).await.unwrap_or(0), 0);
        assert_eq!(other.ask("set").await, ["DONE"]);
        drop(strangers);
        // the lab notices in its own time that they are gone
        for _ in 0..1000 {
            let mut tcp = TcpStream::connect(lab.server.addr()).await.unwrap();
            let hello = packets(kind::PRELOGIN, 0, 4096, &PreLogin { options: vec![(1, vec![1])] }.write(), true, &mut 0);
            let answered = tcp.write_all(&hello).await.is_ok() && tcp.read(&mut [0]).await.is_ok_and(|n| n == 1);
            if answered {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nobody is let in any more");
    });
}

#[test]
fn stopping_closes_every_socket() {
    runtime().block_on(async {
        let lab = start(Encryption::Required, TlsAge::Current);
        let mut client = Client::ready(&lab).await;
        let address = lab.server.addr();
        lab.server.stop().await;
        assert!(client.ended().await);
        assert!(TcpStream::connect(address).await.is_err());
        lab.fake.until("51 logout").await;
    });
}
