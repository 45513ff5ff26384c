//! Slow, silent and many connections. Nothing here asserts how long something takes, only that it comes.

use super::*;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(600);

/// Waits that are all too long to matter, but for the one that is under test.
fn only(change: impl FnOnce(&mut Timeouts)) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.timeouts = Timeouts { head: LONG, request: LONG, idle: LONG, write: LONG, durable: LONG, drain: LONG };
        change(&mut settings.timeouts);
    }
}

#[tokio::test]
async fn a_head_must_come_in_time() {
    let server = Server::start_with(|_| {}, only(|timeouts| timeouts.head = SHORT)).await;
    for begun in ["", "\r\n", "POST", "POST /flashduty HTTP/1.1\r\nHost: bastion\r\nX-A: "] {
        let mut client = server.client().await;
        client.send(begun).await;
        client.closes().await;
    }
}

#[tokio::test]
async fn a_later_head_must_come_in_time_as_well() {
    let server = Server::start_with(|_| {}, only(|timeouts| timeouts.head = Duration::from_millis(300))).await;
    let mut client = server.client().await;
    assert_eq!(client.ask(push("e")).await.status, 200);
    client.send("POST /flash").await;
    client.closes().await;
}

#[tokio::test]
async fn dripping_a_head_does_not_prolong_it() {
    let server = Server::start_with(|_| {}, only(|timeouts| timeouts.head = SHORT)).await;
    let mut client = server.client().await;
    client.send("POST /flashduty HTTP/1.1\r\n").await;
    let dripping = async {
        while client.stream.write_all(b"X-A: a\r\n").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), dripping).await.expect("the connection is still open");
}

#[tokio::test]
async fn a_body_must_come_in_time() {
    let server = Server::start_with(|_| {}, only(|timeouts| timeouts.request = SHORT)).await;
    let whole = push("e");
    for request in [&whole[..whole.len() - 1], &chunked(&body("e"), 10)[..230]] {
        let mut client = server.client().await;
        client.ask(request).await.is(408, "too-slow");
        client.closes().await;
    }
    // Nobody waits longer for a body that is refused anyway.
    let refused = push("e").replace(TOKEN, "wrong");
    let mut client = server.client().await;
    client.ask(&refused[..refused.len() - 1]).await.is(401, "not-authenticated");
    client.closes().await;
    assert_eq!(server.memory.count(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = Server::start_with(|_| {}, only(|timeouts| timeouts.idle = SHORT)).await;
    let mut client = server.client().await;
    assert_eq!(client.ask(push("e")).await.status, 200);
    client.closes().await;
}

#[tokio::test]
async fn the_wait_for_a_head_does_not_end_an_idle_connection() {
    let server = Server::start_with(|_| {}, only(|timeouts| timeouts.head = SHORT)).await;
    let mut client = server.client().await;
    assert_eq!(client.ask(push("a")).await.status, 200);
    // Longer than the head may take: the pause between requests has its own limit.
    tokio::time::sleep(SHORT * 4).await;
    assert_eq!(client.ask(push("b")).await.status, 200);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_dropped() {
    let server = Server::start_with(|_| {}, only(|timeouts| timeouts.write = SHORT)).await;
    let mut client = server.client().await;
    let many = push("same").repeat(1000);
    // Written until the server, unable to answer, stops reading and then gives up.
    let flooding = async { while client.stream.write_all(many.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(60), flooding).await.expect("the connection is still open");
}

#[tokio::test]
async fn at_the_cap_the_longest_waiting_makes_room() {
    let server = Server::start_with(|config| config.limits.connections = 3, only(|_| {})).await;
    let mut used = server.client().await;
    assert_eq!(used.ask(push("a")).await.status, 200);
    let mut silent = server.client().await;
    let mut slow = server.client().await;
    slow.send("POST /flashduty HTTP/1.1\r\n").await;
    // The one that is used has waited least, once it was used again.
    assert_eq!(used.ask(push("b")).await.status, 200);
    assert_eq!(server.ask(push("c")).await.status, 200);
    silent.closes().await;
    assert_eq!(used.ask(push("d")).await.status, 200);
    let _another = server.client().await;
    let _and_another = server.client().await;
    slow.closes().await;
    // An answer given does not protect for ever.
    let _newer = [server.client().await, server.client().await];
    used.closes().await;
    while server.told.closed.lock().unwrap().len() < 3 {
        server.told.news.notified().await;
    }
    assert!(server.told.closed.lock().unwrap().iter().all(|why| *why == Closed::Crowded));
}

#[tokio::test]
async fn one_that_is_being_answered_does_not_make_room() {
    let server = Server::start_with(|config| config.limits.connections = 1, only(|_| {})).await;
    let (go_on, waiting) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    server.memory.set(Mood::Waits { go_on: Arc::clone(&go_on), waiting: Arc::clone(&waiting) });
    let mut answering = server.client().await;
    answering.send(push("e")).await;
    waiting.notified().await;
    server.client().await.closes().await;
    go_on.notify_one();
    assert_eq!(answering.reply().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_slow_and_idle_sockets_keep_nobody_out() {
    // Three descriptors each would be needed if the server kept them all; it keeps no more than its cap.
    const SOCKETS: usize = 2000;
    let server = Server::start_with(|config| config.limits.connections = 1024, only(|_| {})).await;
    let mut sockets = Vec::new();
    for nth in 0..SOCKETS {
        let Ok(mut stream) = TcpStream::connect(server.address).await else { break };
        if nth % 2 == 0 {
            // The server may have closed it by now.
            let _sent = stream.write_all(b"POST /flashduty HTTP/1.1\r\nX-A: ").await;
        }
        sockets.push(stream);
        if nth % 100 == 0 {
            assert_eq!(server.ask(push(&format!("e-{nth}"))).await.status, 200);
        }
    }
    assert!(sockets.len() > 200, "too few descriptors for this test: {}", sockets.len());
    assert_eq!(server.ask(push("last")).await.status, 200);
}
