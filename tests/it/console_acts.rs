//! What people do through the console's forms beside approving: doing a run again, holding back a rule or a channel; and
//! how a form that is refused is answered.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::{Daemon, UNCONCERNED, incident, marking_rule, wait_for};
use crate::visitor::{ADMIN, Answer, READER, Visitor, ask, bearer, console, log_in_as, login_page};

fn get(addr: SocketAddr, path: &str) -> Value {
    ask(addr, "GET", path, &[("authorization", &bearer(READER))], "").json()
}

/// A daemon with one rule, and somebody called Ada at its console.
fn with_ada() -> (Daemon, SocketAddr, Visitor) {
    let (daemon, addr) = console(&format!("rules:\n{}", marking_rule("mark", "    dedupe: { by: [event] }\n")));
    let cookie = log_in_as(addr, ADMIN, "Ada", &[]).header("set-cookie").split(';').next().unwrap().to_owned();
    (daemon, addr, Visitor { addr, cookie })
}

/// Sends a form as a browser does, which wants a page.
fn submit_for_page(visitor: &Visitor, path: &str, fields: &str) -> Answer {
    let headers = [
        ("cookie", &*visitor.cookie),
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "text/html,application/xhtml+xml"),
    ];
    ask(visitor.addr, "POST", path, &headers, fields)
}

#[test]
fn a_run_is_done_again_once_somebody_is_sure_and_says_why() {
    let (daemon, addr, ada) = with_ada();
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    let run = daemon.ended("e-1")["run"]["run"].as_str().unwrap().to_owned();
    let page = ada.get(&format!("/runs/{run}")).body;
    assert!(page.contains("name=\"sure\"") && page.contains("Do it again"), "{page}");
    let unsure = ada.submit(&format!("/runs/{run}/rerun"), "reason=again");
    assert_eq!((unsure.status, unsure.code()), (400, "bad-request".into()));
    assert_eq!(daemon.folder.read("runs").lines().count(), 1);

    let done = ada.submit(&format!("/runs/{run}/rerun"), "reason=still+full&sure=true");
    assert_eq!(done.status, 303, "{done:?}");
    let to = done.header("location");
    let (page, query) = to.split_once('?').unwrap();
    assert_eq!(query, "done=done-again");
    let again = page.strip_prefix("/runs/").unwrap().replace("%2D", "-");
    assert_ne!(again, run);
    wait_for("the new run to end", || {
        let story = get(addr, &format!("/api/v1/runs/{again}"));
        if story["run"]["state"] == "succeeded" { Ok(()) } else { Err(story.to_string()) }
    });
    assert_eq!(daemon.folder.read("runs").lines().count(), 2);
    let said = get(addr, &format!("/api/v1/runs/{again}"))["said"][0]["what"].clone();
    assert_eq!(said, format!("run {run} done again by Ada at the console: still full"));
    let page = ada.get(to).body;
    assert!(page.contains("still full") && page.contains("This is the new run"), "{page}");
}

#[test]
fn a_rule_and_a_channel_are_held_back_and_let_go_on_with_who_and_why() {
    let (daemon, addr, ada) = with_ada();
    let pauses = || get(addr, "/api/v1/status")["pauses"].clone();
    let done = ada.submit("/pause", "rule=mark&reason=it+loops&for=1h&back=/rules/mark");
    assert_eq!((done.status, done.header("location")), (303, "/rules/mark?done=rule-paused"));
    let pause = pauses()[0].clone();
    assert_eq!(
        (&pause["scope"], &pause["reason"], &pause["by"]),
        (&json!({ "rule": "mark" }), &json!("it loops"), &json!("Ada at the console"))
    );
    assert!(pause["until"].is_u64(), "{pause}");
    for path in ["/rules/mark", "/engine"] {
        let page = ada.get(path).body;
        assert!(page.contains("it loops") && page.contains("Let it go on"), "{path}: {page}");
    }
    assert!(ada.get("/").body.contains("1 paused"), "every page tells that something is held back");
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    assert_eq!(daemon.outcome("e-1"), ("suppressed".into(), "pause: rule mark is paused: it loops".into()));
    assert_eq!(ada.submit("/resume", "rule=mark").header("location"), "/?done=rule-resumed");
    assert_eq!(pauses(), json!([]));

    let done = ada.submit("/pause", "scoped=true&channel=Order+System&back=/engine");
    assert_eq!(done.header("location"), "/engine?done=channel-paused");
    daemon.accept(&incident("e-2", "5f0000000000000000000002"));
    assert_eq!(daemon.outcome("e-2").0, "suppressed");
    assert!(ada.get("/engine").body.contains("Order System"));
    assert_eq!(ada.submit("/resume", "channel=Order+System").header("location"), "/?done=channel-resumed");
    daemon.accept(&incident("e-3", "5f0000000000000000000003"));
    assert_eq!(daemon.end_of("e-3"), "succeeded");

    // A field that was left empty is not everything.
    let empty = ada.submit("/pause", "scoped=true&channel=");
    assert_eq!((empty.status, pauses()), (400, json!([])));
    assert_eq!(ada.submit("/pause", "rule=none").status, 409, "a rule that is not there");
    assert_eq!(ada.submit("/pause", "rule=mark&channel=x").status, 400, "both at once");
}

#[test]
fn a_form_that_is_refused_tells_a_browser_on_a_page_and_a_machine_in_json() {
    let (_daemon, addr, ada) = with_ada();
    let reader = Visitor::log_in(addr, READER);
    let nobody = Visitor { addr, cookie: "stanch-session=0".into() };
    let good = format!("form_token={}", ada.form_token());
    let of_reader = format!("form_token={}", reader.form_token());
    for (visitor, path, fields, status, code, said) in [
        (&ada, "/pause", "form_token=0", 403, "form-token", "reload the page"),
        (&ada, "/pause", "a=1&a=2", 400, "bad-request", "given twice"),
        (&ada, "/nothing", &good, 404, "not-found", "nothing at this path"),
        (&ada, "/runs/none/rerun", &format!("{good}&sure=true"), 409, "cannot", "no run none"),
        (&reader, "/pause", &of_reader, 403, "read-only", "use the admin token"),
        (&nobody, "/pause", &good, 401, "unauthorized", "Your session is over"),
    ] {
        let page = submit_for_page(visitor, path, fields);
        assert_eq!((page.status, page.header("content-type")), (status, "text/html; charset=utf-8"), "{code}");
        assert!(page.body.contains("<h1>") && page.body.contains(said), "{code}: {}", page.body);
        let plain = visitor.post(path, fields);
        assert_eq!((plain.status, plain.code()), (status, code.to_owned()));
    }
    let headers = [("cookie", &*ada.cookie), ("origin", "http://evil.example"), ("accept", "text/html")];
    let page = ask(addr, "POST", "/pause", &headers, &good);
    assert_eq!((page.status, page.header("content-type")), (403, "text/html; charset=utf-8"));
    assert!(page.body.contains("another site sent this request"), "{}", page.body);
    let api = ask(addr, "POST", "/api/v1/pause", &headers, "");
    assert_eq!((api.status, api.code()), (403, "cross-site".into()), "the API speaks JSON to everybody");
    assert_eq!(get(addr, "/api/v1/status")["pauses"], json!([]));
}

#[test]
fn nobody_is_logged_in_by_a_form_that_is_not_the_consoles() {
    let (_daemon, addr) = console(UNCONCERNED);
    let ((cookie, token), (other, _)) = (login_page(addr), login_page(addr));
    assert_ne!(cookie, other);
    let send = |cookie: &str, fields: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("cookie", cookie)];
        ask(addr, "POST", "/login", &headers, fields)
    };
    let whole = format!("token={ADMIN}&form_token={token}");
    for (cookie, fields) in [
        ("", &*whole),
        (&*other, &*whole),
        (&*cookie, &*format!("token={ADMIN}")),
        ("stanch-login=short", &*whole),
        (&*cookie, &*format!("token={ADMIN}&form_token=0000")),
    ] {
        let refused = send(cookie, fields);
        assert_eq!((refused.status, refused.code()), (403, "form-token".into()), "{cookie} {fields}");
        assert_eq!(refused.header("set-cookie"), "");
    }
    // A browser gets the form anew, and that one works.
    let headers = [("accept", "text/html"), ("cookie", &*other)];
    let page = ask(addr, "POST", "/login", &headers, &whole);
    assert_eq!(page.status, 403);
    assert!(page.body.contains("Nobody was logged in") && page.header("set-cookie").is_empty(), "{page:?}");
    let (_, rest) = page.body.split_once("name=\"form_token\" value=\"").unwrap();
    let anew = send(&other, &format!("token={ADMIN}&form_token={}", rest.split('"').next().unwrap()));
    assert_eq!(anew.status, 303);
    let logged_in = send(&cookie, &whole);
    assert_eq!(logged_in.status, 303);
    assert!(logged_in.header("set-cookie").starts_with("stanch-session="), "{logged_in:?}");
}
