//! The SQL Server Browser's datagrams (MC-SQLR 2.2): which instances a machine has, and the TCP port of each. The client asks
//! in `sqlserver/browser.rs`, the lab answers.

/// The UDP port that Browsers listen on.
pub const PORT: u16 = 1434;
/// The longest answer: its size field has 16 bits.
pub const LARGEST: usize = 3 + u16::MAX as usize;

/// A question about all instances of a machine (CLNT_UCAST_EX).
const ALL: u8 = 0x03;
/// A question about one instance (CLNT_UCAST_INST).
const ONE: u8 = 0x04;
/// An answer (SVR_RESP).
const ANSWER: u8 = 0x05;

/// One instance of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// the machine's name, without a domain
    pub server: String,
    pub instance: String,
    /// `12.0.6024.0`
    pub version: String,
    /// `None`: it does not listen on TCP
    pub port: Option<u16>,
}

/// A datagram is no answer of a Browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("its answer begins with something else")]
    Kind,
    #[error("its answer has {found} bytes and claims {claimed}")]
    Length { claimed: usize, found: usize },
    #[error("its answer is no list of instances")]
    Text,
}

/// What somebody asks a Browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    All,
    Instance(String),
}

pub fn ask_for_all() -> Vec<u8> {
    vec![ALL]
}

pub fn ask_for(instance: &str) -> Vec<u8> {
    [&[ONE], instance.as_bytes(), &[0]].concat()
}

/// Reads a question; `None` if it is none.
pub fn question(datagram: &[u8]) -> Option<Question> {
    match datagram {
        [ALL] => Some(Question::All),
        [ONE, name @ .., 0] => std::str::from_utf8(name).ok().map(|name| Question::Instance(name.to_owned())),
        _ => None,
    }
}

/// Reads an answer, trusting no length in it.
pub fn read(datagram: &[u8]) -> Result<Vec<Listed>, Malformed> {
    let [ANSWER, l0, l1, text @ ..] = datagram else { return Err(Malformed::Kind) };
    let claimed = usize::from(u16::from_le_bytes([*l0, *l1]));
    if claimed != text.len() {
        return Err(Malformed::Length { claimed, found: text.len() });
    }
    let text = String::from_utf8_lossy(text);
    let (mut found, mut pairs) = (Vec::new(), Vec::new());
    let mut parts = text.split(';');
    while let Some(key) = parts.next() {
        if !key.is_empty() {
            pairs.push((key, parts.next().ok_or(Malformed::Text)?));
        } else if !pairs.is_empty() {
            // an empty key ends an instance
            found.push(listed(&std::mem::take(&mut pairs))?);
        }
    }
    if pairs.is_empty() { Ok(found) } else { Err(Malformed::Text) }
}

/// `ServerName;SQL01;InstanceName;RTC;IsClustered;No;Version;12.0.6024.0;tcp;50421`, in any order, and more.
fn listed(pairs: &[(&str, &str)]) -> Result<Listed, Malformed> {
    let value = |key: &str| pairs.iter().find(|(found, _)| found.eq_ignore_ascii_case(key)).map(|(_, value)| *value);
    let port = match value("tcp") {
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0).ok_or(Malformed::Text)?),
        None => None,
    };
    Ok(Listed {
        server: value("ServerName").unwrap_or_default().to_owned(),
        instance: value("InstanceName").filter(|name| !name.is_empty()).ok_or(Malformed::Text)?.to_owned(),
        version: value("Version").unwrap_or_default().to_owned(),
        port,
    })
}

/// Writes an answer.
pub fn write(listed: &[Listed]) -> Vec<u8> {
    let one = |one: &Listed| {
        let tcp = one.port.map_or_else(String::new, |port| format!("tcp;{port};"));
        format!("ServerName;{};InstanceName;{};IsClustered;No;Version;{};{tcp};", one.server, one.instance, one.version)
    };
    let text: String = listed.iter().map(one).collect();
    let size = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let bytes = text.as_bytes().get(..usize::from(size)).unwrap_or_default();
    [&[ANSWER], size.to_le_bytes().as_slice(), bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Vec<u8> {
        [&[5], u16::try_from(text.len()).unwrap().to_le_bytes().as_slice(), text.as_bytes()].concat()
    }

    #[test]
    fn questions_are_what_the_protocol_has() {
        assert_eq!(ask_for("RTC"), b"\x04RTC\0");
        assert_eq!(question(b"\x04RTC\0"), Some(Question::Instance("RTC".into())));
        assert_eq!(question(&ask_for_all()), Some(Question::All));
        for nonsense in [b"".as_slice(), b"\x02", b"\x04RTC", b"\x04\xFF\0", b"\x03x"] {
            assert_eq!(question(nonsense), None);
        }
    }

    #[test]
    fn an_answer_lists_instances_with_and_without_tcp() {
        let text = "ServerName;SQL01;InstanceName;RTC;IsClustered;No;Version;12.0.6024.0;np;\\\\SQL01\\pipe\\MSSQL$RTC\\sql\\query;tcp;50421;;\
                    ServerName;SQL01;InstanceName;LYNCLOCAL;IsClustered;No;Version;12.0.6024.0;;";
        let found = read(&answer(text)).unwrap();
        let listed =
            |instance: &str, port| Listed { server: "SQL01".into(), instance: instance.into(), version: "12.0.6024.0".into(), port };
        assert_eq!(found, [listed("RTC", Some(50421)), listed("LYNCLOCAL", None)]);
        assert_eq!(read(&write(&found)).unwrap(), found);
        assert_eq!(read(&answer("")), Ok(Vec::new()));
    }

    #[test]
    fn an_answer_that_lies_or_ends_early_is_refused() {
        let good = write(&[Listed { server: "S".into(), instance: "RTC".into(), version: "12.0".into(), port: Some(1433) }]);
        for cut in 0..3 {
            assert_eq!(read(&good[..cut]), Err(Malformed::Kind), "{cut}");
        }
        for cut in 3..good.len() {
            assert!(matches!(read(&good[..cut]), Err(Malformed::Length { .. })), "{cut}");
        }
        assert!(matches!(read(&[good.as_slice(), b"x"].concat()), Err(Malformed::Length { .. })));
        assert_eq!(read(b"HTTP/1.1 400 Bad Request"), Err(Malformed::Kind));
        for text in
            ["x", "tcp;1433;;", "InstanceName;RTC;tcp;0;;", "InstanceName;RTC;tcp;99999;;", "InstanceName;;", "InstanceName;RTC;tcp;x;;"]
        {
            assert_eq!(read(&answer(text)), Err(Malformed::Text), "{text}");
        }
    }
}
