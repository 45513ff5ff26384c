//! Settings that change while the server runs.

use super::*;

#[tokio::test]
async fn addresses_change_without_a_restart() {
    let server = Server::start().await;
    let mut client = server.client().await;
    assert_eq!(client.ask(push("a")).await.status, 200);
    server.reload(|config| config.sources[0].allow_from = vec!["10.0.0.0/8".parse().unwrap()]);
    client.ask(push("b")).await.is(403, "address-not-allowed");
    server.reload(|_| {});
    assert_eq!(client.ask(push("b")).await.status, 200);
}

#[tokio::test]
async fn a_secret_is_changed_over_with_the_previous_one_still_good() {
    const NEW: &str = "another-secret-of-fair-length";
    let server = Server::start().await;
    let new_file = server.folder.path().join("new");
    std::fs::write(&new_file, NEW).unwrap();
    let change = |keep_previous: bool| {
        let new_file = new_file.clone();
        move |config: &mut Config| {
            let Auth::Header { secret, previous, .. } = &mut config.sources[0].auth else { panic!() };
            let old = std::mem::replace(secret, SecretRef::File(new_file));
            *previous = keep_previous.then_some(old);
        }
    };
    server.reload(change(true));
    assert_eq!(server.ask(push("a")).await.status, 200);
    assert_eq!(server.ask(push("b").replace(TOKEN, NEW)).await.status, 200);
    server.reload(change(false));
    server.ask(push("c")).await.is(401, "not-authenticated");
    assert_eq!(server.ask(push("c").replace(TOKEN, NEW)).await.status, 200);
}

#[tokio::test]
async fn sources_come_and_go() {
    let server = Server::start().await;
    server.ask(push("a").replace("/flashduty", "/other")).await.is(404, "no-such-path");
    server.reload(|config| {
        config.sources[0].path = "/other".into();
        config.sources[0].auth = Auth::None;
    });
    server.ask(push("a")).await.is(404, "no-such-path");
    let bare = push("a").replace("/flashduty", "/other").replace("X-Stanch-Token", "X-Other");
    assert_eq!(server.ask(bare).await.status, 200);
}
