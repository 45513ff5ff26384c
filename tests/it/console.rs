//! The console over HTTP: who is let in and what they may do, and what every answer carries.

use std::net::SocketAddr;

use serde_json::json;

use crate::console_pages::asset_paths;
use crate::support::{Daemon, UNCONCERNED, incident, marking_rule, wait_for};
use crate::visitor::{ADMIN, READER, Visitor, ask, bearer, console, log_in, log_in_as};

/// Rules of which one asks a person, one runs and one is only shown.
pub(crate) fn rules() -> String {
    let asking = marking_rule("asking", "").replace("    match:", "    mode: approve\n    match:");
    let shown = marking_rule("shown", "").replace("    match:", "    mode: dry-run\n    match:");
    let acting = "  - id: acting\n    owner: storage\n    match: { events: [i_new], channels: [\"*\"] }\n    target: \"t-{{ labels.resource }}\"\n    steps: [ { name: say, run: [/bin/echo, \"{{ incident.title }}\"] } ]\n";
    format!("rules:\n{asking}{shown}{acting}")
}

/// The run of a rule that an event led to.
pub(crate) fn run_of(daemon: &Daemon, event: &str, rule: &str) -> String {
    let story = daemon.decided(event);
    let rules = story["event"]["decision"]["rules"].as_array().unwrap();
    rules.iter().find(|one| one["rule"] == rule).unwrap()["run"].as_str().unwrap().to_owned()
}

fn state_of(addr: SocketAddr, run: &str) -> String {
    let answer = ask(addr, "GET", &format!("/api/v1/runs/{run}"), &[("authorization", &bearer(ADMIN))], "");
    answer.json()["run"]["state"].as_str().unwrap().to_owned()
}

/// Waits until a run has succeeded.
pub(crate) fn ended(addr: SocketAddr, run: &str) {
    wait_for("the run to end", || match state_of(addr, run).as_str() {
        "succeeded" => Ok(()),
        other => Err(other.to_owned()),
    });
}

#[test]
fn a_token_opens_a_session_and_logging_out_ends_it() {
    let (_daemon, addr) = console(UNCONCERNED);
    let refused = ask(addr, "GET", "/runs", &[("accept", "text/html")], "");
    assert_eq!((refused.status, refused.header("location")), (303, "/login?next=%2Fruns"));
    assert_eq!(ask(addr, "GET", "/runs", &[], "").status, 401, "what wants no page is not led to one");
    let wrong = log_in(addr, "not-the-token-of-the-tests-0123");
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, ""));
    let right = log_in(addr, ADMIN);
    assert_eq!(right.status, 303);
    let cookie = right.header("set-cookie");
    for part in ["stanch-session=", "; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");
    assert!(!cookie.contains(ADMIN), "{cookie}");
    let visitor = Visitor::log_in(addr, ADMIN);
    assert_eq!(visitor.get("/runs").status, 200);
    assert_eq!(visitor.get("/login").status, 303, "who is in need not log in");
    assert_eq!(visitor.submit("/logout", "").header("location"), "/login");
    assert_eq!(visitor.get("/runs").status, 303);
}

#[test]
fn the_cookie_is_for_https_alone_where_that_is_what_the_visitor_speaks() {
    let (_daemon, addr) = console(UNCONCERNED);
    let answer = log_in_as(addr, ADMIN, "", &[("x-forwarded-proto", "https")]);
    assert!(answer.header("set-cookie").ends_with("; Secure"), "{answer:?}");
}

#[test]
fn guessing_the_token_ends_at_a_limit() {
    let (_daemon, addr) = console(UNCONCERNED);
    for nth in 0..10 {
        assert_eq!(log_in(addr, &format!("a-wrong-token-number-{nth:04}")).status, 401);
    }
    assert_eq!(log_in(addr, ADMIN).status, 429, "the right one has to wait as well");
    assert_eq!(ask(addr, "GET", "/api/v1/status", &[("authorization", &bearer(ADMIN))], "").status, 200);
    for _ in 0..100 {
        assert_eq!(ask(addr, "GET", "/api/v1/status", &[("authorization", "Bearer wrong")], "").status, 401);
    }
    let limited = ask(addr, "GET", "/api/v1/status", &[("authorization", &bearer(ADMIN))], "");
    assert_eq!((limited.status, limited.code()), (429, "too-many-attempts".into()));
}

#[test]
fn a_form_that_is_not_of_the_console_does_nothing() {
    let (_daemon, addr) = console(UNCONCERNED);
    let visitor = Visitor::log_in(addr, ADMIN);
    let other = Visitor::log_in(addr, ADMIN);
    let paused = || state(addr)["paused"].is_object();
    for fields in
        ["reason=x".to_owned(), "form_token=0000&reason=x".into(), format!("form_token={}", other.form_token())]
    {
        let refused = visitor.post("/pause", &fields);
        assert_eq!((refused.status, refused.code()), (403, "form-token".into()), "{fields}");
    }
    assert!(!paused());
    let fields = format!("form_token={}", visitor.form_token());
    for header in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "http://evil.example")]
    {
        let refused = ask(addr, "POST", "/pause", &[("cookie", &visitor.cookie), header], &fields);
        assert_eq!((refused.status, refused.code()), (403, "cross-site".into()), "{header:?}");
    }
    assert!(!paused());
    let origin = format!("http://{addr}");
    let done = ask(addr, "POST", "/pause", &[("cookie", &visitor.cookie), ("origin", &origin)], &fields);
    assert_eq!((done.status, done.header("location")), (303, "/?done=paused"));
    assert!(paused());
}

fn state(addr: SocketAddr) -> serde_json::Value {
    ask(addr, "GET", "/api/v1/status", &[("authorization", &bearer(READER))], "").json()
}

#[test]
fn the_api_acts_for_no_cookie_and_for_no_other_site() {
    let (_daemon, addr) = console(UNCONCERNED);
    let visitor = Visitor::log_in(addr, ADMIN);
    assert_eq!(visitor.get("/api/v1/status").status, 200);
    let refused = visitor.post("/api/v1/resume", "");
    assert_eq!((refused.status, refused.code()), (403, "forms-only".into()));
    let token = bearer(ADMIN);
    let elsewhere = [("authorization", &*token), ("sec-fetch-site", "cross-site")];
    assert_eq!(ask(addr, "POST", "/api/v1/resume", &elsewhere, "").code(), "cross-site");
    assert_eq!(ask(addr, "POST", "/api/v1/resume", &[("authorization", &token)], "").status, 200);
}

#[test]
fn the_read_token_sees_everything_and_does_nothing() {
    let (daemon, addr) = console(&rules());
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    let run = run_of(&daemon, "e-1", "asking");
    let reader = Visitor::log_in(addr, READER);
    for path in ["/", "/approvals", "/runs", "/rules", "/engine", "/events/e-1", &format!("/runs/{run}")] {
        let page = reader.get(path);
        assert_eq!(page.status, 200, "{path}");
        for act in [">Approve", "Pause the engine", "Pause this", ">Do it again", "Call off"] {
            assert!(!page.body.contains(act), "{path}: {act}");
        }
    }
    let rerun = format!("/runs/{run}/rerun");
    for (path, fields) in [
        (&*format!("/runs/{run}/approve"), ""),
        (&rerun, "sure=true"),
        ("/pause", ""),
        ("/pause", "rule=acting"),
        ("/pause", "channel=Order+System"),
        ("/resume", "rule=acting"),
        ("/reload", ""),
    ] {
        let refused = reader.submit(path, fields);
        assert_eq!((refused.status, refused.code()), (403, "read-only".into()), "{path} {fields}");
    }
    assert_eq!(state(addr)["pauses"], json!([]));
    assert_eq!(reader.get("/backtest?since=1d").status, 200, "to try rules changes nothing");
    let token = bearer(READER);
    let api = ask(addr, "POST", &format!("/api/v1/runs/{run}/approve"), &[("authorization", &token)], "");
    assert_eq!((api.status, api.code()), (403, "read-only".into()));
    assert_eq!(state_of(addr, &run), "awaiting-approval");
}

#[test]
fn who_approved_and_why_is_on_record() {
    let (daemon, addr) = console(&rules());
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    let run = run_of(&daemon, "e-1", "asking");
    let visitor = {
        let answer = log_in_as(addr, ADMIN, "Ada", &[]);
        Visitor { addr, cookie: answer.header("set-cookie").split(';').next().unwrap().to_owned() }
    };
    let page = visitor.get("/approvals").body;
    assert!(page.contains("asking wants to act on db-07") && page.contains("Approve"), "{page}");
    let done = visitor.submit(&format!("/runs/{run}/approve"), "reason=known+issue&back=/approvals");
    assert_eq!((done.status, done.header("location")), (303, "/approvals?done=approved"));
    ended(addr, &run);
    let export = ask(addr, "GET", "/api/v1/audit/export?limit=1000", &[("authorization", &bearer(READER))], "").body;
    let approved = export.lines().find(|line| line.contains("\"approved\"")).unwrap();
    assert!(approved.contains("\"by\":\"Ada at the console\""), "{approved}");
    assert!(approved.contains("\"reason\":\"known issue\""), "{approved}");
    let again = visitor.submit(&format!("/runs/{run}/deny"), "");
    assert_eq!(again.status, 409);
    assert!(again.body.contains("no run"), "{again:?}");
}

#[test]
fn a_token_that_was_replaced_ends_its_sessions_and_lets_nobody_in() {
    let (daemon, addr) = console(UNCONCERNED);
    let (visitor, reader) = (Visitor::log_in(addr, ADMIN), Visitor::log_in(addr, READER));
    let next = "the-next-admin-token-of-the-tests";
    daemon.folder.write("secrets/admin", next, 0o600);
    assert_eq!(visitor.get("/runs").status, 200, "until the reload the old one is in force");
    assert!(daemon.folder.run(&["reload"]).status.success());
    assert_eq!(visitor.get("/runs").status, 303);
    assert_eq!(reader.get("/runs").status, 200, "the other token is what it was");
    assert_eq!(ask(addr, "GET", "/api/v1/status", &[("authorization", &bearer(ADMIN))], "").status, 401);
    assert_eq!(ask(addr, "GET", "/api/v1/status", &[("authorization", &bearer(next))], "").status, 200);
}

#[test]
fn a_restart_ends_every_session() {
    let (daemon, addr) = console(UNCONCERNED);
    let visitor = Visitor::log_in(addr, ADMIN);
    assert_eq!(visitor.get("/").status, 200);
    let _daemon = daemon.stop().start();
    assert_eq!(visitor.get("/").status, 303);
}

#[test]
fn every_answer_carries_the_headers_that_protect_it() {
    let (daemon, addr) = console(&rules());
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    daemon.decided("e-1");
    let visitor = Visitor::log_in(addr, ADMIN);
    let token = bearer(ADMIN);
    let asset = asset_paths(&visitor.get("/")).remove(0);
    let mut answers = vec![log_in(addr, "no-token-of-the-tests-at-all-0000"), ask(addr, "GET", "/login", &[], "")];
    for path in ["/", "/runs", "/nothing", "/events/none", "/events/e-1?ask=never", &asset, "/assets/none"] {
        answers.push(visitor.get(path));
    }
    for path in ["/healthz", "/metrics", "/api/v1/status", "/api/v1/nothing", "/api/v1/openapi.json"] {
        answers.push(ask(addr, "GET", path, &[("authorization", &token)], ""));
        answers.push(ask(addr, "GET", path, &[], ""));
    }
    answers.push(ask(addr, "PUT", "/", &[("authorization", &token)], ""));
    answers.push(ask(addr, "POST", "/api/v1/pause", &[("authorization", &token)], "not json"));
    for answer in answers {
        let policy = answer.header("content-security-policy");
        assert_eq!(
            policy,
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            "{answer:?}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{answer:?}");
        }
        let is_asset = answer.header("cache-control").contains("immutable");
        assert!(is_asset || answer.header("cache-control") == "no-store", "{answer:?}");
    }
}

#[test]
fn the_socket_is_the_owners_and_no_web_site_reaches_through_it() {
    let (daemon, _) = console(UNCONCERNED);
    let socket = daemon.folder.path("data/stanch.sock");
    let ask = |method: &str, path: &str, headers: &str| {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let page = ask("GET", "/engine", "host: localhost:9000\r\n");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("Pause the engine"), "{page}");
    assert!(ask("GET", "/engine", "host: evil.example\r\n").starts_with("HTTP/1.1 421"));
    let other = "host: localhost:9000\r\norigin: http://evil.example\r\n";
    assert!(ask("POST", "/api/v1/pause", other).starts_with("HTTP/1.1 403"));
    assert!(ask("POST", "/pause", "host: localhost:9000\r\n").starts_with("HTTP/1.1 403"), "a form without its token");
    assert!(ask("POST", "/api/v1/pause", "host: stanch\r\n").starts_with("HTTP/1.1 200"));
}
