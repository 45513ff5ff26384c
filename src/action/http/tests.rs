//! Real requests to a peer on the loopback.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use wiremock::matchers::{body_json, body_string, header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::action::{Actor, Settings, StopReason, Stopper};
use crate::journal::record::RunId;
use crate::plan::Call;
use crate::report::redact::Redactor;
use crate::rule::step::StatusPattern;

const SECRET: &str = "secret-token-of-the-inventory";

struct Peer {
    server: MockServer,
    settings: Settings,
    timeout: Duration,
}

impl Peer {
    async fn new() -> Self {
        let server = MockServer::start().await;
        let settings = Settings {
            traces: None,
            output_bytes: 64 * 1024,
            flashduty: None,
            run_link: None,
            http_allow: vec![server.address().to_string()],
            redactor: Arc::new(Redactor::new([SECRET]).expect("it builds")),
            own_program: "/proc/self/exe".into(),
            isolation: Default::default(),
            ssh: crate::action::SshSettings::default(),
        };
        Self { server, settings, timeout: Duration::from_secs(60) }
    }

    fn call(&self, path_and_query: &str) -> HttpCall {
        HttpCall {
            method: "GET".into(),
            url: format!("{}{path_and_query}", self.server.uri()),
            authority: self.server.address().to_string(),
            headers: vec![],
            body: None,
        }
    }

    async fn answers(&self, response: ResponseTemplate) {
        Mock::given(method("GET")).respond_with(response).mount(&self.server).await;
    }

    async fn act(&self, call: HttpCall) -> StepResult {
        self.judged(call, None).await
    }

    async fn judged(
        &self,
        call: HttpCall,
        when: Option<&(dyn Fn(Value) -> Result<bool, String> + Sync)>,
    ) -> StepResult {
        let (_stopper, stop) = Stopper::new();
        self.stoppable(call, when, &stop).await
    }

    async fn stoppable(
        &self,
        call: HttpCall,
        when: Option<&(dyn Fn(Value) -> Result<bool, String> + Sync)>,
        stop: &crate::action::Stop,
    ) -> StepResult {
        let attempt = Attempt {
            run: &RunId::new("r-test"),
            environment: &BTreeMap::new(),
            event_body: &Bytes::new(),
            traceparent: None,
            timeout: self.timeout,
            stop,
            live: &crate::action::Live::default(),
            settings: &self.settings,
        };
        let expected = Expected { status: &[StatusPattern::Class(2)], when };
        Actor::new().expect("it is made ready").act(&Call::Http(call), &expected, &attempt).await
    }

    async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.expect("they are recorded")
    }
}

#[tokio::test]
async fn a_request_arrives_as_rendered() {
    let peer = Peer::new().await;
    Mock::given(method("POST"))
        .and(path("/api/a%2Fb"))
        .and(query_param("q", "a b&c"))
        .and(header("x-token", SECRET))
        .and(header("content-type", "application/json"))
        .and(body_json(json!({"host": "db-07", "n": 74_058_170_041_504_i64})))
        .respond_with(ResponseTemplate::new(201).set_body_string("made"))
        .mount(&peer.server)
        .await;
    let mut call = peer.call("/api/a%2Fb?q=a+b%26c");
    call.method = "POST".into();
    call.headers = vec![("X-Token".into(), SECRET.into())];
    call.body = Some(HttpCallBody::Json(json!({"host": "db-07", "n": 74_058_170_041_504_i64})));
    let result = peer.act(call).await;
    assert_eq!((result.end, result.status, &*result.stdout), (StepEnd::Succeeded, Some(201), "made"));
}

#[tokio::test]
async fn a_text_body_arrives_and_a_declared_content_type_stays() {
    let peer = Peer::new().await;
    Mock::given(body_string("{}"))
        .and(header("content-type", "text/x"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&peer.server)
        .await;
    let mut call = peer.call("/");
    call.method = "PUT".into();
    call.headers = vec![("content-type".into(), "text/x".into())];
    call.body = Some(HttpCallBody::Json(json!({})));
    assert_eq!(peer.act(call.clone()).await.end, StepEnd::Succeeded);
    call.body = Some(HttpCallBody::Text("{}".into()));
    assert_eq!(peer.act(call).await.end, StepEnd::Succeeded);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_token_goes_nowhere() {
    let peer = Peer::new().await;
    let elsewhere = MockServer::start().await;
    for status in [301, 302, 303, 307, 308] {
        peer.server.reset().await;
        peer.answers(ResponseTemplate::new(status).insert_header("location", elsewhere.uri())).await;
        let mut call = peer.call("/");
        call.headers = vec![("authorization".into(), format!("Bearer {SECRET}"))];
        let result = peer.act(call).await;
        assert_eq!((result.end, result.status), (StepEnd::Failed, Some(status)));
    }
    assert_eq!(elsewhere.received_requests().await.map(|requests| requests.len()), Some(0));
}

#[tokio::test]
async fn nothing_is_sent_where_the_list_does_not_allow_it() {
    let mut peer = Peer::new().await;
    peer.answers(ResponseTemplate::new(200)).await;
    let (uri, authority) = (peer.server.uri(), peer.server.address().to_string());
    let port = peer.server.address().port();
    let refused = [
        (format!("http://localhost:{port}/"), authority.clone()),
        (format!("http://{authority}@127.0.0.2:{port}/"), authority.clone()),
        (format!("http://user:pw@{authority}/"), authority.clone()),
        (format!("ftp://{authority}/"), authority.clone()),
        ("nonsense".to_owned(), authority.clone()),
        ("http:///".to_owned(), authority.clone()),
    ];
    for (url, authority) in refused {
        let result = peer.act(HttpCall { url: url.clone(), authority, ..peer.call("/") }).await;
        assert_eq!(result.end, StepEnd::Failed, "{url}");
        assert!(result.error.is_some_and(|error| error.starts_with("cannot make the request")), "{url}");
    }
    peer.settings.http_allow = vec![format!("127.0.0.1:{}", port.wrapping_add(1))];
    let result = peer.act(HttpCall { url: uri, ..peer.call("/") }).await;
    assert!(result.error.is_some_and(|error| error.contains("http.allow")));
    assert!(peer.requests().await.is_empty());
}

#[tokio::test]
async fn a_header_that_would_split_the_request_is_a_failure() {
    let peer = Peer::new().await;
    for (name, value) in [("x", "a\r\nb: c"), ("a b", "x"), ("", "x")] {
        let mut call = peer.call("/");
        call.headers = vec![(name.into(), value.into())];
        assert_eq!(peer.act(call).await.end, StepEnd::Failed);
    }
    assert!(peer.requests().await.is_empty());
}

#[tokio::test]
async fn a_slow_peer_is_given_up() {
    let mut peer = Peer::new().await;
    peer.answers(ResponseTemplate::new(200).set_delay(Duration::from_secs(600))).await;
    peer.timeout = Duration::from_millis(100);
    let result = peer.act(peer.call(&format!("/?key={SECRET}&other=1"))).await;
    assert_eq!(result.end, StepEnd::TimedOut);
    assert!(result.error.is_some_and(|error| error.contains("100ms") && !error.contains("other")));
}

#[tokio::test]
async fn a_request_is_given_up_when_the_run_is_stopped() {
    let peer = Peer::new().await;
    peer.answers(ResponseTemplate::new(200).set_delay(Duration::from_secs(600))).await;
    let (stopper, stop) = Stopper::new();
    let (result, ()) = tokio::join!(peer.stoppable(peer.call("/"), None, &stop), async {
        while peer.requests().await.is_empty() {
            tokio::task::yield_now().await;
        }
        stopper.stop(StopReason::Cancelled("by a test".into()));
    });
    assert_eq!((result.end, result.error.as_deref()), (StepEnd::Cancelled, Some("cancelled by a test")));
}

#[tokio::test]
async fn an_unreachable_peer_is_a_failure_without_the_url() {
    let peer = Peer::new().await;
    let call = peer.call(&format!("/path?app_key={SECRET}"));
    drop(peer.server);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("it binds");
    let address = listener.local_addr().expect("it has an address").to_string();
    drop(listener);
    let settings = Settings { http_allow: vec![address.clone()], ..peer.settings };
    let peer = Peer { server: MockServer::start().await, settings, ..peer };
    let url = call.url.replace(&call.authority, &address);
    let result = peer.act(HttpCall { url, authority: address.clone(), ..call }).await;
    let error = result.error.expect("it says why");
    assert!(error.contains(&address) && error.contains("refused"), "{error}");
    assert!(!error.contains("app_key") && !error.contains(SECRET), "{error}");
}

#[tokio::test]
async fn a_large_answer_is_bounded() {
    let mut peer = Peer::new().await;
    peer.settings.output_bytes = 1000;
    peer.answers(ResponseTemplate::new(200).set_body_string("x".repeat(20_000_000))).await;
    let result = peer.act(peer.call("/")).await;
    assert_eq!(result.end, StepEnd::Succeeded);
    assert!(result.stdout.len() < 1100, "{}", result.stdout.len());
    assert!(result.dropped_bytes > 0);
    let result = peer.judged(peer.call("/"), Some(&|_| Ok(true))).await;
    assert_eq!(result.end, StepEnd::Failed, "what was not read whole is not judged");
}

#[tokio::test]
async fn secrets_in_an_answer_are_taken_out() {
    let peer = Peer::new().await;
    peer.answers(ResponseTemplate::new(200).set_body_string(format!("your token is {SECRET}"))).await;
    assert_eq!(peer.act(peer.call("/")).await.stdout, "your token is ***");
}

#[tokio::test]
async fn an_answer_must_be_what_is_expected() {
    let peer = Peer::new().await;
    let response = ResponseTemplate::new(200).set_body_json(json!({"ok": true})).insert_header("X-Kind", "a");
    Mock::given(header_exists("user-agent")).respond_with(response).mount(&peer.server).await;
    let whole = |response: Value| {
        let seen = (&response["status"], &response["json"], &response["headers"]["x-kind"], &response["body"]);
        Ok(seen == (&json!(200), &json!({"ok": true}), &json!("a"), &json!("{\"ok\":true}")))
    };
    assert_eq!(peer.judged(peer.call("/"), Some(&whole)).await.end, StepEnd::Succeeded);
    let result = peer.judged(peer.call("/"), Some(&|_| Ok(false))).await;
    assert_eq!((result.end, result.status, &*result.stdout), (StepEnd::Failed, Some(200), "{\"ok\":true}"));
    let result = peer.judged(peer.call("/"), Some(&|_| Err("no such field".into()))).await;
    assert!(result.error.is_some_and(|error| error.contains("no such field")));
}

#[tokio::test]
async fn what_is_not_json_has_no_json() {
    let peer = Peer::new().await;
    peer.answers(ResponseTemplate::new(200).set_body_string("plain")).await;
    let plain = |response: Value| Ok(response.get("json").is_none());
    assert_eq!(peer.judged(peer.call("/"), Some(&plain)).await.end, StepEnd::Succeeded);
}
