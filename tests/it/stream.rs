//! The stream of what happens: everything in order, resumable, and no harm to anybody where a client is slow.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::{UNCONCERNED, incident, marking_rule, wait_for};
use crate::visitor::{ADMIN, READER, ask, bearer, console, read_head};

/// An open stream.
struct Listener {
    reader: BufReader<TcpStream>,
}

/// One event of it.
#[derive(Debug, Clone, PartialEq)]
struct Heard {
    id: u64,
    kind: String,
    data: Value,
}

impl Listener {
    fn open(addr: SocketAddr, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let token = bearer(READER);
        let head = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nauthorization: {token}\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let (status, headers) = read_head(&mut reader);
        assert_eq!(status, 200, "{headers:?}");
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-cache");
        let mut listener = Self { reader };
        // The first line says that it is listened to: from here on nothing is missed.
        assert!(listener.line().starts_with(':'));
        listener
    }

    /// The next line of content, the sizes of chunks left out.
    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.reader.read_line(&mut line).unwrap() > 0, "the stream ended");
            let line = line.trim_end().to_owned();
            let is_size = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !line.is_empty() && !is_size {
                return line;
            }
        }
    }

    fn next(&mut self) -> Heard {
        // The fields of an event come in any order.
        let (mut id, mut kind, mut data) = (None, None, None);
        loop {
            let line = self.line();
            match line.split_once(':') {
                Some(("id", text)) => id = Some(text.trim().parse().unwrap()),
                Some(("event", text)) => kind = Some(text.trim().to_owned()),
                Some(("data", text)) => data = Some(serde_json::from_str(text).unwrap()),
                _ => {}
            }
            if let (Some(id), Some(kind), Some(data)) = (id, &kind, &data) {
                return Heard { id, kind: kind.clone(), data: Value::clone(data) };
            }
        }
    }

    fn until(&mut self, kind: &str) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            heard.push(self.next());
            if heard.last().unwrap().kind == kind {
                return heard;
            }
        }
    }
}

#[test]
fn everything_that_happens_is_told_in_order_and_can_be_told_again() {
    let (daemon, addr) = console(&format!("rules:\n{}", marking_rule("mark", "")));
    let mut listener = Listener::open(addr, "/api/v1/stream", "");
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    let heard = listener.until("run-ended");
    let kinds: Vec<&str> = heard.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["received", "decided", "run-intended", "step-started", "step-ended", "run-ended"]);
    assert!(heard.windows(2).all(|two| two[0].id < two[1].id), "{heard:?}");
    assert_eq!(heard[0].data["record"]["event"], "e-1");
    assert_eq!(heard[0].data["seq"], heard[0].id);
    assert_eq!(heard[5].data["record"]["end"], "succeeded");

    let mut again = Listener::open(addr, "/api/v1/stream", &format!("last-event-id: {}\r\n", heard[1].id));
    assert_eq!(again.until("run-ended"), heard[2..]);
    let mut asked = Listener::open(addr, &format!("/api/v1/stream?after={}", heard[3].id), "");
    assert_eq!(asked.until("run-ended"), heard[4..]);
}

#[test]
fn a_client_that_was_away_over_a_restart_goes_on_where_it_was() {
    let (daemon, addr) = console(UNCONCERNED);
    let mut listener = Listener::open(addr, "/api/v1/stream", "");
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    let last = listener.next();
    let folder = daemon.stop();
    let daemon = folder.start();
    daemon.accept(&incident("e-2", "5f0000000000000000000002"));
    let mut again = Listener::open(addr, "/api/v1/stream", &format!("last-event-id: {}\r\n", last.id));
    let heard = again.until("received");
    let kinds: Vec<&str> = heard.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["decided", "stopped", "started", "received"], "{heard:?}");
    assert_eq!(heard.last().unwrap().data["record"]["event"], "e-2");
}

#[test]
fn streams_are_bounded_and_one_that_nobody_reads_holds_nothing_up() {
    let (daemon, addr) = console(UNCONCERNED);
    let deaf: Vec<Listener> = (0..16).map(|_| Listener::open(addr, "/api/v1/stream?after=0", "")).collect();
    let refused = ask(addr, "GET", "/api/v1/stream", &[("authorization", &bearer(ADMIN))], "");
    assert_eq!((refused.status, refused.code()), (503, "too-many-streams".into()));
    for nth in 0..200 {
        daemon.accept(&incident(&format!("e-{nth}"), "5f0000000000000000000001"));
    }
    daemon.decided("e-199");
    drop(deaf);
    // Whoever goes gives their place back.
    wait_for("a place for a stream", || {
        let mut stream = TcpStream::connect(addr).unwrap();
        let head = format!("GET /api/v1/stream HTTP/1.1\r\nhost: {addr}\r\nauthorization: {}\r\n\r\n", bearer(READER));
        stream.write_all(head.as_bytes()).unwrap();
        match read_head(&mut BufReader::new(stream)).0 {
            200 => Ok(()),
            other => Err(other.to_string()),
        }
    });
}

#[test]
fn what_is_no_number_of_the_journal_is_refused() {
    let (_daemon, addr) = console(UNCONCERNED);
    let token = bearer(READER);
    for (path, header) in [("/api/v1/stream?after=x", ""), ("/api/v1/stream?since=1", ""), ("/api/v1/stream", "x")] {
        let mut headers = vec![("authorization", &*token)];
        if !header.is_empty() {
            headers.push(("last-event-id", header));
        }
        assert_eq!(ask(addr, "GET", path, &headers, "").status, 400, "{path} {header}");
    }
}
