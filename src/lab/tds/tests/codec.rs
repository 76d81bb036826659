use jiff::civil::{date, time};
use proptest::prelude::*;
use tds_protocol::login7::{FeatureExtension, FeatureId};
use tds_protocol::rpc::{RpcParam, RpcRequest, TypeInfo};
use tiberius::{AuthMethod, ColumnData, Config, EncryptionLevel};
use tokio_util::compat::TokioAsyncWriteCompatExt;

use super::engine::{login, runtime, start};
use crate::lab::tds::cursor::Cursor;
use crate::lab::tds::values::{read_type, read_value, write_type, write_value};
use crate::lab::tds::{Cell, Encryption, TlsAge, Type, login as login7, requests};
use crate::wire::tls::PreLogin;

const LSN: i128 = 1_234_567_890_123_456_789_012_345;

/// One value of each type, as it comes back.
pub fn every_type() -> Vec<(Type, Cell)> {
    let at = date(2024, 2, 29).at(23, 59, 58, 123_000_000);
    let text = |text: &str| Cell::Text(text.into());
    let guid = uuid::Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    vec![
        (Type::Bit, Cell::Bit(true)),
        (Type::TinyInt, Cell::TinyInt(255)),
        (Type::SmallInt, Cell::SmallInt(-2)),
        (Type::Int, Cell::Int(-6)),
        (Type::BigInt, Cell::BigInt(i64::MIN)),
        (Type::Real, Cell::Real(1.5)),
        (Type::Float, Cell::Float(-0.1)),
        (Type::Numeric { precision: 25, scale: 0 }, Cell::Numeric { value: LSN, scale: 0 }),
        (Type::Numeric { precision: 5, scale: 2 }, Cell::Numeric { value: -12345, scale: 2 }),
        (Type::Money, Cell::Money(-1_234_567_890_123)),
        (Type::SmallMoney, Cell::Money(12_345)),
        (Type::NVarChar(Some(20)), text("Überblick €")),
        (Type::NVarChar(None), text(&"max ".repeat(5000))),
        (Type::VarChar(Some(20)), text("naïve – €")),
        (Type::VarChar(None), text("")),
        (Type::NChar(4), text("ab  ")),
        (Type::Char(4), text("ab  ")),
        (Type::VarBinary(Some(8)), Cell::Binary(vec![1, 2, 3])),
        (Type::VarBinary(None), Cell::Binary(vec![9; 9000])),
        (Type::Binary(4), Cell::Binary(vec![1, 2, 0, 0])),
        (Type::Guid, Cell::Guid(guid)),
        (Type::Date, Cell::Date(date(9999, 12, 31))),
        (Type::Time(7), Cell::Time(time(23, 59, 59, 999_999_900))),
        (Type::DateTime, Cell::DateTime(at)),
        (Type::SmallDateTime, Cell::DateTime(date(2024, 2, 29).at(23, 59, 0, 0))),
        (Type::DateTime2(3), Cell::DateTime(at)),
        (Type::DateTimeOffset(7), Cell::DateTimeOffset(at, 330)),
    ]
}

fn round_trip(ty: Type, cell: &Cell) -> Cell {
    let mut bytes = Vec::new();
    write_type(&mut bytes, ty);
    write_value(&mut bytes, ty, cell).unwrap();
    let mut c = Cursor::new(&bytes);
    let declared = read_type(&mut c).unwrap();
    assert_eq!(declared.ty, ty);
    let read = read_value(&mut c, &declared).unwrap();
    assert!(c.is_empty());
    read
}

#[test]
fn every_type_and_its_null_survive_the_wire() {
    for (ty, cell) in every_type() {
        assert_eq!(round_trip(ty, &cell), cell, "{ty:?}");
        assert_eq!(round_trip(ty, &Cell::Null), Cell::Null, "{ty:?}");
    }
    assert_eq!(round_trip(Type::SqlVariant, &Cell::Int(3)), Cell::Int(3));
}

#[test]
fn values_are_widened_rounded_and_refused_as_their_column_wants() {
    let numeric = |value, scale| Cell::Numeric { value, scale };
    for (ty, cell, back) in [
        (Type::BigInt, Cell::TinyInt(7), Some(Cell::BigInt(7))),
        (Type::Numeric { precision: 5, scale: 1 }, numeric(-1250, 3), Some(numeric(-13, 1))),
        (Type::Numeric { precision: 5, scale: 1 }, Cell::Int(12), Some(numeric(120, 1))),
        (Type::Numeric { precision: 2, scale: 1 }, Cell::Int(12), None),
        (Type::TinyInt, Cell::Int(-1), None),
        (Type::NVarChar(Some(2)), Cell::Text("abc".into()), None),
        (Type::Int, Cell::Text("7".into()), None),
        (Type::Float, Cell::Int(2), Some(Cell::Float(2.0))),
        (
            Type::DateTime2(0),
            Cell::DateTime(date(2023, 12, 31).at(23, 59, 59, 500_000_000)),
            Some(Cell::DateTime(date(2024, 1, 1).at(0, 0, 0, 0))),
        ),
        (
            Type::DateTime,
            Cell::DateTime(date(2023, 12, 31).at(23, 59, 59, 999_000_000)),
            Some(Cell::DateTime(date(2024, 1, 1).at(0, 0, 0, 0))),
        ),
        (Type::Date, Cell::Date(date(-1, 1, 1)), None),
    ] {
        let mut bytes = Vec::new();
        let written = write_value(&mut bytes, ty, &cell).is_ok();
        assert_eq!(written, back.is_some(), "{ty:?} {cell:?}");
        match back {
            Some(back) => assert_eq!(round_trip(ty, &cell), back),
            None => assert_eq!(bytes, [0u8; 0]),
        }
    }
}

#[test]
fn tiberius_reads_every_type_as_it_was_meant() {
    runtime().block_on(async {
        let lab = start(Encryption::Off, TlsAge::Current);
        let mut config = Config::new();
        config.authentication(AuthMethod::sql_server("sa", "Pa$$wörd"));
        config.encryption(EncryptionLevel::NotSupported);
        let tcp = tokio::net::TcpStream::connect(lab.server.addr()).await.unwrap();
        let mut client = tiberius::Client::connect(config, tcp.compat_write()).await.unwrap();
        let rows = client.simple_query("types").await.unwrap().into_first_result().await.unwrap();
        assert_eq!(rows.len(), 2);
        let cells: Vec<ColumnData> = rows[0].cells().map(|(_, data)| data.clone()).collect();
        let shown: Vec<String> = cells
            .iter()
            .map(|cell| format!("{cell:?}"))
            .map(|text| if text.len() > 150 { format!("{} bytes", text.len()) } else { text })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        Bit(Some(true))
        U8(Some(255))
        I16(Some(-2))
        I32(Some(-6))
        I64(Some(-9223372036854775808))
        F32(Some(1.5))
        F64(Some(-0.1))
        Numeric(Some(1234567890123456789012345.0))
        Numeric(Some(-123.45))
        F64(Some(-123456789.0123))
        F64(Some(1.2345))
        String(Some("Überblick €"))
        20016 bytes
        String(Some("naïve – €"))
        String(Some(""))
        String(Some("ab  "))
        String(Some("ab  "))
        Binary(Some([1, 2, 3]))
        27014 bytes
        Binary(Some([1, 2, 0, 0]))
        Guid(Some(00112233-4455-6677-8899-aabbccddeeff))
        Date(Some(Date(3652058)))
        Time(Some(Time { increments: 863999999999, scale: 7 }))
        DateTime(Some(DateTime { days: 45349, seconds_fragments: 25919437 }))
        SmallDateTime(Some(SmallDateTime { days: 45349, seconds_fragments: 1439 }))
        DateTime2(Some(DateTime2 { date: Date(738944), time: Time { increments: 86398123, scale: 3 } }))
        DateTimeOffset(Some(DateTimeOffset { datetime2: DateTime2 { date: Date(738944), time: Time { increments: 665981230000, scale: 7 } }, offset: 330 }))
        "#);
        let ColumnData::Numeric(Some(lsn)) = cells[7] else { panic!() };
        assert_eq!(lsn.value(), LSN);
        for (_, cell) in rows[1].cells() {
            assert!(format!("{cell:?}").contains("None"), "{cell:?}");
        }
        let bound = client.query("select 1", &[&1i32, &"text", &None::<String>]).await.unwrap();
        assert_eq!(bound.into_first_result().await.unwrap().len(), 1);
        let seen = lab.fake.log();
        assert_eq!(seen[seen.len() - 2], "51 rpc select 1 @P1,@P2,@P3");
    });
}

/// Messages that are as they should be, to be damaged: PRELOGIN, LOGIN7, batch, RPC, transaction.
fn sound() -> Vec<Vec<u8>> {
    let mut rpc = RpcRequest::named("sp_executesql")
        .param(RpcParam::nvarchar("", "select @a"))
        .param(RpcParam::nvarchar("", "@a int, @b nvarchar(max)"))
        .param(RpcParam::int("@a", 1))
        .param(RpcParam::null("@b", TypeInfo::nvarchar_max()))
        .encode()
        .to_vec();
    for (i, (ty, cell)) in every_type().into_iter().enumerate() {
        if i % 9 == 0 {
            rpc.extend_from_slice(&[0xFF, 1, 0, b'p', 0, 0, 0]);
        }
        rpc.extend_from_slice(&[0, 0]);
        write_type(&mut rpc, ty);
        let cell = match cell {
            Cell::Text(text) => Cell::Text(text.chars().take(10).collect()),
            Cell::Binary(bytes) => Cell::Binary(bytes.into_iter().take(4).collect()),
            cell => cell,
        };
        write_value(&mut rpc, ty, &cell).unwrap();
    }
    let feature = FeatureExtension { feature_id: FeatureId::Utf8Support, data: vec![1].into() };
    vec![
        PreLogin { options: vec![(0, vec![0; 6]), (1, vec![1]), (4, vec![0])] }.write(),
        login().with_feature(feature).encode().to_vec(),
        tds_protocol::SqlBatch::new("select 1").encode().to_vec(),
        rpc,
        vec![4, 0, 0, 0, 7, 0, 1, b'x', 0, 1],
    ]
}

/// Every reader, on the same bytes.
fn read_all(body: &[u8]) -> [bool; 5] {
    [
        PreLogin::read(body).is_ok(),
        login7::read(body).is_ok(),
        requests::read_batch(body).is_ok(),
        requests::read_calls(body).is_ok(),
        requests::read_transaction(body).is_ok(),
    ]
}

#[test]
fn sound_messages_are_read() {
    for (i, message) in sound().iter().enumerate() {
        assert!(read_all(message)[i], "{i}");
    }
    let calls = requests::read_calls(&sound()[3]).unwrap();
    assert_eq!(calls.len(), 4);
    assert!(calls.iter().all(|call| call.sent.is_ok()));
}

#[test]
fn messages_cut_anywhere_are_refused_without_a_panic() {
    for message in sound() {
        for end in 0..message.len() {
            read_all(&message[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_messages_never_panic(
        which in 0usize..5,
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(0xFFu8), Just(0), Just(0x7F), any::<u8>()]), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut message = sound().swap_remove(which);
        for (at, byte) in damage {
            let at = at.index(message.len());
            message[at] = byte;
        }
        if let Some(cut) = cut {
            message.truncate(cut.index(message.len()));
        }
        read_all(&message);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
        let mut c = Cursor::new(&bytes);
        if let Ok(declared) = read_type(&mut c) {
            let _ = read_value(&mut c, &declared);
        }
    }

    #[test]
    fn texts_and_numbers_survive(text in "\\PC{0,60}", n in any::<i64>(), bytes in prop::collection::vec(any::<u8>(), 0..50)) {
        prop_assert_eq!(round_trip(Type::NVarChar(None), &Cell::Text(text.clone())), Cell::Text(text));
        prop_assert_eq!(round_trip(Type::BigInt, &Cell::BigInt(n)), Cell::BigInt(n));
        prop_assert_eq!(round_trip(Type::VarBinary(None), &Cell::Binary(bytes.clone())), Cell::Binary(bytes));
    }
}
