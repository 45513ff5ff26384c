//! Runs that go over a list.

use super::*;

/// What the steps of each item wrote, in the order of the records.
fn by_item(case: &Case) -> Vec<(String, String)> {
    let ends = case.list.records().into_iter().filter_map(|record| match record {
        Record::StepEnded { each: Some(each), result, .. } => Some((each.item, result.stdout.trim_end().to_owned())),
        _ => None,
    });
    ends.collect()
}

/// The result of the list as a whole.
fn whole(case: &Case) -> StepResult {
    let ends = case.list.records().into_iter().filter_map(|record| match record {
        Record::StepEnded { each: None, result, .. } => Some(result),
        _ => None,
    });
    ends.last().expect("it ended")
}

#[tokio::test]
async fn every_item_gets_all_steps_with_its_own_name_and_results() {
    let case = Case::new(
        "    steps:
      - { name: before, run: [/bin/echo, outer] }
      - name: roll
        each:
          in: '[\"a\", \"b\"]'
          as: host
          steps:
            - { name: probe, run: [/bin/echo, '{{ host }} of {{ steps.before.stdout | trim }}'] }
            - { if: 'host == \"b\"', shell: 'echo only $STANCH_ITEM' }
            - { run: [/bin/echo, '{{ steps.probe.stdout | trim }}, then'] }
      - { if: steps.roll.json.failed.is_empty(), run: [/bin/echo, '{{ steps.roll.json.succeeded | join(\" \") }}'] }
",
    );
    assert_eq!(case.run().await.end, RunEnd::Succeeded);
    let expected = [
        ("a", "a of outer"),
        ("a", ""),
        ("a", "a of outer, then"),
        ("b", "b of outer"),
        ("b", "only b"),
        ("b", "b of outer, then"),
    ];
    let expected = expected.map(|(item, said)| (item.to_owned(), said.to_owned()));
    assert_eq!(by_item(&case), expected);
    assert_eq!(case.outputs().last().map(String::as_str), Some("a b"));
}

#[tokio::test]
async fn it_stops_before_the_next_batch_once_more_items_failed_than_may() {
    let list = |tolerance: usize| {
        format!(
            "    steps: [ {{ name: roll, each: {{ in: [a, b, c, d, e, f], batch: 2, tolerance: {tolerance}, steps: [ {{ shell: 'case $STANCH_ITEM in a|d) exit 3;; esac' }} ] }} }} ]\n"
        )
    };
    let case = Case::new(&list(1));
    let ended = case.run().await;
    assert_eq!(ended.end, RunEnd::Failed);
    for part in
        ["step 1 (roll): 2 of 6 failed, and 1 may", "a: step 1 (shell): exited with code 3", "not started: e, f"]
    {
        assert!(ended.error.contains(part), "{part} is not in {}", ended.error);
    }
    let expected = json!({ "succeeded": ["b", "c"], "failed": { "a": "step 1 (shell): exited with code 3; [0] would have been success", "d": "step 1 (shell): exited with code 3; [0] would have been success" }, "not_started": ["e", "f"] });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&whole(&case).stdout).expect("it is JSON"), expected);

    let case = Case::new(&list(2));
    assert_eq!(case.run().await.end, RunEnd::Succeeded);
    assert_eq!(by_item(&case).len(), 6);
}

#[tokio::test]
async fn a_batch_goes_on_at_the_same_time_and_the_next_one_after_it() {
    // Each of the first two waits for the other; the third finds both done.
    let case = Case::new(
        "    steps:
      - each:
          in: [a, b, c]
          batch: 2
          steps:
            - shell: |
                touch $STANCH_ITEM
                case $STANCH_ITEM in a) other=b;; b) other=a;; *) test -e done-a && test -e done-b; exit;; esac
                while ! test -e $other; do sleep 0.01; done
                touch done-$STANCH_ITEM
",
    );
    assert_eq!(case.run().await, Ended { end: RunEnd::Succeeded, error: String::new(), acted: true, keeps_slot: true });
}

#[tokio::test]
async fn calling_it_off_ends_the_items_that_run_and_begins_no_other() {
    let case = Case::new("    steps: [ { each: { in: [a, b, c], batch: 2, steps: [ { shell: sleep 1000 } ] } } ]\n");
    case.runner.start(case.intent("r-1")).expect("it starts");
    for item in ["a", "b"] {
        case.list
            .comes(|record| matches!(record, Record::StepStarted { each: Some(each), .. } if each.item == item))
            .await;
    }
    assert!(case.runner.cancel(&case.id("r-1"), "by a test"));
    assert_eq!(case.ended("r-1").await.end, RunEnd::Cancelled);
    assert_eq!(by_item(&case).len(), 2);
    assert!(whole(&case).error.expect("it says why").contains("not started: c"));
}

#[tokio::test]
async fn a_list_has_a_time_limit_of_its_own() {
    let case = Case::new(
        "    steps: [ { timeout: 200ms, each: { in: [a, b], steps: [ { shell: sleep 1000, timeout: 10m } ] } } ]\n",
    );
    let ended = case.run().await;
    assert_eq!(ended.end, RunEnd::TimedOut);
    assert!(ended.error.contains("200ms") && ended.error.contains("not started: b"), "{}", ended.error);
}

#[tokio::test]
async fn nothing_further_is_done_for_any_item_once_the_journal_refuses() {
    // The start of the list, and of its first item, are taken; its end is not.
    let case =
        Case::refusing("    steps: [ { each: { in: [a, b], steps: [ { shell: 'touch $STANCH_ITEM' } ] } } ]\n", 2);
    case.runner.start(case.intent("r-1")).expect("it starts");
    while case.runner.active_len() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(case.folder.path().join("a").exists() && !case.folder.path().join("b").exists());
}
