//! Source addresses, with and without a proxy before us. The peer is always 127.0.0.1.

use super::*;

const ALLOWED: &str = "47.94.95.118";

async fn server(allow: &[&str], proxies: &[&str]) -> Server {
    let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
    Server::start_with(
        |config| {
            config.sources[0].allow_from = nets(allow);
            config.sources[0].trusted_proxies = nets(proxies);
        },
        |_| {},
    )
    .await
}

async fn status(server: &Server, forwarded: &[&str]) -> u16 {
    let lines: String = forwarded.iter().map(|value| format!("X-Forwarded-For: {value}\r\n")).collect();
    server.ask(push_with(&body("e"), &lines)).await.status
}

#[tokio::test]
async fn an_empty_list_lets_nobody_in() {
    let server = server(&[], &[]).await;
    assert_eq!(status(&server, &[]).await, 403);
}

#[tokio::test]
async fn the_header_of_a_peer_that_is_no_trusted_proxy_is_ignored() {
    let closed = server(&["47.94.95.118/32"], &[]).await;
    assert_eq!(status(&closed, &[ALLOWED]).await, 403);
    let open = server(&["127.0.0.1/32"], &[]).await;
    assert_eq!(status(&open, &["203.0.113.1", "garbage"]).await, 200);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_header_decides() {
    let server = server(&["47.94.95.118/32"], &["127.0.0.1/32", "10.0.0.0/8"]).await;
    assert_eq!(status(&server, &[ALLOWED]).await, 200);
    assert_eq!(status(&server, &["::ffff:47.94.95.118"]).await, 200);
    assert_eq!(status(&server, &["203.0.113.1, 47.94.95.118, 10.1.1.1"]).await, 200);
    assert_eq!(status(&server, &["47.94.95.118, 203.0.113.1"]).await, 403);
    assert_eq!(status(&server, &[ALLOWED, "203.0.113.1"]).await, 403);
    assert_eq!(status(&server, &[]).await, 403);
    assert_eq!(status(&server, &[""]).await, 403);
    assert_eq!(status(&server, &["garbage"]).await, 403);
    assert_eq!(status(&server, &["47.94.95.118\u{9}x"]).await, 403);
    assert_eq!(status(&server, &[&vec![ALLOWED; 300].join(",")]).await, 403);
}
