//! Every row of the table of answers, and the order of the checks.

use super::*;

#[tokio::test]
async fn a_push_is_accepted_once_and_its_retry_is_a_duplicate() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let first = client.ask(push("e-1")).await;
    assert_eq!((first.status, first.body.as_str()), (200, r#"{"status":"accepted","event_id":"e-1"}"#));
    assert!(first.has("content-type: application/json"));
    let retry = client.ask(push("e-1")).await;
    assert_eq!((retry.status, retry.body.as_str()), (200, r#"{"status":"duplicate","event_id":"e-1"}"#));
    let other = client.ask(push_with(&body("e-1").replace("i_new", "i_ack"), "")).await;
    other.is(409, "conflict");

    let taken = server.memory.taken.lock().unwrap();
    let event = &taken[&EventId::new("e-1")];
    assert_eq!(event.body, body("e-1").as_bytes());
    assert_eq!((&*event.source, event.received_at), ("flashduty", NOW));
}

#[tokio::test]
async fn the_observer_is_told_of_each_answer() {
    let server = Server::start().await;
    server.ask(push("e-1")).await;
    server.ask("GET /nowhere HTTP/1.1\r\n\r\n").await;
    let source = || Some("flashduty".to_owned());
    assert_eq!(
        *server.told.answers.lock().unwrap(),
        [(source(), "i_new".to_owned(), 200, "accepted"), (None, String::new(), 404, "no-such-path")]
    );
}

#[tokio::test]
async fn only_post_to_the_path_of_a_source_is_answered() {
    let server = Server::start().await;
    for path in ["/", "/flashduty/", "/Flashduty", "/flashduty/x", "//flashduty", "/%66lashduty", "/flashdut"] {
        server.ask(push("e").replace("/flashduty?a=a", path)).await.is(404, "no-such-path");
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        let reply = server.ask(push("e").replacen("POST", method, 1)).await;
        reply.is(405, "method-not-allowed");
        assert!(reply.has("allow: POST"));
    }
    let head = "HEAD /flashduty HTTP/1.1\r\nHost: bastion\r\nConnection: close\r\n\r\n";
    let mut client = server.client().await;
    client.send(head).await;
    let mut reply = String::new();
    client.stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 405"), "{reply}");
    for query in ["", "?", "?a=a&b=%zz", "?a=b?c"] {
        assert_eq!(server.ask(push(query.len().to_string().as_str()).replace("?a=a", query)).await.status, 200);
    }
}

#[tokio::test]
async fn the_secret_must_be_there_exactly_once() {
    let server = Server::start().await;
    let line = format!("X-Stanch-Token: {TOKEN}\r\n");
    for wrong in [
        String::new(),
        "X-Stanch-Token:\r\n".into(),
        format!("{line}{line}"),
        format!("{line}X-Stanch-Token: wrong\r\n"),
        format!("X-Stanch-Token: wrong\r\n{line}"),
        format!("X-Stanch-Token: {TOKEN}x\r\n"),
        format!("X-Stanch-Token: {}\r\n", &TOKEN[1..]),
        format!("X-Stanch-Token: {TOKEN}, {TOKEN}\r\n"),
        format!("X-Stanch-Token: Bearer {TOKEN}\r\n"),
        format!("Authorization: {TOKEN}\r\n"),
    ] {
        server.ask(push("e").replace(&line, &wrong)).await.is(401, "not-authenticated");
    }
    assert_eq!(server.memory.count(), 0);
    let other_case = line.replace("X-Stanch-Token", "x-STANCH-token");
    assert_eq!(server.ask(push("e").replace(&line, &other_case)).await.status, 200);
}

#[tokio::test]
async fn anything_but_plain_json_is_refused() {
    let server = Server::start().await;
    let line = "Content-Type: application/json\r\n";
    for wrong in ["", "Content-Type: text/plain\r\n", "Content-Type: multipart/form-data; boundary=x\r\n"] {
        server.ask(push("e").replace(line, wrong)).await.is(415, "content-type");
    }
    server.ask(push_with(&body("e"), line)).await.is(415, "content-type");
    for encoding in ["gzip", "deflate", "br", "identity, gzip"] {
        server
            .ask(push_with(&body("e"), &format!("Content-Encoding: {encoding}\r\n")))
            .await
            .is(415, "content-encoding");
    }
    assert_eq!(server.memory.count(), 0);
    let charset = "Content-Type: application/json; charset=utf-8\r\n";
    assert_eq!(server.ask(push("e").replace(line, charset)).await.status, 200);
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_however_it_is_sent() {
    let server = Server::start().await;
    let padded = |bytes: usize| format!("{}{}", body("big"), " ".repeat(bytes - body("big").len()));
    for request in [push_with(&padded(4097), ""), push_with(&padded(200_000), ""), chunked(&padded(4097), 1000)] {
        let mut client = server.client().await;
        let reply = client.ask(request).await;
        reply.is(413, "too-large");
        assert!(reply.has("connection: close"));
        client.closes().await;
    }
    // Nothing of a body that is announced as huge is waited for.
    let huge = push_with("", "").replace("Content-Length: 0", "Content-Length: 99999999999");
    server.ask(huge).await.is(413, "too-large");
    assert_eq!(server.memory.count(), 0);
    assert_eq!(server.ask(push_with(&padded(4096), "")).await.status, 200);
    assert_eq!(server.ask(chunked(&padded(4096), 700)).await.body, r#"{"status":"duplicate","event_id":"big"}"#);
}

#[tokio::test]
async fn bodies_that_are_no_push_are_refused() {
    let server = Server::start().await;
    let deep = format!(r#"{{"x":{}}}"#, "[".repeat(1000));
    for (body, code) in [
        ("", "not-json"),
        ("{", "not-json"),
        (r#"{"event_id":"a","event_id":"a"}"#, "duplicate-key"),
        (r#"{"event_id":"{{id}}","incident":{"incident_id":"i"}}"#, "bad-id"),
        (r#"{"event_id":"e"}"#, "no-subject"),
        (deep.as_str(), "too-deep"),
    ] {
        server.ask(push_with(body, "")).await.is(400, code);
    }
    let mut bad_utf8 = push_with(&body("e-X"), "").into_bytes();
    let at = bad_utf8.len() - 4;
    bad_utf8[at] = 0xff;
    server.ask(bad_utf8).await.is(400, "not-utf8");
    assert_eq!(server.memory.count(), 0);
}

#[tokio::test]
async fn a_push_without_an_id_gets_one_from_its_body() {
    let server = Server::start().await;
    let body = r#"{"incident":{"incident_id":"i1"}}"#;
    assert!(server.ask(push_with(body, "")).await.body.contains(r#""accepted","event_id":"body-"#));
    assert!(server.ask(push_with(body, "")).await.body.contains(r#""duplicate","event_id":"body-"#));
}

#[tokio::test]
async fn a_journal_that_does_not_take_it_means_503() {
    let server = Server::start_with(|_| {}, |settings| settings.timeouts.durable = Duration::from_millis(20)).await;
    let closed = Refused::Closed { reason: "fsync of /data/journal.db: EIO".into() };
    for (mood, code) in [
        (Mood::Refuses(Refused::Overloaded { waiting: 9 }), "overloaded"),
        (Mood::Refuses(closed), "journal-closed"),
        (Mood::Hangs, "not-durable-in-time"),
    ] {
        server.memory.set(mood);
        let reply = server.ask(push("e")).await;
        reply.is(503, code);
        assert!(reply.has("retry-after: 2"));
        assert!(!reply.body.contains("/data"), "nothing of our disk is for the sender: {}", reply.body);
    }
    server.memory.set(Mood::Takes);
    assert_eq!(server.ask(push("e")).await.status, 200);
}

#[tokio::test]
async fn the_checks_are_asked_in_the_documented_order() {
    let server =
        Server::start_with(|config| config.sources[0].allow_from = vec!["10.0.0.0/8".parse().unwrap()], |_| {}).await;
    // Everything is wrong with it; each reload puts right what objected.
    let all_wrong = "POST /flashduty HTTP/1.1\r\nHost: bastion\r\nContent-Length: 5000\r\n";
    let ask = async |more: &str| server.ask(format!("{all_wrong}{more}\r\n{}", "x".repeat(5000))).await;
    ask("").await.is(403, "address-not-allowed");
    server.reload(|_| {});
    ask("").await.is(401, "not-authenticated");
    let token = format!("X-Stanch-Token: {TOKEN}\r\n");
    ask(&token).await.is(415, "content-type");
    ask(&format!("{token}Content-Type: application/json\r\n")).await.is(413, "too-large");
    server.reload(|config| config.limits.body_bytes = 5000);
    ask(&format!("{token}Content-Type: application/json\r\n")).await.is(400, "not-json");
}

#[tokio::test]
async fn a_refused_request_leaves_its_connection_usable() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.ask(push("e").replace(TOKEN, "wrong")).await.is(401, "not-authenticated");
    client.ask(push("e").replace("/flashduty", "/nowhere")).await.is(404, "no-such-path");
    client.ask(push_with("{", "")).await.is(400, "not-json");
    assert_eq!(client.ask(push("e")).await.status, 200);
}

#[tokio::test]
async fn nothing_is_compressed() {
    let server = Server::start().await;
    let reply = server.ask(push_with(&body("e"), "Accept-Encoding: gzip, br, deflate\r\n")).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.head.to_ascii_lowercase().contains("content-encoding"));
}

#[tokio::test]
async fn expect_continue_is_honoured_only_for_what_will_be_read() {
    let server = Server::start().await;
    let whole = push_with(&body("e"), "Expect: 100-continue\r\n");
    let (head, rest) = whole.split_at(whole.len() - body("e").len());
    let mut client = server.client().await;
    assert_eq!(client.ask(head).await.status, 100);
    assert_eq!(client.ask(rest).await.status, 200);
    server.ask(head.replace(TOKEN, "wrong")).await.is(401, "not-authenticated");
}

#[tokio::test]
async fn a_panic_is_answered_500_and_the_server_goes_on() {
    let server = Server::start().await;
    server.memory.set(Mood::Panics);
    let mut client = server.client().await;
    client.ask(push("e")).await.is(500, "internal");
    client.closes().await;
    server.memory.set(Mood::Takes);
    assert_eq!(server.ask(push("e")).await.status, 200);
    assert_eq!(server.told.answers.lock().unwrap()[0].3, "internal");
}

#[tokio::test]
async fn a_hundred_equal_pushes_at_once_are_one() {
    let server = Arc::new(Server::start_with(|config| config.limits.connections = 200, |_| {}).await);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let server = Arc::clone(&server);
        asking.spawn(async move { server.ask(push("same")).await.body });
    }
    let replies = asking.join_all().await;
    assert_eq!(replies.iter().filter(|reply| reply.contains("accepted")).count(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.contains("duplicate")).count(), 99);
}
