//! From intent to end.

use super::*;

#[tokio::test]
async fn steps_run_in_order_and_everything_is_on_record() {
    let case = Case::new(
        "    target: '{{ labels.resource }}'
    steps:
      - { name: first, run: [/bin/echo, '{{ target }}', '{{ incident.title }}'] }
      - { shell: 'echo $STANCH_RUN_ID $STANCH_ATTEMPT $STANCH_TARGET; cat' }
      - { wait: 1ms }
",
    );
    let ended = case.run().await;
    assert_eq!(ended, Ended { end: RunEnd::Succeeded, error: String::new(), acted: true, keeps_slot: true });
    let records = case.list.records();
    let kinds: Vec<_> = records.iter().map(Record::kind).collect();
    let step = ["step-started", "step-ended"];
    assert_eq!(kinds, [&step[..], &step, &step, &["run-ended"]].concat());
    assert!(records.iter().all(|record| record.run() == Some(&case.id("r-1"))));
    let body = String::from_utf8(event().body.to_vec()).expect("it is text");
    assert_eq!(case.outputs(), ["db-07 disk full", &format!("{} 1 db-07\n{body}", case.id("r-1")), ""]);
    assert!(matches!(&records[0], Record::StepStarted { name, step: 0, attempt: 1, .. } if name == "first"));
    assert_eq!(
        case.told.all(),
        [
            "probe started",
            "acts after 1.5s",
            "Steps Succeeded",
            "Steps Succeeded",
            "Steps Succeeded",
            "probe succeeded"
        ]
    );
}

#[tokio::test]
async fn the_first_failure_ends_the_run() {
    let case =
        Case::new("    steps: [ { name: probe it, shell: 'echo no >&2; exit 3' }, { shell: 'echo unreached' } ]\n");
    let ended = case.run().await;
    assert_eq!(ended.end, RunEnd::Failed);
    assert!(ended.error.starts_with("step 1 (probe it): exited with code 3"), "{}", ended.error);
    assert_eq!(case.ends(), [StepEnd::Failed]);
}

#[tokio::test]
async fn a_failure_may_be_accepted() {
    let case = Case::new("    steps: [ { shell: exit 3, continue_on_error: true }, { shell: echo on } ]\n");
    assert_eq!(case.run().await.end, RunEnd::Succeeded);
    assert_eq!(case.ends(), [StepEnd::Failed, StepEnd::Succeeded]);
}

#[tokio::test]
async fn a_time_limit_has_its_own_end() {
    let case = Case::new("    steps: [ { shell: sleep 1000, timeout: 100ms } ]\n");
    let ended = case.run().await;
    assert_eq!(ended.end, RunEnd::TimedOut);
    assert!(ended.error.contains("100ms"), "{}", ended.error);
}

#[tokio::test]
async fn a_step_is_tried_again_and_knows_which_try_it_is() {
    let case = Case::new(
        "    steps: [ { shell: 'echo $STANCH_ATTEMPT; [ $STANCH_ATTEMPT = 3 ]', retry: { attempts: 5, backoff: 1ms } } ]\n",
    );
    assert_eq!(case.run().await.end, RunEnd::Succeeded);
    assert_eq!(case.outputs(), ["1", "2", "3"]);
    assert_eq!(case.tries().iter().map(|(.., attempt, _)| *attempt).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn tries_come_to_an_end() {
    let case = Case::new("    steps: [ { shell: exit 1, retry: { attempts: 2, backoff: 1ms } } ]\n");
    assert_eq!(case.run().await.end, RunEnd::Failed);
    assert_eq!(case.ends(), [StepEnd::Failed, StepEnd::Failed]);
}

#[tokio::test]
async fn conditions_and_templates_see_what_steps_led_to() {
    let case = Case::new(
        r#"    steps:
      - { name: probe, shell: 'echo "{\"free\": 12}"' }
      - { if: 'steps.probe.json.free > 50', shell: echo unreached }
      - { if: 'steps.probe.ok && steps.probe.exit_code == 0', run: [/bin/echo, '{{ steps.probe.json.free }}'] }
"#,
    );
    assert_eq!(case.run().await.end, RunEnd::Succeeded);
    assert_eq!(case.ends(), [StepEnd::Succeeded, StepEnd::Skipped, StepEnd::Succeeded]);
    assert_eq!(case.outputs().last().map(String::as_str), Some("12"));
    let started = case.list.records().iter().filter(|record| record.kind() == "step-started").count();
    assert_eq!(started, 2, "what is skipped is not started");
}

#[tokio::test]
async fn a_condition_that_cannot_be_evaluated_fails_the_step() {
    let case =
        Case::new("    steps: [ { name: a, shell: exit 0 }, { if: 'steps.a.status == 200', shell: echo no } ]\n");
    let ended = case.run().await;
    assert_eq!(ended.end, RunEnd::Failed);
    assert!(ended.error.contains("`if` could not be evaluated"), "{}", ended.error);
}

#[tokio::test]
async fn a_step_that_cannot_be_rendered_fails() {
    let case = Case::new("    steps: [ { name: a, shell: exit 0 }, { run: [/bin/echo, '{{ steps.a.json.x }}'] } ]\n");
    let ended = case.run().await;
    assert_eq!(ended.end, RunEnd::Failed);
    assert!(ended.error.contains("could not be rendered"), "{}", ended.error);
}

#[tokio::test]
async fn what_never_acted_gives_its_slot_back() {
    let case = Case::new("    steps: [ { if: 'labels.resource == \"other\"', shell: echo no } ]\n");
    let ended = case.run().await;
    assert_eq!((ended.end, ended.acted, ended.keeps_slot), (RunEnd::Succeeded, false, false));
}

const VERIFIED: &str = "
    on_success: [ { run: [/bin/echo, good, '{{ run.state }}'] } ]
    on_failure: [ { shell: exit 1 }, { run: [/bin/echo, bad, '{{ run.state }}', '{{ run.error }}'] } ]
";

#[tokio::test]
async fn verify_is_repeated_until_it_holds() {
    let verify =
        "    verify: { within: 1h, every: 1ms, steps: [ { shell: 'echo x >>tries; [ $(wc -l <tries) -ge 3 ]' } ] }";
    let case = Case::new(&format!("    steps: [ {{ shell: exit 0 }} ]\n{verify}{VERIFIED}"));
    assert_eq!(case.run().await.end, RunEnd::Succeeded);
    let tries: Vec<_> =
        case.tries().into_iter().map(|(phase, _, attempt, result)| (phase, attempt, result.end)).collect();
    let (failed, passed) = (StepEnd::Failed, StepEnd::Succeeded);
    let verify = [(Phase::Verify, 1, failed), (Phase::Verify, 2, failed), (Phase::Verify, 3, passed)];
    assert_eq!(tries, [&[(Phase::Steps, 1, passed)][..], &verify, &[(Phase::OnSuccess, 1, passed)]].concat());
    assert_eq!(case.outputs().last().map(String::as_str), Some("good succeeded"));
    assert!(case.folder.path().join("tries").exists(), "steps run in the config's folder");
}

#[tokio::test]
async fn what_does_not_help_is_unverified() {
    let verify = "    verify: { within: 20ms, every: 5ms, steps: [ { name: look, shell: exit 1 } ] }";
    let case = Case::new(&format!("    steps: [ {{ shell: exit 0 }} ]\n{verify}{VERIFIED}"));
    let ended = case.run().await;
    assert_eq!(ended.end, RunEnd::Unverified);
    assert!(ended.error.starts_with("verify did not hold within 20ms: step 1 (look)"), "{}", ended.error);
    let last = case.outputs().pop().expect("there is one");
    assert!(last.starts_with("bad unverified verify did not hold"), "{last}");
}

#[tokio::test]
async fn what_follows_a_failure_is_all_tried_and_changes_nothing() {
    let case = Case::new(&format!("    steps: [ {{ name: heal, shell: exit 4 }} ]{VERIFIED}"));
    let ended = case.run().await;
    assert!(ended.error.starts_with("step 1 (heal): exited with code 4"), "{}", ended.error);
    assert_eq!(case.ends(), [StepEnd::Failed, StepEnd::Failed, StepEnd::Succeeded]);
    assert_eq!(case.outputs().last(), Some(&format!("bad failed {}", ended.error)));
}

#[tokio::test]
async fn an_escalation_is_not_verified() {
    let verify = "    verify: { within: 1s, every: 1ms, steps: [ { shell: exit 1 } ] }";
    let guards = "    guards: { attempts: { max: 1, per: 1h, then: [ { shell: echo help } ] } }";
    let case = Case::new(&format!("    steps: [ {{ shell: exit 0 }} ]\n{guards}\n{verify}{VERIFIED}"));
    let mut intent = case.intent("r-1");
    let then = &intent.rule.guards.attempts.as_ref().expect("it has them").then;
    intent.plan =
        plan::steps(then, &plan::EachItems::default(), &EventView::new(&event()), "t", NOW).expect("it renders");
    case.runner.start(intent).expect("it starts");
    assert_eq!(case.ended("r-1").await.end, RunEnd::Succeeded);
    assert_eq!(case.outputs(), ["help"]);
}

#[tokio::test]
async fn secrets_reach_no_record() {
    let script = format!("echo {SECRET}; echo {SECRET} >&2; exit 1");
    let case = Case::new(&format!(
        "    steps: [ {{ name: leak, shell: '{script}', continue_on_error: true }}, {{ run: ['/bin/{SECRET}'] }} ]\n"
    ));
    let ended = case.run().await;
    assert!(ended.error.contains("cannot start /bin/***"), "{}", ended.error);
    let texts: Vec<_> =
        case.list.records().iter().map(|record| serde_json::to_string(record).expect("it does")).collect();
    assert!(texts.iter().all(|text| !text.contains(SECRET)), "{texts:#?}");
}
