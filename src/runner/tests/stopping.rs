//! Ends that are not the run's own.

use std::future::pending;

use super::*;

/// A step that says when it is up, then lasts.
const LASTING: &str = "    steps: [ { shell: 'echo $$ >pid; sleep 1000', timeout: 1h }, { shell: echo unreached } ]
    on_failure: [ { shell: echo unreached } ]
";

impl Case {
    /// Waits until the process of [`LASTING`] is up; its id.
    async fn is_up(&self) -> u32 {
        let path = self.folder.path().join("pid");
        loop {
            if let Some((pid, _)) = std::fs::read_to_string(&path).unwrap_or_default().split_once('\n') {
                return pid.parse().expect("a process id");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn is_there(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn a_run_is_called_off() {
    let case = Case::new(LASTING);
    case.runner.start(case.intent("r-1")).expect("it starts");
    let pid = case.is_up().await;
    let active = case.runner.active();
    assert_eq!(
        active.iter().map(|run| (run.run.clone(), run.rule.as_str())).collect::<Vec<_>>(),
        [(case.id("r-1"), "probe")]
    );
    assert!(!case.runner.cancel(&case.id("r-2"), "no such run"));
    assert!(case.runner.cancel(&case.id("r-1"), "by ana"));
    assert!(!case.runner.cancel(&case.id("r-1"), "again"));
    let ended = case.ended("r-1").await;
    assert_eq!((ended.end, &*ended.error, ended.keeps_slot), (RunEnd::Cancelled, "cancelled by ana", true));
    assert_eq!(case.ends(), [StepEnd::Cancelled]);
    assert!(!is_there(pid));
}

#[tokio::test]
async fn waits_of_all_kinds_are_called_off() {
    for steps in [
        "[ { wait: 1h } ]",
        "[ { shell: exit 1, retry: { attempts: 2, backoff: 1h } } ]",
        "[ { shell: exit 0 } ]\n    verify: { within: 2h, every: 1h, steps: [ { shell: exit 1 } ] }",
    ] {
        let case = Case::new(&format!("    steps: {steps}\n"));
        case.runner.start(case.intent("r-1")).expect("it starts");
        case.has_started_step(0).await;
        assert!(case.runner.cancel(&case.id("r-1"), "enough"));
        assert_eq!(case.ended("r-1").await.end, RunEnd::Cancelled, "{steps}");
    }
}

#[tokio::test]
async fn a_drain_lets_runs_end_by_themselves() {
    let case = Case::new("    steps: [ { shell: echo done } ]\n");
    case.runner.start(case.intent("r-1")).expect("it starts");
    assert_eq!(case.runner.drain(Duration::from_secs(60), pending()).await, 0);
    assert_eq!(case.ended("r-1").await.end, RunEnd::Succeeded);
    assert_eq!(case.runner.start(case.intent("r-2")), Err(NotStarted::Stopping));
    assert!(case.runner.active().is_empty());
}

#[tokio::test]
async fn a_drain_interrupts_what_outlasts_the_grace() {
    let case = Case::new(LASTING);
    case.runner.start(case.intent("r-1")).expect("it starts");
    let pid = case.is_up().await;
    assert_eq!(case.runner.drain(Duration::ZERO, pending()).await, 0);
    let ended = case.ended("r-1").await;
    assert_eq!((ended.end, ended.acted), (RunEnd::Interrupted, true));
    assert!(!is_there(pid));
}

#[tokio::test]
async fn a_drain_is_cut_short_by_whoever_does_not_want_to_wait() {
    let case = Case::new(LASTING);
    case.runner.start(case.intent("r-1")).expect("it starts");
    let pid = case.is_up().await;
    // A grace that no test would live to see the end of.
    let hour = Duration::from_secs(3_600);
    assert_eq!(case.runner.drain(hour, std::future::ready(())).await, 0);
    assert_eq!(case.ended("r-1").await.end, RunEnd::Interrupted);
    assert!(!is_there(pid));
}

#[tokio::test]
async fn a_run_goes_on_once_at_a_time() {
    let case = Case::new(LASTING);
    case.runner.start(case.intent("r-1")).expect("it starts");
    assert_eq!(case.runner.start(case.intent("r-1")), Err(NotStarted::AlreadyActive));
    assert_eq!(case.runner.active_len(), 1);
    case.runner.drain(Duration::ZERO, pending()).await;
    assert_eq!(case.told.all().iter().filter(|what| *what == "probe started").count(), 1);
}

#[tokio::test]
async fn a_journal_that_refuses_stops_everything_at_once() {
    // Room for the start of the lasting step and of one more.
    let case = Case::refusing(LASTING, 2);
    case.runner.start(case.intent("r-1")).expect("it starts");
    let pid = case.is_up().await;
    case.runner.start(case.intent("r-2")).expect("it starts");
    case.list.comes(|record| record.run() == Some(&case.id("r-2"))).await;
    assert!(case.runner.cancel(&case.id("r-2"), "so that its end is refused"));
    let mut load = case.runner.shared.load.subscribe();
    load.wait_for(|load| load.active == 0).await.expect("it goes on");
    assert!(!is_there(pid));
    assert_eq!(case.list.records().len(), 2);
    assert!(case.told.all().contains(&"the journal is closed: the disk is full".to_owned()));
    assert_eq!(case.runner.start(case.intent("r-3")), Err(NotStarted::Stopping));
}

#[tokio::test]
async fn nothing_is_done_whose_start_cannot_be_recorded() {
    let case = Case::refusing(LASTING, 0);
    case.runner.start(case.intent("r-1")).expect("it starts");
    assert_eq!(case.runner.drain(Duration::from_secs(60), pending()).await, 0);
    assert!(!case.folder.path().join("pid").exists());
}

#[tokio::test]
async fn many_runs_go_on_at_once() {
    let case = Case::new("    steps: [ { shell: 'exit 0' } ]\n");
    for nth in 0..64 {
        case.runner.start(case.intent(&format!("r-{nth}"))).expect("it starts");
    }
    assert_eq!(case.runner.drain(Duration::from_secs(60), pending()).await, 0);
    let ended = case
        .list
        .records()
        .iter()
        .filter(|record| matches!(record, Record::RunEnded { end: RunEnd::Succeeded, .. }))
        .count();
    assert_eq!(ended, 64);
}
