//! How processes are ended, and what is left of them.

use super::super::{StartTime, end_leftovers};
use super::*;
use crate::action::StopReason;
use crate::journal::record::StepEnd;

/// A process that left the group and lost its parents, and does not end when asked to. Writes its id to `pid`.
const RUNAWAY: &str =
    "( setsid sh -c 'trap \"\" TERM; echo $$ >pid; while :; do sleep 1000; done' >/dev/null 2>&1 </dev/null & )";

async fn timed_out(case: &mut Case, script: &str) -> StepResult {
    case.timeout = Duration::from_millis(500);
    case.shell(script).await
}

#[tokio::test]
async fn a_time_limit_ends_the_whole_tree() {
    let mut case = Case::new();
    let result = timed_out(&mut case, &format!("{RUNAWAY}; sleep 1000")).await;
    assert_eq!(result.end, StepEnd::TimedOut);
    assert!(result.error.is_some_and(|error| error.contains("500ms")));
    let pid = line_of(&case.path("pid")).await;
    assert!(!is_alive(&pid));
    assert_eq!(case.marked(), Vec::<i32>::new());
}

#[tokio::test]
async fn a_descendant_that_cleared_its_environment_is_ended_too() {
    let mut case = Case::new();
    let script = "env -i setsid sh -c 'echo $$ >pid; exec sleep 1000'; :";
    assert_eq!(timed_out(&mut case, script).await.end, StepEnd::TimedOut);
    assert!(!is_alive(&line_of(&case.path("pid")).await));
}

#[tokio::test]
async fn a_program_may_tidy_up_when_it_is_ended() {
    let mut case = Case::new();
    let result = timed_out(&mut case, "trap 'echo tidied; exit 0' TERM; while :; do sleep 0.02; done").await;
    assert_eq!((result.end, &*result.stdout), (StepEnd::TimedOut, "tidied\n"));
}

#[tokio::test]
async fn a_program_that_ignores_the_request_is_killed() {
    let mut case = Case::new();
    let result = timed_out(&mut case, "trap '' TERM; echo up; while :; do sleep 1000; done").await;
    assert_eq!((result.end, &*result.stdout), (StepEnd::TimedOut, "up\n"));
    assert_eq!(case.marked(), Vec::<i32>::new());
}

#[tokio::test]
async fn who_holds_the_output_open_is_ended_after_the_program() {
    for holder in [
        "setsid sh -c 'echo $$ >pid; exec sleep 1000' &",
        "( setsid env -i sh -c 'echo $$ >pid; exec sleep 1000' & ) ;",
        "sh -c 'echo $$ >pid; exec sleep 1000' &",
    ] {
        let case = Case::new();
        let result = case.shell(&format!("{holder} while ! [ -s pid ]; do sleep 0.01; done; echo done")).await;
        assert_eq!((result.end, &*result.stdout), (StepEnd::Succeeded, "done\n"), "{holder}");
        assert!(!is_alive(&line_of(&case.path("pid")).await), "{holder}");
    }
}

#[tokio::test]
async fn what_stays_in_the_group_is_ended_after_the_program() {
    let case = Case::new();
    let script = "sh -c 'echo $$ >pid; exec sleep 1000' >/dev/null 2>&1 & while ! [ -s pid ]; do sleep 0.01; done";
    assert_eq!(case.shell(script).await.end, StepEnd::Succeeded);
    assert!(!is_alive(&line_of(&case.path("pid")).await));
}

#[tokio::test]
async fn a_proper_daemon_outlives_its_step_and_is_found_as_a_leftover() {
    let case = Case::new();
    assert_eq!(
        case.shell(&format!("{RUNAWAY}; while ! [ -s pid ]; do sleep 0.01; done")).await.end,
        StepEnd::Succeeded
    );
    let pid = line_of(&case.path("pid")).await;
    assert!(is_alive(&pid));
    let started = StartTime::of(pid.parse().expect("a process id")).expect("it is there");
    assert_eq!(end_leftovers(&RunId::new("r-another"), StartTime::MAX, None).await, (0, 0));
    assert_eq!(end_leftovers(&case.run, started, None).await, (0, 0), "what started later is not a leftover");
    assert!(is_alive(&pid));
    let (found, left) = end_leftovers(&case.run, StartTime::MAX, None).await;
    assert!(found >= 1 && left == 0, "{found} found, {left} left");
    assert!(!is_alive(&pid));
}

#[tokio::test]
async fn a_stop_ends_the_tree_too() {
    for (reason, text) in [
        (StopReason::Cancelled("by a test".into()), "cancelled by a test"),
        (StopReason::ShuttingDown, "the daemon stopped before the run had ended"),
    ] {
        let case = Case::new();
        let stopper = Arc::clone(&case.stopper);
        let (pid_file, script) = (case.path("pid"), format!("{RUNAWAY}; sleep 1000"));
        let (result, pid) = tokio::join!(case.shell(&script), async {
            let pid = line_of(&pid_file).await;
            assert!(stopper.stop(reason));
            assert!(!stopper.stop(StopReason::ShuttingDown), "only the first counts");
            pid
        });
        assert_eq!((result.end, result.error.as_deref()), (StepEnd::Cancelled, Some(text)));
        assert!(!is_alive(&pid));
    }
}

#[tokio::test]
async fn an_abandoned_step_leaves_no_process() {
    let case = Case::new();
    let pid_file = case.path("pid");
    let pid = tokio::select! {
        result = case.shell("echo $$ >pid; exec sleep 1000") => panic!("it ended: {result:?}"),
        pid = line_of(&pid_file) => pid,
    };
    while is_alive(&pid) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn dead_orphans_do_not_pile_up() {
    let case = Case::new();
    // An orphan that dies while its group still lives would stay a zombie of this process.
    let result = case.shell("( sh -c 'echo $$ >pid' & ) ; while ! [ -s pid ]; do sleep 0.01; done").await;
    assert_eq!(result.end, StepEnd::Succeeded);
    let pid = line_of(&case.path("pid")).await.parse().expect("a process id");
    while table::read(pid).is_some_and(|process| process.parent.unsigned_abs() == std::process::id()) {
        super::super::reap_adopted();
    }
}
