//! `recheck: incident`: nothing is done where Flashduty does not say that the incident is open.

use super::{Vendor, folder_for, rule};
use crate::support::{Daemon, incident};

const RULE: &str = "    guards: { recheck: incident }\n    steps: [ { shell: echo acted >> acted } ]\n";

fn ended(daemon: &Daemon, event: &str) -> (String, String) {
    let run = daemon.ended(event);
    let text = |name: &str| run["run"][name].as_str().unwrap_or_default().to_owned();
    (text("state"), text("error"))
}

#[test]
fn an_open_incident_is_acted_on_and_a_closed_one_is_not() {
    let vendor = Vendor::start();
    vendor.open("i1");
    vendor.open("i2");
    let daemon = vendor.folder(&rule("a", RULE), ", report: false").start();
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(ended(&daemon, "e1").0, "succeeded");

    // The push of its closing is still on its way.
    vendor.fake.close("i2");
    daemon.accept(&incident("e2", "i2"));
    let (state, why) = ended(&daemon, "e2");
    assert_eq!(state, "cancelled");
    assert!(why.starts_with("recheck objects:") && why.contains("closed in Flashduty"), "{why}");

    // Nothing was started, so the occasion is not used up: opened again, it is acted on.
    vendor.open("i2");
    daemon.accept(&incident("e3", "i2"));
    assert_eq!(ended(&daemon, "e3").0, "succeeded");
    let asked = vendor.calls().iter().filter(|(path, _)| path == "/incident/info").count();
    assert_eq!(asked, 3);
    assert_eq!(daemon.stop().read("acted").lines().count(), 2);
}

#[test]
fn no_answer_means_no() {
    // Nobody listens there any more.
    let url = Vendor::start().fake.url();
    let daemon = folder_for(&url, &rule("a", RULE), ", report: false").start();
    daemon.accept(&incident("e1", "i1"));
    let (state, why) = ended(&daemon, "e1");
    assert_eq!(state, "cancelled");
    assert!(why.contains("was not reached"), "{why}");
    // An incident that Flashduty does not know is not known to be open either.
    let vendor = Vendor::start();
    let daemon = vendor.folder(&rule("a", RULE), ", report: false").start();
    daemon.accept(&incident("e2", "i2"));
    let (state, why) = ended(&daemon, "e2");
    assert_eq!((state.as_str(), why.contains("there is no incident i2")), ("cancelled", true), "{why}");
    assert_eq!(daemon.stop().read("acted"), "");
}

#[test]
fn a_run_that_waited_asks_when_its_turn_comes() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let hold = RULE.replace("recheck: incident", "recheck: incident, hold: { for: 1s }");
    let daemon = vendor.folder(&rule("a", &hold), ", report: false").start();
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.outcome("e1").0, "held");
    assert!(vendor.calls().is_empty(), "it is asked just before acting, not before");
    vendor.fake.close("i1");
    assert_eq!(ended(&daemon, "e1").0, "cancelled");
}
