//! Asking about what the journal holds, under a budget: through the library.

use std::time::Duration;

use stanch::engine::{Options, settings};
use stanch::journal::FILE_NAME;
use stanch::journal::read::Reader;
use stanch::replay::backtest::{Request, backtest};
use stanch::replay::{Budget, Folded, ReplayError};
use stanch::simulate::backtest::{Approvals, Rules, RunModel};

use crate::aged;
use crate::support::{Folder, UNCONCERNED};

#[test]
fn a_budget_ends_a_backtest_and_a_fold() {
    let folder = Folder::with_rules(UNCONCERNED);
    aged::fill(&folder.path("data"), 500);
    let config = stanch::config::load::load(&folder.path("stanch.yaml")).unwrap_or_else(|_| panic!("a config")).config;
    let rules = stanch::rule::load::load(&config, 1).set.unwrap();
    let settings = settings(&config, &Options::of_reader());
    let request = Request {
        tried: Rules { rules: &rules, settings: &settings },
        against: None,
        since: None,
        model: RunModel { takes: Duration::ZERO, approvals: Approvals::Granted },
        strict_ordering: false,
    };
    let file = folder.path("data").join(FILE_NAME);
    let try_out = |budget: &Budget| backtest(&file, &request, budget, |_, _, _| {});
    let reader = Reader::open(&file).unwrap();
    let last = reader.last_seq().unwrap();
    let fold = |budget: &Budget| Folded::up_to(&reader, u64::MAX, false, None, budget);

    assert_eq!(try_out(&Budget::unlimited()).unwrap().report.events, 500);
    assert_eq!(fold(&Budget::unlimited()).unwrap().history.last_seq(), last);

    let no_time = Budget::of(Duration::ZERO, u64::MAX);
    assert!(matches!(try_out(&no_time), Err(ReplayError::Cut { .. })));
    assert!(matches!(fold(&no_time), Err(ReplayError::Cut { .. })));

    let few = Budget::of(Duration::MAX, last - 1);
    assert!(matches!(try_out(&few), Err(ReplayError::TooMuch { records, .. }) if records == last));

    let called_off = Budget::unlimited();
    drop(called_off.call_off());
    assert!(matches!(try_out(&called_off), Err(ReplayError::Cut { .. })));
    assert!(matches!(fold(&called_off), Err(ReplayError::Cut { .. })));
}

#[test]
fn a_fold_that_goes_on_from_another_is_the_same() {
    let folder = Folder::with_rules(UNCONCERNED);
    aged::fill(&folder.path("data"), 500);
    let reader = Reader::open(&folder.path("data").join(FILE_NAME)).unwrap();
    let budget = Budget::unlimited();
    let fold = |before, known: Option<&Folded>| Folded::up_to(&reader, before, false, known, &budget).unwrap();
    let (early, late) = (fold(700, None), fold(2_000, None));
    let seen = |folded: &Folded| {
        (
            folded.history.last_seq(),
            folded.history.last_at(),
            folded.history.undecided().count(),
            folded.history.runs.active_len(),
        )
    };
    assert_eq!(seen(&early).0, 699);
    assert_eq!(seen(&fold(2_000, Some(&early))), seen(&late));
    assert_eq!(seen(&fold(700, Some(&late))), seen(&early), "one of more is of no use");
    let strict = Folded::up_to(&reader, 2_000, true, Some(&early), &budget).unwrap();
    assert_eq!(seen(&strict).0, 1_999, "nor one of another kind");
}
