//! The receiver over real sockets, with a journal in memory.

mod addresses;
mod answers;
mod connections;
mod framing;
mod reload;
mod stopping;
mod tls;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::clock::{ManualClock, Timestamp};
use crate::config::secret::SecretRef;
use crate::config::{Admin, Auth, Config, Limits, Log, LogFormat, Retention, Source};
use crate::event::{Event, EventId};
use crate::journal::{Admitted, Refused};

pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);

/// A config with one source, open to loopback, whose secret is in `folder`.
pub(super) fn config(folder: &Path) -> Config {
    use std::os::unix::fs::PermissionsExt;
    let secret = folder.join("token");
    std::fs::write(&secret, TOKEN).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    Config {
        traces: None,
        file: folder.join("stanch.yaml"),
        base: folder.into(),
        listen: "127.0.0.1:8080".parse().unwrap(),
        tls: None,
        data: folder.into(),
        rules: folder.into(),
        scripts: folder.into(),
        mode: crate::rule::Mode::Auto,
        strict_ordering: false,
        sources: vec![Source {
            name: "flashduty".into(),
            path: "/flashduty".into(),
            auth: Auth::Header { header: "x-stanch-token".into(), secret: SecretRef::File(secret), previous: None },
            allow_from: vec!["127.0.0.0/8".parse().unwrap()],
            trusted_proxies: vec![],
        }],
        flashduty: None,
        http_allow: vec![],
        ssh_config: None,
        limits: Limits { body_bytes: 4096, connections: 64, ..Limits::default() },
        budgets: vec![],
        schedules: Default::default(),
        retention: Retention::default(),
        admin: Admin { socket: folder.join("stanch.sock"), listen: None, token: None, read_token: None },
        log: Log { format: LogFormat::Auto, level: "info".into() },
    }
}

/// What the journal in memory does with what it is offered.
#[derive(Clone, Default)]
enum Mood {
    /// Takes it.
    #[default]
    Takes,
    /// Refuses it.
    Refuses(Refused),
    /// Never answers.
    Hangs,
    /// Panics.
    Panics,
    /// Takes it once it is told to; the second is told that something waits.
    Waits { go_on: Arc<Notify>, waiting: Arc<Notify> },
}

#[derive(Clone, Default)]
struct Memory {
    mood: Arc<Mutex<Mood>>,
    taken: Arc<Mutex<HashMap<EventId, Event>>>,
}

impl Memory {
    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn count(&self) -> usize {
        self.taken.lock().unwrap().len()
    }
}

impl Intake for Memory {
    async fn admit(&self, event: Event) -> Result<Admitted, Refused> {
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Takes => {}
            Mood::Refuses(refused) => return Err(refused),
            Mood::Hangs => std::future::pending().await,
            Mood::Panics => panic!("a bug in the journal"),
            Mood::Waits { go_on, waiting } => {
                waiting.notify_one();
                go_on.notified().await;
            }
        }
        match self.taken.lock().unwrap().entry(event.id.clone()) {
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(event);
                Ok(Admitted::Accepted)
            }
            std::collections::hash_map::Entry::Occupied(place) if place.get().body_hash == event.body_hash => {
                Ok(Admitted::Duplicate)
            }
            std::collections::hash_map::Entry::Occupied(_) => Ok(Admitted::Conflict),
        }
    }
}

type ToldAnswer = (Option<String>, String, u16, &'static str);

/// Keeps what the receiver tells.
#[derive(Default)]
struct Told {
    /// Source, event type, status and code of each.
    answers: Mutex<Vec<ToldAnswer>>,
    closed: Mutex<Vec<Closed>>,
    news: Notify,
}

impl Observer for Told {
    fn answered(&self, answered: &Answered<'_>) {
        let source = answered.source.map(str::to_owned);
        let told = (source, answered.event_type.to_owned(), answered.status, answered.code);
        self.answers.lock().unwrap().push(told);
    }

    fn closed(&self, _peer: SocketAddr, why: Closed) {
        self.closed.lock().unwrap().push(why);
        self.news.notify_one();
    }
}

struct Server {
    address: SocketAddr,
    settings: Arc<ArcSwap<Settings>>,
    memory: Memory,
    told: Arc<Told>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Stopped>,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(|_| {}, |_| {}).await
    }

    /// Starts with a config and settings that were changed first.
    async fn start_with(change: impl FnOnce(&mut Config), tune: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        let mut settings = Settings::from_config(&config).unwrap();
        tune(&mut settings);
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let memory = Memory::default();
        let told = Arc::new(Told::default());
        let (stop, stopped) = oneshot::channel();
        let serving = serve(
            listener,
            Arc::clone(&settings),
            memory.clone(),
            Arc::new(ManualClock::at(NOW)),
            Arc::clone(&told) as Arc<dyn Observer>,
            async move { stopped.await.unwrap_or(()) },
        );
        Self { address, settings, memory, told, stop, task: tokio::spawn(serving), folder }
    }

    fn reload(&self, change: impl FnOnce(&mut Config)) {
        let mut config = config(self.folder.path());
        change(&mut config);
        self.settings.store(Arc::new(Settings::from_config(&config).unwrap()));
    }

    async fn client(&self) -> Client<TcpStream> {
        Client { stream: TcpStream::connect(self.address).await.unwrap() }
    }

    /// One request on a connection of its own.
    async fn ask(&self, request: impl AsRef<[u8]>) -> Reply {
        self.client().await.ask(request).await
    }

    async fn stop(self) -> Stopped {
        self.stop.send(()).unwrap();
        self.task.await.unwrap()
    }
}

struct Client<S> {
    stream: S,
}

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
    }

    fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line.eq_ignore_ascii_case(header))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn ask(&mut self, request: impl AsRef<[u8]>) -> Reply {
        self.send(request).await;
        self.reply().await
    }

    async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("the connection was closed without an answer")
    }

    /// The next answer, or `None` where the connection ended instead.
    async fn try_reply(&mut self) -> Option<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head[9..12].parse().unwrap();
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            let length = line.strip_prefix("content-length: ")?;
            length.parse::<usize>().ok()
        });
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(Reply { status, head, body: String::from_utf8(body).unwrap() })
    }

    /// Waits until the peer has closed the connection without another byte.
    async fn closes(&mut self) {
        let mut rest = Vec::new();
        // A reset is a way of closing as well.
        let ended = tokio::time::timeout(Duration::from_secs(20), self.stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is still open");
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}

/// A body of an incident push.
fn body(id: &str) -> String {
    format!(
        r#"{{"event_id":"{id}","event_time":1759999999000,"event_type":"i_new","incident":{{"incident_id":"i1"}}}}"#
    )
}

/// A sound push, with `more` header lines (each ending in CRLF).
fn push_with(body: &str, more: &str) -> String {
    format!(
        "POST /flashduty?a=a HTTP/1.1\r\nHost: bastion\r\nX-Stanch-Token: {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{more}\r\n{body}",
        body.len()
    )
}

fn push(id: &str) -> String {
    push_with(&body(id), "")
}

/// A push whose body comes in chunks of `size` bytes.
fn chunked(body: &str, size: usize) -> String {
    let chunks: String = body
        .as_bytes()
        .chunks(size)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()))
        .collect();
    format!(
        "POST /flashduty HTTP/1.1\r\nHost: bastion\r\nX-Stanch-Token: {TOKEN}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
    )
}
