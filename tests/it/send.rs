//! `stanch send` posts as Flashduty does, and tells its secret to nobody else.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::program::{both, stanch, stdout};

const SECRET: &str = "a-secret-of-these-tests";

/// What a listener got.
struct Request {
    head: String,
    body: Value,
}

/// Takes one request and answers it.
fn listener(answer: &'static str) -> (String, JoinHandle<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let taken = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let request = read(&stream);
        (&stream).write_all(answer.as_bytes()).unwrap();
        request
    });
    (addr, taken)
}

fn read(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "a whole head: {head}");
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    Request { head, body: serde_json::from_slice(&body).unwrap() }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 21\r\nconnection: close\r\n\r\n{\"status\":\"accepted\"}";

/// A folder with a config that listens on `listen`, and a payload.
fn folder(listen: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let config = format!(
        "listen: {listen}\nsources:\n  - name: flashduty\n    path: /flashduty\n    auth: {{ header: X-Stanch-Token, secret: {{ file: token }} }}\n"
    );
    fs::write(place.path().join("stanch.yaml"), config).unwrap();
    fs::write(place.path().join("token"), SECRET).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(place.path().join("token"), mode).unwrap();
    let payload = json!({
        "event_id": "recorded", "event_time": 1_700_000_000_000_i64, "event_type": "i_new",
        "incident": { "incident_id": "655f1c2e8a1b2c3d4e5f6071", "account_id": 74_058_170_041_504_i64, "labels": {} }
    });
    fs::write(place.path().join("push.json"), payload.to_string()).unwrap();
    place
}

fn send(folder: &Path, arguments: &[&str]) -> Output {
    stanch(folder).args(["send", "push.json"]).args(arguments).output().unwrap()
}

#[test]
fn a_push_to_the_own_listener_is_fresh_and_carries_the_secret() {
    let (addr, taken) = listener(OK);
    let place = folder(&addr);
    let output = send(place.path(), &["--set", "incident.labels.app.io/port=8080", "--set", "incident.alert_cnt=3"]);
    let request = taken.join().unwrap();

    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(stdout(&output).contains("200 OK") && stdout(&output).contains("accepted"), "{}", both(&output));
    assert!(!both(&output).contains(SECRET));
    assert!(request.head.starts_with("post /flashduty http/1.1\r\n"), "{}", request.head);
    assert!(request.head.contains("content-type: application/json\r\n"), "{}", request.head);
    assert!(request.head.contains(&format!("x-stanch-token: {SECRET}\r\n")), "{}", request.head);
    assert_ne!(request.body["event_id"], "recorded");
    assert!(request.body["event_time"].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(request.body["incident"]["labels"]["app.io/port"], "8080");
    assert_eq!(request.body["incident"]["alert_cnt"], 3);
    assert_eq!(request.body["incident"]["account_id"], 74_058_170_041_504_i64);
}

#[test]
fn kept_a_push_goes_out_as_it_was_recorded() {
    let (addr, taken) = listener(OK);
    let place = folder(&addr);
    let output = send(place.path(), &["--keep"]);
    let request = taken.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert_eq!(request.body["event_id"], "recorded");
    assert_eq!(request.body["event_time"], 1_700_000_000_000_i64);
}

#[test]
fn another_listener_is_not_told_the_secret() {
    let (addr, taken) = listener(OK);
    let place = folder("127.0.0.1:9");
    let url = format!("http://{addr}/flashduty?a=b");
    let output = send(place.path(), &["--url", &url, "--header", "X-Other: one"]);
    let request = taken.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(request.head.starts_with("post /flashduty?a=b "), "{}", request.head);
    assert!(request.head.contains("x-other: one\r\n"), "{}", request.head);
    assert!(!request.head.contains("x-stanch-token"), "{}", request.head);
}

#[test]
fn a_url_is_enough_where_there_is_no_config() {
    let (addr, taken) = listener(OK);
    let place = folder(&addr);
    fs::remove_file(place.path().join("stanch.yaml")).unwrap();
    let output = send(place.path(), &["--url", &format!("http://{addr}/hook")]);
    taken.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
}

#[test]
fn only_200_is_a_success_and_redirects_are_not_followed() {
    for answer in [
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
        // The far side would be asked a second time, which nobody answers.
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ] {
        let (addr, taken) = listener(answer);
        let place = folder(&addr);
        let output = send(place.path(), &[]);
        taken.join().unwrap();
        assert_eq!(output.status.code(), Some(1), "{answer}: {}", both(&output));
    }
}

#[test]
fn what_cannot_be_sent_is_said_with_its_exit_code() {
    // Bound and let go: nobody listens there.
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let place = folder(&addr);
    let unreachable = send(place.path(), &[]);
    assert_eq!(unreachable.status.code(), Some(4), "{}", both(&unreachable));
    assert!(both(&unreachable).contains(&addr), "{}", both(&unreachable));

    for (arguments, code) in [
        (&["--set", "incident.labels"][..], 2),
        (&["--set", "incident.incident_id.x=1"], 2),
        (&["--header", "no colon"], 2),
        (&["--url", "not a url"], 2),
        (&["-c", "absent.yaml"], 3),
    ] {
        let output = send(place.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", both(&output));
    }
    fs::write(place.path().join("push.json"), "not json").unwrap();
    let output = send(place.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
}
