//! The planner by table, and against a model that is too slow and too simple to be wrong in the same way.

use std::fmt::Write;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

const DATABASE: &str = "mgc";

fn fork(n: u128) -> Uuid {
    Uuid::from_u128(0xF000 + n)
}

fn family(n: u128) -> Uuid {
    Uuid::from_u128(0xFA00 + n)
}

fn standing(redo: u128) -> Standing {
    Standing { redo: Lsn(redo), fork: fork(1), family: Some(family(1)), database: DATABASE.into() }
}

/// A log backup of the database on fork 1.
fn log(file: &str, first: u128, last: u128) -> BackupSet {
    let time =
        |lsn: u128| DateTime::constant(2024, 1, 31, 0, 0, 0, 0).checked_add(jiff::SignedDuration::from_secs(lsn.min(1 << 20) as i64)).ok();
    BackupSet {
        file: file.into(),
        position: 1,
        backup_type: 2,
        database: DATABASE.into(),
        first_lsn: Lsn(first),
        last_lsn: Lsn(last),
        first_fork: Some(fork(1)),
        last_fork: Some(fork(1)),
        fork_point: None,
        family: Some(family(1)),
        set: None,
        copy_only: false,
        damaged: false,
        incomplete_metadata: false,
        start: time(first),
        finish: time(last),
        bytes: 65_536,
        stored: 65_536,
        flags: 0,
        version_major: 11,
    }
}

fn crossing(file: &str, first: u128, at: u128, last: u128) -> BackupSet {
    BackupSet { last_fork: Some(fork(2)), fork_point: Some(Lsn(at)), ..log(file, first, last) }
}

fn on_fork(n: u128, set: BackupSet) -> BackupSet {
    BackupSet { first_fork: Some(fork(n)), last_fork: Some(fork(n)), ..set }
}

/// The plan in a few lines.
fn told(standing: &Standing, sets: Vec<BackupSet>) -> String {
    let sets: Vec<_> = sets.into_iter().map(Arc::new).collect();
    let plan = plan(standing, &sets);
    let mut text = String::new();
    for set in &plan.apply {
        writeln!(text, "apply {} {}..{}", set.title(), set.first_lsn, set.last_lsn).unwrap();
    }
    for left in &plan.left_out {
        writeln!(text, "leave {}: {}", left.set.title(), left.reason).unwrap();
    }
    if let Some(gap) = &plan.gap {
        writeln!(text, "gap: {gap}").unwrap();
        for cause in &gap.causes {
            writeln!(text, "cause: {cause}").unwrap();
        }
    }
    if let Some(branch) = &plan.branch {
        writeln!(text, "branch: {:?} at {:?}", branch.sets, branch.at.map(|at| at.0)).unwrap();
    }
    writeln!(text, "end {} on fork {}", plan.end, plan.end_fork.as_u128() - 0xF000).unwrap();
    text
}

#[test]
fn applied_sets_are_left_and_the_rest_follows_by_lsn_not_by_name() {
    assert_snapshot!(told(&standing(20), vec![log("c", 20, 30), log("a", 30, 40), log("z", 0, 10), log("b", 10, 20)]), @"
    apply c 20..30
    apply a 30..40
    leave z: already applied: it ends at or before the redo point
    leave b: already applied: it ends at or before the redo point
    end 40 on fork 1
    ");
}

#[test]
fn a_set_that_begins_before_the_redo_point_and_reaches_beyond_it_is_next() {
    assert_snapshot!(told(&standing(25), vec![log("a", 20, 30), log("b", 30, 40)]), @"
    apply a 20..30
    apply b 30..40
    end 40 on fork 1
    ");
}

#[test]
fn a_missing_middle_file_is_a_gap_with_its_interval_window_and_neighbours() {
    assert_snapshot!(told(&standing(10), vec![log("a", 10, 20), log("c", 35, 40), log("d", 40, 50)]), @"
    apply a 10..20
    leave c: lies after the gap
    leave d: lies after the gap
    gap: log from LSN 20 up to LSN 35 is missing, written between 2024-01-31 00:00:20 and 2024-01-31 00:00:35 (time of the primary), between `a` and `c`
    end 20 on fork 1
    ");
}

#[test]
fn a_gap_right_at_the_redo_point_names_the_last_applied_file() {
    assert_snapshot!(told(&standing(20), vec![log("a", 0, 10), log("b", 10, 20), log("d", 30, 40)]), @"
    leave a: already applied: it ends at or before the redo point
    leave b: already applied: it ends at or before the redo point
    leave d: lies after the gap
    gap: log from LSN 20 up to LSN 30 is missing, written between 2024-01-31 00:00:20 and 2024-01-31 00:00:30 (time of the primary), between `b` and `d`
    end 20 on fork 1
    ");
}

#[test]
fn what_is_not_a_usable_log_of_this_database_is_left_out_with_its_reason() {
    let sets = vec![
        BackupSet { backup_type: 1, ..log("full", 5, 15) },
        BackupSet { database: "other".into(), ..log("other", 10, 20) },
        BackupSet { family: Some(family(2)), ..log("twin", 10, 99) },
        log("empty", 10, 10),
        BackupSet { damaged: true, ..log("hurt", 10, 20) },
        log("a", 10, 20),
        BackupSet { copy_only: true, ..log("copy", 12, 18) },
        log("part", 12, 15),
        BackupSet { database: "MGC".into(), ..log("b", 20, 30) },
    ];
    assert_snapshot!(told(&standing(10), sets), @"
    apply a 10..20
    apply b 20..30
    leave full: not a log backup
    leave other: of another database, `other`
    leave twin: of another database that has the same name
    leave empty: empty: no log record inside
    leave hurt: marked as damaged by the server that wrote it
    leave copy: copy-only, and the ordinary log backups cover its range
    leave part: another set covers its range
    end 30 on fork 1
    ");
}

#[test]
fn a_copy_only_log_backup_fills_a_hole_that_nothing_else_fills() {
    let copy = BackupSet { copy_only: true, ..log("copy", 15, 32) };
    assert_snapshot!(told(&standing(10), vec![log("a", 10, 20), copy, log("c", 30, 40)]), @"
    apply a 10..20
    apply copy 15..32
    apply c 30..40
    end 40 on fork 1
    ");
}

#[test]
fn a_damaged_set_at_the_end_is_a_gap_even_though_nothing_follows() {
    let hurt = BackupSet { damaged: true, ..log("hurt", 20, 30) };
    assert_snapshot!(told(&standing(10), vec![log("a", 10, 20), hurt]), @"
    apply a 10..20
    leave hurt: marked as damaged by the server that wrote it
    gap: log from LSN 20 up to LSN 30 is missing, written between 2024-01-31 00:00:20 and 2024-01-31 00:00:30 (time of the primary), after `a`
    cause: `hurt`: marked as damaged by the server that wrote it
    end 20 on fork 1
    ");
}

#[test]
fn several_sets_in_one_file_keep_their_positions() {
    let second = BackupSet { position: 2, ..log("all", 20, 30) };
    assert_snapshot!(told(&standing(10), vec![second, log("all", 10, 20)]), @"
    apply all 10..20
    apply all (set 2) 20..30
    end 30 on fork 1
    ");
}

#[test]
fn the_same_set_in_two_files_is_applied_once() {
    let guid = Some(Uuid::from_u128(7));
    let sets = vec![BackupSet { set: guid, ..log("a", 10, 20) }, BackupSet { set: guid, ..log("again", 10, 20) }];
    assert_snapshot!(told(&standing(10), sets), @"
    apply a 10..20
    leave again: the same set as in `a`
    end 20 on fork 1
    ");
}

#[test]
fn a_set_that_crosses_a_fork_leads_to_the_new_one() {
    let sets = vec![log("a", 10, 20), crossing("x", 20, 25, 30), on_fork(2, log("b", 30, 40))];
    assert_snapshot!(told(&standing(10), sets), @"
    apply a 10..20
    apply x 20..30
    apply b 30..40
    end 40 on fork 2
    ");
}

#[test]
fn a_fork_that_was_left_before_the_redo_point_is_another_history() {
    let sets = vec![crossing("x", 20, 25, 40), log("b", 30, 40)];
    assert_snapshot!(told(&standing(30), sets), @"
    apply b 30..40
    leave x: on another recovery fork
    end 40 on fork 1
    ");
}

#[test]
fn two_histories_from_one_point_are_not_chosen_between() {
    let sets = vec![log("a", 10, 20), log("b", 20, 40), crossing("x", 20, 25, 30), on_fork(2, log("c", 30, 50))];
    assert_snapshot!(told(&standing(10), sets), @r#"
    apply a 10..20
    apply b 20..40
    leave x: on another recovery fork
    leave c: on another recovery fork
    branch: ["x", "c"] at Some(25)
    end 40 on fork 1
    "#);
}

#[test]
fn newer_log_on_a_fork_that_nothing_leads_to_is_reported() {
    assert_snapshot!(told(&standing(10), vec![log("a", 10, 20), on_fork(2, log("b", 20, 30))]), @r#"
    apply a 10..20
    leave b: on another recovery fork
    branch: ["b"] at None
    end 20 on fork 1
    "#);
}

#[test]
fn a_file_of_another_fork_in_the_middle_is_named_as_the_cause_of_the_gap() {
    assert_snapshot!(told(&standing(10), vec![log("a", 10, 20), on_fork(2, log("b", 20, 30)), log("c", 30, 40)]), @"
    apply a 10..20
    leave b: on another recovery fork
    leave c: lies after the gap
    gap: log from LSN 20 up to LSN 30 is missing, written between 2024-01-31 00:00:20 and 2024-01-31 00:00:30 (time of the primary), between `a` and `c`
    cause: `b`: on another recovery fork
    end 20 on fork 1
    ");
}

#[test]
fn without_a_known_family_the_first_set_binds_the_others() {
    let mut from = standing(10);
    from.family = None;
    let twin = BackupSet { family: Some(family(2)), ..log("twin", 20, 99) };
    assert_snapshot!(told(&from, vec![log("a", 10, 20), twin, log("b", 20, 30)]), @"
    apply a 10..20
    apply b 20..30
    leave twin: of another database that has the same name
    end 30 on fork 1
    ");
}

#[test]
fn an_empty_folder_leaves_the_redo_point_where_it_is() {
    assert_snapshot!(told(&standing(10), vec![]), @"end 10 on fork 1");
}

/// Scans everything for each step: what the planner must agree with.
fn model(standing: &Standing, sets: &[Arc<BackupSet>]) -> (Vec<usize>, Lsn, Uuid) {
    let (mut redo, mut fork, mut family) = (standing.redo, standing.fork, standing.family);
    let mut applied = Vec::new();
    loop {
        let mut best: Option<(u8, Lsn, bool, usize)> = None;
        for (index, set) in sets.iter().enumerate() {
            let crosses = set.first_fork != set.last_fork;
            let fits = set.backup_type == 2
                && set.database == standing.database
                && !set.damaged
                && (family.is_none() || set.family == family)
                && set.first_fork == Some(fork)
                && set.first_lsn <= redo
                && set.last_lsn > redo
                && (!crosses || set.fork_point.is_some_and(|at| at >= redo));
            if !fits {
                continue;
            }
            let class = if crosses { 0 } else { 2 - u8::from(set.copy_only) };
            let better = best.is_none_or(|(c, last, copy_only, _)| (class, set.last_lsn, !set.copy_only) > (c, last, !copy_only));
            if better {
                best = Some((class, set.last_lsn, set.copy_only, index));
            }
        }
        let Some((.., index)) = best else { return (applied, redo, fork) };
        applied.push(index);
        redo = sets[index].last_lsn;
        fork = sets[index].last_fork.unwrap();
        family = family.or(sets[index].family);
    }
}

prop_compose! {
    fn any_set()(
        first in 0u128..60,
        length in 0u128..16,
        at in 0u128..16,
        forks in prop_oneof![6 => Just((1u128, 1u128)), 1 => Just((1, 2)), 2 => Just((2, 2)), 1 => Just((2, 3)), 1 => Just((3, 3))],
        kind in prop_oneof![12 => Just(2i64), 1 => Just(1), 1 => Just(5)],
        name in prop_oneof![12 => Just("mgc"), 1 => Just("other")],
        of in prop_oneof![12 => Just(1u128), 1 => Just(2)],
        copy_only in prop::bool::weighted(0.15),
        damaged in prop::bool::weighted(0.05),
        set in prop::option::of(0u128..20),
        position in 1i64..4,
        file in 0usize..30,
    ) -> BackupSet {
        let crosses = forks.0 != forks.1;
        BackupSet {
            position,
            backup_type: kind,
            database: name.into(),
            first_fork: Some(fork(forks.0)),
            last_fork: Some(fork(forks.1)),
            fork_point: crosses.then_some(Lsn(first + at.min(length))),
            family: Some(family(of)),
            set: set.map(Uuid::from_u128),
            copy_only,
            damaged,
            ..log(&format!("f{file}"), first, first + length)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_planner_agrees_with_the_model(
        sets in prop::collection::vec(any_set(), 0..40),
        redo in 0u128..30,
        knows_family: bool,
    ) {
        let sets: Vec<Arc<BackupSet>> = sets.into_iter().map(Arc::new).collect();
        let mut from = standing(redo);
        if !knows_family {
            from.family = None;
        }
        let plan = plan(&from, &sets);
        let (applied, end, end_fork) = model(&from, &sets);
        let expected: Vec<&Arc<BackupSet>> = applied.iter().map(|&index| &sets[index]).collect();
        prop_assert_eq!(plan.apply.iter().collect::<Vec<_>>(), expected);
        prop_assert_eq!((plan.end, plan.end_fork), (end, end_fork));
        // every set is either applied or left out with a reason
        prop_assert_eq!(plan.apply.len() + plan.left_out.len(), sets.len());

        if let Some(gap) = &plan.gap {
            prop_assert!(gap.from == plan.end && gap.to > gap.from);
        }
        for left in &plan.left_out {
            let set = &left.set;
            match &left.reason {
                Reason::AfterTheGap => prop_assert!(set.first_lsn > plan.end && plan.gap.is_some()),
                Reason::AlreadyApplied => prop_assert!(set.last_lsn <= from.redo),
                Reason::Covered | Reason::CopyOnly => prop_assert!(set.last_lsn <= plan.end),
                Reason::Empty => prop_assert_eq!(set.first_lsn, set.last_lsn),
                Reason::OtherDatabase { .. } => prop_assert_eq!(&set.database, "other"),
                Reason::NotALogBackup => prop_assert_ne!(set.backup_type, 2),
                _ => {}
            }
        }
    }

    #[test]
    fn a_healthy_chain_is_applied_whole_whatever_lies_between(
        cuts in prop::collection::btree_set(1u128..10_000, 2..60),
        noise in prop::collection::vec(any_set(), 0..20),
        seed: u64,
    ) {
        let cuts: Vec<u128> = cuts.into_iter().map(|lsn| lsn + 100).collect();
        let mut sets: Vec<BackupSet> = cuts.windows(2).map(|pair| log("chain", pair[0], pair[1])).collect();
        // what lies between belongs to others or is broken
        sets.extend(noise.into_iter().map(|set| BackupSet { family: Some(family(9)), ..set }));
        fastrand::Rng::with_seed(seed).shuffle(&mut sets);
        let sets: Vec<_> = sets.into_iter().map(Arc::new).collect();
        let plan = plan(&standing(cuts[0]), &sets);
        prop_assert_eq!(plan.apply.len(), cuts.len() - 1);
        prop_assert_eq!(plan.end, Lsn(*cuts.last().unwrap()));
        prop_assert!(plan.gap.is_none() && plan.branch.is_none());
    }
}
