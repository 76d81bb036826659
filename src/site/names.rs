//! What names, paths and durations of a site file must look like. Called by `read.rs` only.

use std::net::IpAddr;
use std::time::Duration;

/// Why a text is no fully qualified DNS name, and what was probably meant. `None`: it is one (RFC 1123, and `_`, which
/// Active Directory tolerates).
pub fn not_fqdn(name: &str) -> Option<(String, String)> {
    let help = |text: &str| text.to_owned();
    if name.is_empty() {
        return Some((help("it is empty"), help("Write the name with its domain, as in `atl-cs-001.litwareinc.com`.")));
    }
    if let Some((service, rest)) = name.split_once(':') {
        let rest = rest.trim();
        let text = if not_fqdn(rest).is_none() && service.chars().all(char::is_alphabetic) {
            format!("Write only the name: `{rest}`.")
        } else {
            help("Write the name alone, without a service, a port or a scheme.")
        };
        return Some((help("it holds a `:`"), text));
    }
    if name.trim() != name || name.contains(char::is_whitespace) {
        let trimmed: String = name.split_whitespace().collect();
        return Some((help("it holds blanks"), format!("Write `{trimmed}`.")));
    }
    if name.contains(['\\', '/']) {
        return Some((help("it holds a slash"), help("Write the host's name alone, without share or instance.")));
    }
    if name.parse::<IpAddr>().is_ok() {
        return Some((help("it is an address"), help("Write the name that DNS and certificates use.")));
    }
    if name.len() > 253 {
        return Some((help("it is longer than 253 characters"), help("Write the name as DNS has it.")));
    }
    for label in name.split('.') {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let why = if label.is_empty() {
            "it has an empty part".to_owned()
        } else if label.len() > 63 {
            format!("`{label}` is longer than 63 characters")
        } else if let Some(c) = label.chars().find(|c| !fits(*c)) {
            format!("`{}` does not belong into a name", c.escape_default())
        } else if label.starts_with('-') || label.ends_with('-') {
            format!("`{label}` begins or ends with a hyphen")
        } else {
            continue;
        };
        return Some((why, help("Write the name as DNS has it, as in `atl-cs-001.litwareinc.com`.")));
    }
    if !name.contains('.') {
        return Some((help("it has no domain"), format!("Write the name with its domain, as in `{name}.litwareinc.com`.")));
    }
    None
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// `\\server\share\...`
    Unc,
    /// `D:\...`
    Drive,
    /// `/...`
    Slash,
    Relative,
}

/// Tells the three kinds of absolute paths apart, on every system alike.
pub fn path_kind(path: &str) -> PathKind {
    let slash = |c: char| c == '\\' || c == '/';
    if let Some(rest) = path.strip_prefix(r"\\") {
        let mut parts = rest.split(slash);
        let whole = parts.next().is_some_and(|host| !host.is_empty()) && parts.next().is_some_and(|share| !share.is_empty());
        return if whole { PathKind::Unc } else { PathKind::Relative };
    }
    if path.starts_with('/') {
        return PathKind::Slash;
    }
    let mut chars = path.chars();
    let drive = chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.next() == Some(':');
    if drive && chars.next().is_some_and(slash) { PathKind::Drive } else { PathKind::Relative }
}

/// What to write instead of a path that is not absolute.
pub fn path_help(path: &str) -> String {
    if path.is_empty() {
        return "Write the folder's whole path.".to_owned();
    }
    if let Some(rest) = path.strip_prefix('\\') {
        let rest = rest.trim_start_matches('\\');
        return if rest.contains('\\') {
            format!(r"Write it in single quotes, where a backslash is a backslash: '\\{rest}'.")
        } else {
            format!(r"Name the server and the share: '\\{rest}\share'.")
        };
    }
    let mut chars = path.chars();
    if chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.next() == Some(':') {
        return format!(r"Write it from the root of the drive: '{}\{}'.", &path[..2], &path[2..]);
    }
    r"Write the whole path: '\\server\share', 'D:\folder' or '/folder'.".to_owned()
}

/// `90s`, `5m`, `2h`, `1h30m`; not zero.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds = 0u64;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest[digits..].chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        // `30m1h` is a slip of the pen
        if unit >= smallest {
            return None;
        }
        smallest = unit;
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// The shortest text that [`duration`] reads back.
pub fn show_duration(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    let mut shown = String::new();
    for (unit, letter) in [(86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')] {
        if seconds >= unit {
            shown.push_str(&format!("{}{letter}", seconds / unit));
            seconds %= unit;
        }
    }
    shown
}

/// True for this machine itself.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fully_qualified_names_are_told_from_all_else() {
        for name in ["atl-cs-001.litwareinc.com", "a.b", "x_1.corp.local"] {
            assert_eq!(not_fqdn(name), None, "{name}");
        }
        for name in ["", "atl-cs-001", "service:a.b", "a .b", "a..b", "-a.b", "10.0.0.1", "\\\\a.b\\c", "a.b:5022", "ä.b"] {
            assert!(not_fqdn(name).is_some(), "{name}");
        }
        let (_, help) = not_fqdn("service:atl-cs-001.litwareinc.com").expect("a service is no name");
        assert_eq!(help, "Write only the name: `atl-cs-001.litwareinc.com`.");
    }

    #[test]
    fn absolute_paths_of_both_worlds_are_known_everywhere() {
        let table = [
            (r"\\dr-sql-01\LogShip$", PathKind::Unc),
            (r"\\dr-sql-01", PathKind::Relative),
            (r"\dr-sql-01\LogShip", PathKind::Relative),
            (r"D:\LogShip", PathKind::Drive),
            (r"D:/LogShip", PathKind::Drive),
            (r"D:LogShip", PathKind::Relative),
            ("/srv/x", PathKind::Slash),
            ("x", PathKind::Relative),
            ("", PathKind::Relative),
        ];
        for (path, kind) in table {
            assert_eq!(path_kind(path), kind, "{path}");
        }
        assert!(path_help(r"\dr-sql-01\LogShip").contains(r"'\\dr-sql-01\LogShip'"));
        assert!(path_help("D:LogShip").contains(r"'D:\LogShip'"));
        assert!(path_help("ä:x").contains("whole path"));
    }

    #[test]
    fn durations_come_back_as_they_were_written() {
        for text in ["90s", "5m", "2h", "1h30m", "1d", "1d2h3m4s"] {
            let read = duration(text).expect(text);
            assert_eq!(duration(&show_duration(read)), Some(read), "{text}");
        }
        assert_eq!(duration("90s").map(show_duration).as_deref(), Some("1m30s"));
        for text in ["", "5", "m", "0s", "30m1h", "5 m", "-5m", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
