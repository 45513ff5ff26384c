//! What the pages of the console show, and that what comes from outside stays text on them.

use serde_json::json;

use crate::console::{ended, rules, run_of};
use crate::support::{UNCONCERNED, incident, with};
use crate::visitor::{ADMIN, Answer, READER, Visitor, ask, bearer, console, log_in};

pub(crate) fn asset_paths(page: &Answer) -> Vec<String> {
    page.body.split('"').filter(|part| part.starts_with("/assets/")).map(str::to_owned).collect()
}

/// Pages that show all that can be shown, and their text.
pub(crate) fn pages(visitor: &Visitor, event: &str, incident: &str, run: &str) -> Vec<(String, String)> {
    let paths = [
        "/".to_owned(),
        format!("/events/{event}"),
        format!("/events/{event}?ask=then"),
        format!("/events/{event}?ask=now"),
        format!("/incidents/{incident}"),
        "/runs".into(),
        format!("/runs/{run}"),
        "/approvals".into(),
        "/rules".into(),
        "/rules/acting".into(),
        "/engine".into(),
        "/engine?check".into(),
        "/engine?channel=Order%20System".into(),
        "/backtest".into(),
        "/backtest?since=1d".into(),
        "/nothing".into(),
    ];
    paths.into_iter().map(|path| (visitor.get(&path).body, path)).map(|(body, path)| (path, body)).collect()
}

#[test]
fn hostile_text_stays_text_on_every_page() {
    let (daemon, addr) = console(&rules());
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`&amp;\u{202e}\u{1b}[31m\u{200b}{{7*7}}";
    let push = with(
        incident("e-1", "5f0000000000000000000001"),
        &[
            ("/incident/title", json!(hostile)),
            ("/incident/channel_name", json!(hostile)),
            ("/incident/incident_severity", json!(hostile)),
            ("/incident/labels/resource", json!("db-<b>7</b>\u{202e}")),
            ("/incident/labels/<i>name", json!(hostile)),
            ("/incident/detail_url", json!("javascript:alert(3)")),
            ("/event_type", json!("i_new")),
        ],
    );
    daemon.accept(&push);
    let acting = run_of(&daemon, "e-1", "acting");
    ended(addr, &acting);
    let visitor = Visitor::log_in(addr, ADMIN);
    let mut seen = 0;
    for (path, page) in pages(&visitor, "e-1", "5f0000000000000000000001", &acting) {
        for bad in
            ["<script>alert", "<img src=x", "<b>7", "<i>name", "\u{202e}", "\u{1b}", "\u{200b}", "href=\"javascript:"]
        {
            assert!(!page.contains(bad), "{path} holds {bad:?}: {page}");
        }
        seen += usize::from(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }
    assert!(seen >= 5, "the title was to be seen on five pages at least, and was on {seen}");
}

#[test]
fn no_page_holds_script_or_style_inline_or_from_elsewhere() {
    let (daemon, addr) = console(&rules());
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    let asking = run_of(&daemon, "e-1", "asking");
    let visitor = Visitor::log_in(addr, ADMIN);
    let mut pages = pages(&visitor, "e-1", "5f0000000000000000000001", &asking);
    pages.push(("/login".into(), ask(addr, "GET", "/login", &[], "").body));
    pages.push(("a wrong login".into(), log_in(addr, "no-token-of-the-tests-at-all-0000").body));
    for (path, page) in pages {
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\""), "{path}: {page}");
        for tag in page.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap();
            let name = tag.split([' ', '/']).next().unwrap();
            assert!(name != "style", "{path}: <{tag}>");
            if name == "script" {
                assert!(tag.contains("src=\"/assets/console.js?v="), "{path}: <{tag}>");
            }
            for attribute in tag.split(' ').skip(1) {
                let attribute = attribute.split('=').next().unwrap();
                assert!(attribute != "style" && !attribute.starts_with("on"), "{path}: <{tag}>");
            }
            for link in ["href=\"http", "src=\"http", "action=\"http", "href=\"//", "src=\"//"] {
                assert!(!tag.contains(link), "{path}: <{tag}>");
            }
        }
        assert_eq!(page.matches("<h1").count(), 1, "{path}");
        assert_eq!(page.matches("id=\"content\"").count(), 1, "{path}");
    }
}

#[test]
fn an_incident_is_told_with_its_alerts_and_its_runs() {
    let (daemon, addr) = console(&rules());
    let id = "5f0000000000000000000001";
    daemon.accept(&incident("e-1", id));
    let alert = json!({
        "event_id": "e-2", "event_time": incident("x", id)["event_time"], "event_type": "a_new",
        "alert": { "alert_id": "a-1", "title": "its alert", "alert_status": "Warning", "incident": { "incident_id": id, "title": "x" } }
    });
    daemon.accept(&alert);
    daemon.accept(&incident("e-3", "5f0000000000000000000002"));
    ended(addr, &run_of(&daemon, "e-1", "acting"));
    daemon.decided("e-3");
    let story = ask(addr, "GET", &format!("/api/v1/incidents/{id}"), &[("authorization", &bearer(READER))], "").json();
    let events: Vec<&str> =
        story["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["e-1", "e-2"]);
    assert_eq!(story["title"], "disk full on db-07");
    let rules: Vec<&str> =
        story["runs"].as_array().unwrap().iter().map(|run| run["run"]["rule"].as_str().unwrap()).collect();
    assert!(rules.contains(&"acting"), "{rules:?}");
    let page = Visitor::log_in(addr, ADMIN).get(&format!("/incidents/{id}")).body;
    for text in ["Incident created", "Alert created", "Run of acting on t-db-07", "say"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[test]
fn rules_tell_how_they_fared_also_after_a_restart() {
    let (daemon, addr) = console(&rules());
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    ended(addr, &run_of(&daemon, "e-1", "acting"));
    daemon.accept(&with(incident("e-2", "5f0000000000000000000001"), &[("/incident/alert_cnt", json!(2))]));
    daemon.decided("e-2");
    let fared = || ask(addr, "GET", "/api/v1/rules/acting", &[("authorization", &bearer(READER))], "").json();
    let before = fared();
    assert_eq!((&before["hits"], &before["suppressed"]), (&json!(2), &json!(1)), "{before}");
    assert_eq!(before["last_outcome"]["outcome"], "suppressed");
    assert_eq!(before["last_run"]["state"], "succeeded");
    assert_eq!(before["breaker"]["open"], false);
    let daemon = daemon.stop().start();
    assert_eq!(fared(), before, "it is the fold of the journal");
    drop(daemon);
}

#[test]
fn lists_are_paged_without_loss() {
    let (daemon, addr) = console(UNCONCERNED);
    for nth in 0..7 {
        daemon.accept(&incident(&format!("e-{nth}"), "5f0000000000000000000001"));
    }
    daemon.decided("e-6");
    let token = bearer(READER);
    let mut seen = Vec::new();
    let mut path = "/api/v1/events?limit=3".to_owned();
    loop {
        let page = ask(addr, "GET", &path, &[("authorization", &token)], "").json();
        let Some(last) = page.as_array().unwrap().last() else { break };
        seen.extend(page.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap().to_owned()));
        path = format!("/api/v1/events?limit=3&before={}", last["seq"]);
    }
    assert_eq!(seen, ["e-6", "e-5", "e-4", "e-3", "e-2", "e-1", "e-0"]);
    for query in ["limit=x", "limit=1&limit=2", "offset=3"] {
        let refused = ask(addr, "GET", &format!("/api/v1/events?{query}"), &[("authorization", &token)], "");
        assert_eq!((refused.status, refused.code()), (400, "bad-request".into()), "{query}");
    }
}
