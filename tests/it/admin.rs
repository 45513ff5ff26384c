//! The admin interface over its socket: what leads nowhere says so, and a request without a body means the defaults.

use std::path::Path;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use stanch::config::load::load as load_config;
use stanch::engine::{Engine, Options};
use stanch::{admin, rule};
use tokio::sync::watch;

const CONFIG: &str = "sources: [ { name: a, path: /a, auth: none } ]\nlisten: 127.0.0.1:0\n";

/// Starts an engine and its admin interface in `folder`; gives a client of the socket, and what stops them.
async fn start(folder: &Path) -> (Client, impl AsyncFnOnce()) {
    std::fs::create_dir(folder.join("rules")).unwrap();
    std::fs::write(folder.join("stanch.yaml"), CONFIG).unwrap();
    let config = load_config(&folder.join("stanch.yaml")).unwrap().config;
    let rules = rule::load::load(&config, 1).set.unwrap();
    let admin_config = config.admin.clone();
    let engine = Engine::start(config, rules, Options::of_reader()).await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let served = admin::serve(&admin_config, engine.handle(), stopping).await.unwrap();
    let client = Client::builder().unix_socket(admin_config.socket.as_path()).no_proxy().build().unwrap();
    let end = async move || {
        stop.send_replace(true);
        served.ended().await;
        engine.stop(std::time::Duration::ZERO, std::future::pending()).await;
    };
    (client, end)
}

async fn ask(client: &Client, method: Method, path: &str) -> (StatusCode, Value) {
    let answer = client.request(method, format!("http://stanch{path}")).send().await.unwrap();
    let status = answer.status();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_methods_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (client, end) = start(folder.path()).await;
    for (method, path, status, code) in [
        (Method::GET, "/api/v1/nothing", 404, "not-found"),
        (Method::POST, "/api/v1/nothing", 404, "not-found"),
        (Method::GET, "/nothing", 404, "not-found"),
        (Method::GET, "/api/v1/runs/r-none", 404, "not-found"),
        (Method::POST, "/api/v1/runs/r-none/praise", 404, "not-found"),
        (Method::GET, "/api/v1/pause", 405, "method-not-allowed"),
        (Method::POST, "/api/v1/events", 405, "method-not-allowed"),
        (Method::POST, "/api/v1/runs/r-none/cancel", 409, "cannot"),
    ] {
        let (found, body) = ask(&client, method.clone(), path).await;
        assert_eq!((found.as_u16(), &body["error"]["code"]), (status, &code.into()), "{method} {path}: {body}");
    }
    end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_body_means_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let (client, end) = start(folder.path()).await;
    assert_eq!(ask(&client, Method::POST, "/api/v1/pause").await.0, StatusCode::OK);
    let (_, status) = ask(&client, Method::GET, "/api/v1/status").await;
    assert!(status["paused"].is_object(), "{status}");
    assert_eq!(ask(&client, Method::POST, "/api/v1/resume").await.0, StatusCode::OK);
    let (status, reloaded) = ask(&client, Method::POST, "/api/v1/reload").await;
    assert_eq!((status, &reloaded["generation"]), (StatusCode::OK, &2.into()), "{reloaded}");
    end().await;
}
