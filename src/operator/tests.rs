//! Questions as they are drawn, and what each line typed below them means.

use std::io::{Cursor, Read, Write};
use std::sync::{Arc, Mutex};

use super::*;

/// What was drawn, for a test to look at.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn typed(lines: &str, question: &Question) -> (Result<Answer, NoAnswer>, String) {
    let screen = Screen::default();
    let operator = Operator::scripted(Policy::default(), Cursor::new(lines.to_owned().into_bytes()), screen.clone(), 80);
    let answer = operator.ask(question, &[], &|| false).map(|(answer, by)| {
        assert_eq!(by, By::Terminal);
        answer
    });
    (answer, screen.text())
}

fn confirm(words: Option<&str>) -> Question {
    let text = "Restore the 12 log backups that are left?".to_owned();
    Question::Confirm { id: Some("restore".into()), text, evidence: vec![], typed: words.map(str::to_owned), irreversible: false }
}

fn ask(default: Option<&str>) -> Question {
    let choices = vec!["retry".to_owned(), "skip it".into(), "Skip It".into(), "7".into()];
    Question::Ask { id: None, text: "What now?".into(), choices, default: default.map(str::to_owned), evidence: vec![] }
}

fn manual() -> Question {
    Question::Manual { id: None, title: "Take a snapshot".into(), instructions: "In the hypervisor.".into(), evidence: vec![] }
}

fn too_early() -> Question {
    Question::TooEarly { text: "The pool is already failed over".into(), evidence: vec![] }
}

fn irreversible(id: Option<&str>) -> Question {
    let (id, typed) = (id.map(str::to_owned), Some("bring mgc online".to_owned()));
    let cell = |s: &str| s.to_owned();
    let sessions = Table {
        columns: vec![cell("SPID"), cell("Login"), cell("ProgramName")],
        rows: vec![
            vec![cell("52   "), cell(r"LYNC\svc-backup"), cell("SQLAgent - TSQL JobStep (Job 0x4A1B : Step 1)")],
            vec![cell("61   "), cell(r"LYNC\reporting"), cell("Report\u{1b}[2JServer")],
        ],
    };
    let loss = "Kept for certain until 2026-07-17 03:15:00; what was committed in the 15 minutes after that may be lost.";
    Question::Confirm {
        id,
        text: "Bring mgc online? No further log backup can be applied after this.".into(),
        evidence: vec![
            Evidence { title: "Who is in mgc".into(), table: Some(sessions), text: vec![] },
            Evidence { title: "Loss".into(), table: None, text: vec![loss.into()] },
        ],
        typed,
        irreversible: true,
    }
}

fn drawn(width: usize) -> String {
    format!("{}{}", render(&irreversible(Some("online")), width, false), prompt(&irreversible(Some("online")), width, false))
}

#[test]
fn a_question_fits_a_wide_terminal() {
    insta::assert_snapshot!(drawn(100), @r"
    Who is in mgc
    ─────────────
    ┌──────┬─────────────────┬───────────────────────────────────────────────┐
    │ SPID ┆ Login           ┆ ProgramName                                   │
    ╞══════╪═════════════════╪═══════════════════════════════════════════════╡
    │ 52   ┆ LYNC\svc-backup ┆ SQLAgent - TSQL JobStep (Job 0x4A1B : Step 1) │
    │ 61   ┆ LYNC\reporting  ┆ Report�[2JServer                              │
    └──────┴─────────────────┴───────────────────────────────────────────────┘

    Loss
    ────
    Kept for certain until 2026-07-17 03:15:00; what was committed in the 15 minutes after that may be
    lost.

    Bring mgc online? No further log backup can be applied after this.
    This cannot be undone.
    To go on, type this; Enter alone stops, ? explains:
      bring mgc online
    >
    ");
}

#[test]
fn a_question_fits_eighty_columns() {
    insta::assert_snapshot!(drawn(80), @r"
    Who is in mgc
    ─────────────
    ┌──────┬─────────────────┬───────────────────────────────────────────────┐
    │ SPID ┆ Login           ┆ ProgramName                                   │
    ╞══════╪═════════════════╪═══════════════════════════════════════════════╡
    │ 52   ┆ LYNC\svc-backup ┆ SQLAgent - TSQL JobStep (Job 0x4A1B : Step 1) │
    │ 61   ┆ LYNC\reporting  ┆ Report�[2JServer                              │
    └──────┴─────────────────┴───────────────────────────────────────────────┘

    Loss
    ────
    Kept for certain until 2026-07-17 03:15:00; what was committed in the 15 minutes
    after that may be lost.

    Bring mgc online? No further log backup can be applied after this.
    This cannot be undone.
    To go on, type this; Enter alone stops, ? explains:
      bring mgc online
    >
    ");
}

#[test]
fn a_question_fits_forty_columns() {
    insta::assert_snapshot!(drawn(40), @r"
    Who is in mgc
    ─────────────
    1. SPID 52 · Login LYNC\svc-backup ·
       ProgramName SQLAgent - TSQL JobStep
       (Job 0x4A1B : Step 1)
    2. SPID 61 · Login LYNC\reporting ·
       ProgramName Report�[2JServer

    Loss
    ────
    Kept for certain until 2026-07-17
    03:15:00; what was committed in the 15
    minutes after that may be lost.

    Bring mgc online? No further log backup
    can be applied after this.
    This cannot be undone.
    To go on, type this; Enter alone stops,
    ? explains:
      bring mgc online
    >
    ");
}

#[test]
fn rows_too_wide_to_stand_side_by_side_are_drawn_one_below_the_other() {
    let columns = ["SPID", "Status", "Login", "HostName", "BlkBy", "DBName", "Command", "CPUTime"].map(str::to_owned).to_vec();
    let row = ["52   ", "sleeping", "LYNC\\svc", "FE01", "  .", "mgc", "AWAITING COMMAND", "16"].map(str::to_owned).to_vec();
    let table = Some(Table { columns, rows: vec![row, vec!["61".into()]] });
    let evidence = vec![Evidence { title: "sp_who2".into(), table, text: vec![] }, Evidence::default()];
    let question = Question::TooEarly { text: "Who is inside?".into(), evidence };
    insta::assert_snapshot!(render(&question, 36, false), @r"
    sp_who2
    ───────
    1. SPID 52 · Status sleeping · Login
       LYNC\svc · HostName FE01 · BlkBy
       . · DBName mgc · Command AWAITING
       COMMAND · CPUTime 16
    2. SPID 61


    Who is inside?
    ");
}

#[test]
fn facts_stand_beside_their_names_and_below_them_where_the_window_is_narrow() {
    let rows = [["last_restored_file", r"D:\LogShip\mgc_20261123150500.trn"], ["standby", ""]].map(|row| row.map(str::to_owned).to_vec());
    let table = Some(Table { columns: vec![], rows: rows.to_vec() });
    let question = |width| {
        render(
            &Question::TooEarly {
                text: "So?".into(),
                evidence: vec![Evidence { title: "facts".into(), table: table.clone(), text: vec![] }],
            },
            width,
            false,
        )
    };
    insta::assert_snapshot!(question(60), @r"
    facts
    ─────
    last_restored_file  D:\LogShip\mgc_20261123150500.trn
    standby             –

    So?
    ");
    insta::assert_snapshot!(question(36), @r"
    facts
    ─────
    last_restored_file
      D:\LogShip\mgc_20261123150500.trn
    standby
      –

    So?
    ");
}

#[test]
fn no_width_is_too_small_and_no_line_is_longer_than_it() {
    for width in 0..130 {
        for question in [irreversible(None), ask(Some("retry")), manual(), too_early(), confirm(None)] {
            let lines = format!("{}{}", render(&question, width, false), prompt(&question, width, false));
            let longest = lines.lines().map(|l| l.chars().count()).max().unwrap();
            assert!(longest <= width.max(20), "{longest} > {width}\n{lines}");
            assert!(!lines.contains('\u{1b}'));
        }
    }
}

#[test]
fn colour_changes_no_word() {
    let plain = render(&irreversible(None), 80, false);
    let coloured = render(&irreversible(None), 80, true);
    assert!(coloured.contains("\u{1b}[1;33mThis cannot be undone.\u{1b}[0m\n"));
    let stripped = coloured.replace("\u{1b}[1;33m", "").replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
    assert_eq!(stripped, plain);
}

#[test]
fn choices_are_numbered_and_the_default_is_marked() {
    let (answer, screen) = typed("\n", &ask(Some("retry")));
    assert_eq!(answer, Ok(Answer::Choice("retry".into())));
    insta::assert_snapshot!(screen, @r"

    What now?
      1  retry (default)
      2  skip it
      3  Skip It
      4  7
    Which? [number, Enter for the default, ?]
    ");
}

#[test]
fn only_yes_goes_on_and_the_default_is_no() {
    for (line, answer) in [("y", Answer::Yes), ("YES", Answer::Yes), (" yes ", Answer::Yes), ("", Answer::No), ("n", Answer::No)] {
        assert_eq!(typed(&format!("{line}\n"), &confirm(None)).0, Ok(answer), "{line}");
    }
    // a slip is neither yes nor no: it is asked again
    for line in ["ja", "yess", "1", "true", "y y"] {
        let (answer, screen) = typed(&format!("{line}\n\n"), &confirm(None));
        assert_eq!(answer, Ok(Answer::No), "{line}");
        assert!(screen.contains("Please answer y or n"), "{screen}");
    }
}

#[test]
fn words_are_compared_exactly_but_for_blanks_around_them() {
    let question = confirm(Some("Bring mgc online"));
    for (line, answer) in [("  Bring mgc online ", Answer::Yes), ("", Answer::No), ("no", Answer::No)] {
        assert_eq!(typed(&format!("{line}\r\n"), &question).0, Ok(answer), "{line}");
    }
    for line in ["bring mgc online", "Bring  mgc online", "yes", "y"] {
        let (answer, screen) = typed(&format!("{line}\r\n\r\n"), &question);
        assert_eq!(answer, Ok(Answer::No), "{line}");
        assert!(screen.contains("exactly"), "{screen}");
    }
}

#[test]
fn a_question_mark_helps_and_asks_again() {
    let (answer, screen) = typed("?\ny\n", &confirm(None));
    assert_eq!(answer, Ok(Answer::Yes));
    assert!(screen.contains("Enter alone, or no, stops the run here"), "{screen}");
    assert_eq!(screen.matches("Go on? [y/N/?]").count(), 2);
    for question in [confirm(Some("words")), ask(None), manual(), too_early()] {
        let (answer, screen) = typed("?\n", &question);
        assert_eq!(answer, Err(NoAnswer::Closed));
        assert!(screen.contains("nothing more is"), "{screen}");
    }
}

#[test]
fn the_end_of_the_input_is_no_answer_even_after_half_a_line() {
    for lines in ["", "y", "yes"] {
        assert_eq!(typed(lines, &confirm(None)).0, Err(NoAnswer::Closed), "{lines:?}");
    }
}

#[test]
fn a_choice_is_made_by_its_words_or_its_number_and_nothing_else() {
    for (line, choice) in [("1", "retry"), ("RETRY", "retry"), ("Skip It", "Skip It"), ("skip it", "skip it"), ("7", "7"), ("4", "7")] {
        assert_eq!(typed(&format!("{line}\n"), &ask(None)).0, Ok(Answer::Choice(choice.into())), "{line}");
    }
    for line in ["0", "5", "", "SKIP IT", "y", "-1"] {
        assert_eq!(typed(&format!("{line}\nretry\n"), &ask(None)).0, Ok(Answer::Choice("retry".into())), "{line}");
    }
    assert_eq!(typed("stop\n", &ask(None)).0, Ok(Answer::Stop));
}

#[test]
fn a_step_by_hand_waits_for_done_and_a_change_too_early_stops_by_default() {
    assert_eq!(typed("\nyes\ndone\n", &manual()).0, Ok(Answer::Done));
    assert_eq!(typed("stop\n", &manual()).0, Ok(Answer::Stop));
    for (line, answer) in
        [("a", Answer::Accept), ("accept", Answer::Accept), ("d", Answer::DoAnyway), ("", Answer::Stop), ("x\nstop", Answer::Stop)]
    {
        assert_eq!(typed(&format!("{line}\n"), &too_early()).0, Ok(answer), "{line}");
    }
}

#[test]
fn an_interrupt_ends_an_open_question_while_nothing_is_typed() {
    /// A keyboard that nobody touches.
    struct Silent(std::sync::mpsc::Receiver<()>);
    impl Read for Silent {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(0)
        }
    }
    let (_keep, silent) = std::sync::mpsc::channel();
    let operator = Operator::scripted(Policy::default(), BufReader::new(Silent(silent)), Screen::default(), 80);
    let asked = AtomicBool::new(false);
    // True from the second time it is asked: the first is before the question is drawn.
    assert_eq!(operator.ask(&confirm(None), &[], &|| asked.swap(true, Ordering::Relaxed)), Err(NoAnswer::Interrupted));
    assert_eq!(operator.ask(&confirm(None), &[], &|| true), Err(NoAnswer::Interrupted));
}

#[test]
fn without_a_terminal_and_without_yes_there_is_no_answer() {
    let policy = Policy { approved: vec!["online".into()], lab: true, ..Policy::default() };
    let operator = Operator::unattended(policy);
    for question in [confirm(None), irreversible(Some("online")), ask(Some("retry")), manual(), too_early()] {
        assert_eq!(operator.ask(&question, &[], &|| false), Err(NoAnswer::NoTerminal));
    }
}

#[test]
fn yes_decides_only_what_it_may() {
    let policy = |lab| Policy { yes: true, approved: vec!["online".into()], lab, ..Policy::default() };
    let not_approved = |id: Option<&str>| Err(NoAnswer::NotApproved { id: id.map(str::to_owned) });
    let by_hand = Err(NoAnswer::ByHand { title: "Take a snapshot".into() });
    let no_default = Err(NoAnswer::NoDefault { question: "What now?".into() });
    type Said = Result<(Answer, By), NoAnswer>;
    let table: [(Question, Said, Said); 9] = [
        (confirm(None), Ok((Answer::Yes, By::Yes)), Ok((Answer::Yes, By::Yes))),
        (confirm(Some("words")), Ok((Answer::Yes, By::Yes)), Ok((Answer::Yes, By::Yes))),
        (irreversible(Some("online")), Ok((Answer::Yes, By::Approve("online".into()))), Ok((Answer::Yes, By::Yes))),
        (irreversible(Some("other")), not_approved(Some("other")), Ok((Answer::Yes, By::Yes))),
        (irreversible(None), not_approved(None), Ok((Answer::Yes, By::Yes))),
        (ask(Some("retry")), Ok((Answer::Choice("retry".into()), By::Yes)), Ok((Answer::Choice("retry".into()), By::Yes))),
        (ask(None), no_default.clone(), no_default),
        (manual(), by_hand, Ok((Answer::Done, By::Yes))),
        (too_early(), Err(NoAnswer::TooEarly), Err(NoAnswer::TooEarly)),
    ];
    for (question, real, lab) in table {
        assert_eq!(Operator::unattended(policy(false)).ask(&question, &[], &|| false), real, "{question:?}");
        assert_eq!(Operator::unattended(policy(true)).ask(&question, &[], &|| false), lab, "{question:?}");
        let proven = Operator::unattended(policy(true));
        proven.set_lab(false);
        assert_eq!(proven.ask(&question, &[], &|| false), real, "the mark of a lab that the servers did not bear out");
    }
}

#[test]
fn what_was_answered_beforehand_is_the_answer_or_stops_the_run() {
    let ask = |id: &str| Question::Ask {
        id: Some(id.into()),
        text: "Which?".into(),
        choices: vec!["give up".into(), "go on".into()],
        default: Some("give up".into()),
        evidence: vec![],
    };
    let confirm = |id: &str, typed: Option<&str>| Question::Confirm {
        id: Some(id.into()),
        text: "Sure?".into(),
        evidence: vec![],
        typed: typed.map(str::to_owned),
        irreversible: true,
    };
    let by_hand = |id: &str| Question::Manual { id: Some(id.into()), title: "Do".into(), instructions: "it".into(), evidence: vec![] };
    let file = By::File("a.toml".into());
    let words = Some("mgc on DR");
    let wrong = |said: &str, by: &By, wanted: &str| {
        Err(NoAnswer::NotAnAnswer { id: "q".into(), said: said.into(), by: by.to_string(), wanted: wanted.into() })
    };
    for (question, said, by, answer) in [
        (confirm("q", None), "yes", &file, Ok(Answer::Yes)),
        (confirm("q", None), "no", &file, Ok(Answer::No)),
        (confirm("q", None), "y", &file, wrong("y", &file, "`yes` or `no`")),
        (confirm("q", words), "mgc on DR", &file, Ok(Answer::Yes)),
        (confirm("q", words), "no", &file, Ok(Answer::No)),
        (confirm("q", words), "yes", &file, wrong("yes", &file, "`no`, or the words that are to be typed: `mgc on DR`")),
        (confirm("q", words), "yes", &By::Scenario, Ok(Answer::Yes)),
        (ask("q"), "go on", &file, Ok(Answer::Choice("go on".into()))),
        (ask("q"), "stop", &file, Ok(Answer::Stop)),
        (ask("q"), "never", &By::Scenario, wrong("never", &By::Scenario, "one of `give up`, `go on`")),
        (by_hand("q"), "done", &file, Ok(Answer::Done)),
        (by_hand("q"), "stop", &file, Ok(Answer::Stop)),
        (by_hand("q"), "yes", &file, wrong("yes", &file, "`done` or `stop`")),
    ] {
        let answers = [("q".to_owned(), (said.to_owned(), by.clone()))].into();
        let policy = Policy { yes: true, lab: true, answers, ..Policy::default() };
        let expected = answer.map(|answer| (answer, by.clone()));
        assert_eq!(Operator::unattended(policy.clone()).ask(&question, &[], &|| false), expected, "{question:?} {said}");
        // at a terminal the file answers, too; a scenario leaves it to whoever is there
        let attended = Operator::scripted(Policy { yes: false, ..policy.clone() }, Cursor::new(""), Screen::default(), 80);
        let expected = if *by == By::Scenario { Err(NoAnswer::Closed) } else { expected };
        assert_eq!(attended.ask(&question, &[], &|| false), expected, "{question:?} {said}");
        let another = Policy { answers: [("other".to_owned(), (said.to_owned(), by.clone()))].into(), ..policy };
        let left_alone = Operator::unattended(another).ask(&question, &[], &|| false);
        assert!(matches!(left_alone, Ok((_, By::Yes))), "{left_alone:?}");
    }
}

#[test]
fn before_an_answer_the_steps_to_come_are_told_one_a_line() {
    let screen = Screen::default();
    let operator = Operator::scripted(Policy { step: true, ..Policy::default() }, Cursor::new("?\nquit\n"), screen.clone(), 30);
    let to_come = ["3. Apply any unapplied transaction log backups".to_owned(), "4. Bring it online".to_owned()];
    let question = Question::Step { title: "2. Copy what is not copied".into() };
    assert!(operator.asks_steps());
    assert_eq!(operator.ask(&question, &to_come, &|| false), Ok((Answer::No, By::Terminal)));
    insta::assert_snapshot!(screen.text(), @r"

    2. Copy what is not copied

    After this step:
      3. Apply any unapplied tran…
      4. Bring it online

    Begin this step? [y/N/?] y or yes begins the step.
    Enter alone, no or quit stops
    the run before it; it can be
    resumed from here.
    Begin this step? [y/N/?]
    ");
}
