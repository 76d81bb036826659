//! What a log backup's file name says: log shipping writes `<database>_<yyyyMMddHHmmss>.trn`, and `.wrk` while a file is
//! being written. Used for ordering and for bounding a copy; never to decide which log comes next (that is the server's
//! to say, by LSN).

use std::cmp::Ordering;

use jiff::civil::DateTime;

/// How the names of our own temporary files end; they begin with a dot.
const PART: &str = ".cutover-part";

/// A name of log shipping's form, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogName {
    /// What stands before the last underscore, as written: the database's name.
    pub database: String,
    /// When the backup was begun, by the primary's clock in UTC (sqllogship names files in UTC).
    pub stamp: DateTime,
    /// `.wrk`: being written, or left behind by a backup or copy job that died.
    pub work: bool,
}

impl LogName {
    /// Reads `<database>_<yyyyMMddHHmmss>.trn` or `.wrk`; nothing for any other name, or a stamp that is no date.
    pub fn parse(name: &str) -> Option<LogName> {
        let (stem, extension) = name.rsplit_once('.')?;
        let work = match extension {
            e if e.eq_ignore_ascii_case("trn") => false,
            e if e.eq_ignore_ascii_case("wrk") => true,
            _ => return None,
        };
        let (database, digits) = stem.rsplit_once('_')?;
        if database.is_empty() || digits.len() != 14 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let part = |from: usize, to: usize| digits[from..to].parse::<i16>().ok();
        let small = |from: usize| part(from, from + 2).and_then(|n| i8::try_from(n).ok());
        let stamp = DateTime::new(part(0, 4)?, small(4)?, small(6)?, small(8)?, small(10)?, small(12)?, 0).ok()?;
        Some(LogName { database: database.to_owned(), stamp, work })
    }
}

/// The last component of a path as either system writes it: msdb holds `D:\LogShip\mgc_….trn`, a name alone passes through.
pub fn file_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

/// True for `.wrk`, which is in progress or orphaned and is never touched.
pub fn is_work(name: &str) -> bool {
    extension_is(name, "wrk")
}

/// True for a temporary file of ours: in progress elsewhere, or left behind.
pub fn is_part(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(PART)
}

/// The beginning and the end of the temporary name for `name`; what stands between is random, so that two runs differ.
pub(super) fn part_name(name: &str) -> (String, &'static str) {
    (format!(".{name}."), PART)
}

/// Whether a name fits a pattern of `*` and `?`, without regard to case, as on Windows (`*.*` is every name there).
pub fn matches(pattern: &str, name: &str) -> bool {
    if pattern == "*.*" {
        return true;
    }
    let fold = |s: &str| s.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    if pattern.is_ascii() && name.is_ascii() {
        // The usual case without allocating: a folder may hold tens of thousands of names.
        return glob(pattern.as_bytes(), name.as_bytes(), b'*', b'?', |a, b| a.eq_ignore_ascii_case(b));
    }
    glob(&fold(pattern), &fold(name), '*', '?', |a, b| a == b)
}

/// The name a `.wrk` would have had when finished, to ask whether a pattern means it.
pub(super) fn finished_name(work: &str) -> String {
    format!("{}trn", &work[..work.len() - 3])
}

/// Greedy with one point of return, so that no pattern takes longer than the product of the lengths.
fn glob<T: Copy + PartialEq>(pattern: &[T], name: &[T], star: T, any: T, same: impl Fn(&T, &T) -> bool) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(c) if *c == star => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == any || same(c, &name[n]) => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    p = after;
                    n = from + 1;
                    retry = Some((after, n));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == star)
}

/// Oldest first: names with a stamp by it, then the names that have none; ties by name.
pub(super) fn order(a: (&Option<LogName>, &str), b: (&Option<LogName>, &str)) -> Ordering {
    let stamps = match (a.0, b.0) {
        (Some(x), Some(y)) => x.stamp.cmp(&y.stamp),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    stamps.then_with(|| a.1.cmp(b.1))
}

fn extension_is(name: &str, extension: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, e)| e.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_log_shipping_name_gives_database_stamp_and_kind() {
        let name = LogName::parse("my_db_20260717031500.TRN").unwrap();
        assert_eq!(name.database, "my_db");
        assert_eq!(name.stamp, date(2026, 7, 17).at(3, 15, 0, 0));
        assert!(!name.work);
        assert!(LogName::parse("mgc_20260717031500.wrk").unwrap().work);
    }

    #[test]
    fn other_names_and_impossible_dates_are_not_log_shipping_names() {
        for name in [
            "",
            "mgc.trn",
            "_20260717031500.trn",
            "mgc_2026071703150.trn",
            "mgc_202607170315000.trn",
            "mgc_20260231031500.trn",
            "mgc_20260717251500.trn",
            "mgc_20260717031500.bak",
            "mgc_20260717031500",
            "mgc20260717031500.trn",
            "mgc_2026071703150é.trn",
        ] {
            assert_eq!(LogName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn patterns_ignore_case_and_know_star_and_question_mark() {
        for (pattern, name, expected) in [
            ("mgc_*.trn", "MGC_20260717031500.TRN", true),
            ("mgc_*.trn", "mgccomp_20260717031500.trn", false),
            ("mgc_*.trn", "mgc_20260717031500.wrk", false),
            ("*", "anything", true),
            ("*.*", "no_dot", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xaxbxb", true),
            ("ÄRGER_*", "ärger_1.trn", true),
            ("", "x", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_path_of_either_system_gives_its_last_component() {
        assert_eq!(file_name(r"D:\LogShip\mgc_1.trn"), "mgc_1.trn");
        assert_eq!(file_name("/srv/share/mgc_1.trn"), "mgc_1.trn");
        assert_eq!(file_name("mgc_1.trn"), "mgc_1.trn");
    }

    proptest! {
        #[test]
        fn a_name_always_fits_itself_with_parts_starred_out(name in "[a-zA-Z0-9_. é]{0,24}", from in 0usize..24, to in 0usize..24) {
            let chars: Vec<char> = name.chars().collect();
            let (from, to) = (from.min(chars.len()), to.min(chars.len()));
            let (from, to) = (from.min(to), from.max(to));
            let pattern: String = chars[..from].iter().chain(['*'].iter()).chain(chars[to..].iter()).collect();
            prop_assert!(matches(&pattern, &name));
            prop_assert!(matches(&name.to_uppercase(), &name) || !name.is_ascii());
        }

        #[test]
        fn no_name_makes_the_parser_panic(name in "\\PC{0,40}") {
            let _ = LogName::parse(&name);
            let _ = is_work(&name);
            let _ = matches(&name, "mgc_20260717031500.trn");
        }
    }
}
