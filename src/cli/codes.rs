//! The pages of the error codes. `build/codes.rs` makes them from the doc comment, the message and the help of where each is
//! defined, so that there is no second text to keep; what is added here is where they come up and how the program exits.

use super::exit;
use crate::host::RunError;

/// One error code.
#[derive(Debug)]
pub struct Code {
    /// `cutover::room::name`
    pub code: &'static str,
    /// what it means, and how things stand
    pub means: &'static str,
    /// how the message reads, `<…>` standing for what differs; one for each way it comes about
    pub messages: &'static [&'static str],
    /// what to do now, where that does not depend on the case
    pub help: &'static [&'static str],
    exit: Option<u8>,
}

/// Every code, sorted.
pub static CODES: &[Code] = include!(concat!(env!("OUT_DIR"), "/codes.rs"));

/// The beginning of some codes, where they come up, and what the program exits with then. The first that fits counts.
const ROOMS: &[(&str, &str, &[u8])] = &[
    ("backups::", "in a run, where backup files are listed or copied", &[exit::FAILED]),
    ("check::", "where runbooks are checked", &[exit::USAGE]),
    ("cli::", "before anything is begun", &[exit::USAGE]),
    ("effect::diverged", "where a run is resumed", &[exit::USAGE]),
    ("effect::", "in a run", &[exit::FAILED, exit::IN_DOUBT]),
    ("host::", "in a run, at the place in the runbook that is shown", &[exit::FAILED]),
    ("journal::held", "before anything is begun", &[exit::USAGE]),
    ("journal::", "where a run is recorded or a record is read", &[exit::FAILED]),
    ("lab::unknown_scenario", "before the lab starts", &[exit::USAGE]),
    ("lab::unreadable_scenario", "before the lab starts", &[exit::USAGE]),
    ("lab::bad_scenario", "before the lab starts", &[exit::USAGE]),
    ("lab::impossible_scenario", "before the lab starts", &[exit::USAGE]),
    ("lab::", "where the lab starts or ends", &[exit::FAILED]),
    ("operator::in_doubt", "in a run, at a question that nobody answered", &[exit::IN_DOUBT]),
    ("operator::", "in a run, at a question that nobody answered", &[exit::STOPPED]),
    ("powershell::", "in a run, at a call of the management shell", &[exit::FAILED, exit::IN_DOUBT]),
    ("script::", "before anything is begun: a runbook is read whole with its modules", &[exit::USAGE]),
    ("site::", "before anything is begun: a site file is read whole", &[exit::USAGE]),
    ("sqlserver::", "in a run, at a call that reaches a SQL Server", &[exit::FAILED, exit::IN_DOUBT]),
];

impl Code {
    /// `room::name`
    pub fn short(&self) -> &'static str {
        self.code.trim_start_matches("cutover::")
    }

    /// Its last part alone.
    pub fn name(&self) -> &'static str {
        self.code.rsplit("::").next().unwrap_or(self.code)
    }

    /// Where it comes up, and what the program exits with.
    pub fn place(&self) -> Option<(&'static str, &[u8])> {
        let (_, place, exits) = ROOMS.iter().find(|(start, ..)| self.short().starts_with(start))?;
        Some((place, self.exit.as_ref().map_or(*exits, std::slice::from_ref)))
    }
}

/// The codes that a word names: one by `cutover::room::name` or `room::name`, all of that name by `name` alone.
pub fn find(word: &str) -> Vec<&'static Code> {
    CODES.iter().filter(|code| code.code == word || code.short() == word || code.name() == word).collect()
}

/// The command that tells more of a failure of a run than is drawn of it. None where its meaning is drawn, and of what the runbook
/// itself says or gets wrong: nothing here knows that better than the text it stands on.
pub fn page(error: &RunError) -> Option<String> {
    let drawn = error.words().iter().any(|(title, _)| *title == "means");
    let own = error.code == "cutover::effect::given_up" || error.code.starts_with("cutover::host::");
    page_of(&error.code).filter(|_| !drawn && !own)
}

/// The command that tells more of a code.
pub fn page_of(code: &str) -> Option<String> {
    let known = CODES.iter().find(|known| known.code == code)?;
    Some(format!("cutover explain {}", known.short()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Every code that stands in the source: in an attribute, or as a text.
    fn in_source(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("tests") {
                in_source(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") && path.file_stem().is_some_and(|stem| stem != "tests" && stem != "codes")
            {
                let text = std::fs::read_to_string(&path).expect("a source is text");
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                for before in ["code(cutover::", "\"cutover::"] {
                    for rest in code.split(before).skip(1) {
                        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len());
                        // what ends a text or an attribute is a code, else it is the beginning of something
                        if rest[..end].contains("::") && !rest[..end].ends_with(':') && rest[end..].starts_with([')', '"']) {
                            found.insert(format!("cutover::{}", &rest[..end]));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_code_in_the_source_has_a_page_and_every_page_is_whole() {
        let mut found = BTreeSet::new();
        in_source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert!(found.len() > 150, "{found:?}");
        let known: BTreeSet<String> = CODES.iter().map(|code| code.code.to_owned()).collect();
        assert_eq!(known, found);
        for code in CODES {
            assert!(code.means.len() > 20 && code.means.ends_with('.'), "{}: a doc comment says what it means: {}", code.code, code.means);
            assert!(code.place().is_some(), "{}: no room of that name", code.code);
            assert!(code.messages.iter().all(|text| text.trim() == *text && !text.is_empty()), "{}: {:?}", code.code, code.messages);
            assert!(code.code.starts_with("cutover::cli::") == code.exit.is_some(), "{}: {:?}", code.code, code.exit);
            for text in code.messages.iter().chain(code.help) {
                assert!(!text.contains(['{', '}']), "{}: {text}", code.code);
            }
        }
    }

    #[test]
    fn a_form_says_what_is_put_in() {
        let form = |code: &str| find(code)[0].messages[0];
        assert_eq!(form("sqlserver::refused"), "`<server>` refused the connection to `<address>`");
        assert_eq!(form("cli::dangerous"), "`<runbook>` is not run: `cutover check` finds <errors> errors in it");
        assert_eq!(form("sqlserver::gap"), "the log chain has a gap: <gap>; <world>");
        assert_eq!(form("powershell::time_limit"), "`<doing>` was not done after <limit>; the management shell was ended");
        assert_eq!(form("sqlserver::connection_lost"), "the connection to `<server>` was lost before it answered: <detail>");
        assert_eq!(find("sqlserver::lock_lost")[0].messages.len(), 2);
        assert_eq!(find("cutover::cli::no_site")[0].place().map(|(_, exits)| exits), Some(&[exit::USAGE][..]));
        assert_eq!(find("lab_shell")[0].place().map(|(_, exits)| exits), Some(&[exit::FAILED][..]));
    }
}
