//! Requests whose end is told in two ways, and other means of smuggling one past.

use super::*;

/// A request with the given header lines in the place of its length; the body is a whole push.
fn framed(lines: &str, body: &str) -> String {
    format!(
        "POST /flashduty HTTP/1.1\r\nHost: bastion\r\nX-Stanch-Token: {TOKEN}\r\n\
         Content-Type: application/json\r\n{lines}\r\n{body}"
    )
}

#[tokio::test]
async fn a_request_with_two_framings_is_refused_and_ends_its_connection() {
    let server = Server::start().await;
    let body = body("smuggled");
    let length = body.len();
    let in_chunks = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    for (lines, body) in [
        (format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"), &in_chunks),
        (format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"), &in_chunks),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".into(), &in_chunks),
        ("Transfer-Encoding: chunked, identity\r\n".into(), &in_chunks),
        ("Transfer-Encoding: xchunked\r\n".into(), &in_chunks),
        ("Transfer-Encoding : chunked\r\n".into(), &in_chunks),
        ("Transfer-Encoding:\r\n chunked\r\n".into(), &in_chunks),
        (format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"), &body),
        (format!("Content-Length: {length}\r\nContent-Length: 0\r\n"), &body),
        (format!("Content-Length: {length}, {length}\r\n"), &body),
        (format!("Content-Length: +{length}\r\n"), &body),
        (format!("Content-Length: {length:#x}\r\n"), &body),
    ] {
        let mut client = server.client().await;
        // Whatever follows must not be taken for a request.
        client.send(format!("{}{}", framed(&lines, body), push("after"))).await;
        let reply = client.reply().await;
        assert!((400..500).contains(&reply.status), "{lines}: {reply:?}");
        client.closes().await;
    }
    assert_eq!(server.memory.count(), 0);
}

#[tokio::test]
async fn sound_requests_may_follow_each_other_closely() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send((0..20).map(|nth| push(&format!("e-{nth}"))).collect::<String>()).await;
    for nth in 0..20 {
        let reply = client.reply().await;
        assert_eq!(reply.body, format!(r#"{{"status":"accepted","event_id":"e-{nth}"}}"#));
    }
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.stream.set_nodelay(true).unwrap();
    for byte in format!("{}{}", push("a"), push("b")).as_bytes() {
        client.send([*byte]).await;
    }
    assert_eq!(client.reply().await.status, 200);
    assert_eq!(client.reply().await.status, 200);
    assert_eq!(server.memory.count(), 2);
}

#[tokio::test]
async fn nothing_after_a_chunked_request_counts() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send(format!("{}{}", chunked(&body("first"), 10), push("second"))).await;
    let reply = client.reply().await;
    assert_eq!(reply.status, 200);
    assert!(reply.has("connection: close"));
    client.closes().await;
    assert_eq!(server.memory.count(), 1);
}

#[tokio::test]
async fn malformed_chunks_and_cut_bodies_are_not_taken() {
    let server = Server::start().await;
    let bad = chunked(&body("e"), 10).replacen("\r\na\r\n", "\r\nzz\r\n", 1);
    let whole = push("e");
    let mut in_chunks = chunked(&body("e"), 10);
    in_chunks.truncate(in_chunks.len() - 8);
    for request in [bad.as_str(), &whole[..whole.len() - 5], &in_chunks] {
        let mut client = server.client().await;
        client.send(request).await;
        client.stream.shutdown().await.unwrap();
        client.reply().await.is(400, "body-broken");
        client.closes().await;
    }
    assert_eq!(server.memory.count(), 0);
}

#[tokio::test]
async fn a_sender_that_shuts_its_side_still_gets_its_answer() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send(push("e")).await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.reply().await.status, 200);
    client.closes().await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let server = Server::start().await;
    for more in [format!("X-A: {}\r\n", "a".repeat(HEAD_BYTES_MAX)), "X-A: a\r\n".repeat(200)] {
        let mut client = server.client().await;
        client.stream.write_all(push_with(&body("e"), &more).as_bytes()).await.unwrap();
        assert_eq!(client.reply().await.status, 431);
    }
    assert_eq!(server.memory.count(), 0);
}

#[tokio::test]
async fn http_2_and_tls_on_the_plain_port_are_not_spoken() {
    let server = Server::start().await;
    for bytes in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"] {
        let mut client = server.client().await;
        client.send(bytes).await;
        let mut answer = Vec::new();
        // Answered or not: the connection ends.
        let _ended = client.stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
}
