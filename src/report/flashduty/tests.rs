//! The client against the fake Flashduty.

use serde_json::json;

use super::*;
use crate::config::secret::SecretRef;
use crate::fake_flashduty::{Fake, Fault};

const APP_KEY: &str = "an-app-key-that-nobody-may-see";

async fn fake() -> (Fake, Client) {
    let fake = Fake::start("127.0.0.1:0".parse().unwrap(), APP_KEY).await.unwrap();
    let client = client(&fake.url());
    (fake, client)
}

fn client(api: &str) -> Client {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, APP_KEY).unwrap();
    let key = SecretRef::File(file).resolve().unwrap();
    Client::new(api, key, Arc::new(Pace::new())).unwrap()
}

fn open(fake: &Fake, id: &str) {
    let incident = json!({ "incident_id": id, "alerts": [ { "alert_id": "a1" } ] });
    fake.open(incident.as_object().unwrap().clone());
}

#[tokio::test]
async fn every_call_of_the_api_is_understood() {
    let (fake, client) = fake().await;
    open(&fake, "i1");
    assert_eq!(client.info("i1").await.unwrap()["progress"], "Triggered");
    let text = |text: &str| Some(text.to_owned());
    for call in [
        WriteBackCall::Ack,
        WriteBackCall::Comment { comment: "x".into() },
        WriteBackCall::Snooze { minutes: 30 },
        WriteBackCall::Field { name: "f".into(), value: json!([1, "a"]) },
        WriteBackCall::Resolve { root_cause: text("why"), resolution: None },
    ] {
        let answer = client.write("i1", &call).await.unwrap();
        assert!(answer.request_id.is_some(), "{}", call.name());
    }
    let incident = fake.incident("i1").unwrap();
    assert_eq!((&incident["progress"], &incident["root_cause"]), (&json!("Closed"), &json!("why")));
    client.write("i1", &WriteBackCall::Reopen).await.unwrap();
    assert_eq!(client.info("i1").await.unwrap()["progress"], "Triggered");
    assert_eq!(client.alerts("i1", 1).await.unwrap().items, [json!({ "alert_id": "a1" })]);
    let now = crate::clock::wall_now().as_secs();
    let page = client.open_incidents(now - 60, now + 60, 1).await.unwrap();
    assert_eq!((page.items.len(), page.has_next_page), (1, false));
}

#[tokio::test]
async fn a_question_is_repeated_and_a_change_is_not() {
    let (fake, client) = fake().await;
    open(&fake, "i1");
    fake.fail_next([Some(Fault::TooFrequent)]);
    assert!(client.info("i1").await.is_ok());
    assert_eq!(fake.seen().len(), 2);
    fake.fail_next([Some(Fault::Internal)]);
    let error = client.write("i1", &WriteBackCall::Ack).await.unwrap_err();
    assert!(error.is_for_now() && error.request_id() == Some("fake-fault"), "{error}");
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn errors_tell_whether_anything_was_done_and_never_the_key() {
    let (fake, client_of_fake) = fake().await;
    open(&fake, "i1");
    let comment = WriteBackCall::Comment { comment: "x".into() };
    fake.fail_next([Some(Fault::DropBefore), Some(Fault::DropAfter)]);
    for _ in 0..2 {
        let lost = client_of_fake.write("i1", &comment).await.unwrap_err();
        assert!(matches!(lost, CallError::NoAnswer { .. }), "{lost}");
        assert!(!format!("{lost} {lost:?}").contains(APP_KEY), "{lost:?}");
    }
    let url = fake.url();
    drop((fake, client_of_fake));
    // The task that listened is gone once its port can be taken again.
    let addr = url.trim_start_matches("http://").to_owned();
    while tokio::net::TcpStream::connect(&addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let away = client(&url).write("i1", &comment).await.unwrap_err();
    assert!(matches!(away, CallError::NotReached { .. }), "{away}");
    assert!(!format!("{away} {away:?} {:?}", client(&url)).contains(APP_KEY), "{away:?}");
}

#[test]
fn answers_are_read_by_status_and_envelope() {
    let read = |status, body: &str| answer::read(status, body.as_bytes());
    let answered = read(200, r#"{"request_id":"r","data":{"a":1}}"#).unwrap();
    assert_eq!((answered.request_id.as_deref(), answered.data), (Some("r"), json!({ "a": 1 })));
    assert!(read(200, "{}").is_ok());
    let refused = |error: CallError| matches!(error, CallError::Refused { .. }).then(|| error.is_for_now());
    for (status, body, for_now) in [
        (200, r#"{"error":{"code":"AccessDenied","message":"no"}}"#, Some(false)),
        (400, r#"{"error":{"code":"InvalidParameter","message":"x"}}"#, Some(false)),
        (401, "", Some(false)),
        (429, "busy", Some(true)),
        (500, "", Some(true)),
        (503, "<html>", Some(true)),
        // A gateway does not know what became of it.
        (502, "<html>", None),
        (504, "", None),
        (200, "<html>", None),
    ] {
        assert_eq!(refused(read(status, body).unwrap_err()), for_now, "{status} {body}");
    }
}
