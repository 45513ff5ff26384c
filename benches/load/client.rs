//! A lean HTTP/1.1 client: keep-alive connections, one request at a time on each, on one thread.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{push, stamp};

/// A load to put on a server.
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) lasts: Duration,
    pub(crate) path: &'static str,
    pub(crate) token: &'static str,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
    /// How long each answer took, ascending.
    pub(crate) took: Vec<Duration>,
    pub(crate) lasted: Duration,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.accepted as f64 / self.lasted.as_secs_f64()
    }

    /// The answer time that `share` of the answers did not exceed.
    pub(crate) fn at(&self, share: f64) -> Duration {
        let place = ((self.took.len() as f64 * share) as usize).min(self.took.len() - 1);
        self.took[place]
    }
}

/// Numbers of pushes, never used twice in one run of the bench.
static NEXT: AtomicUsize = AtomicUsize::new(1);

fn on_one_thread<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Sends for a while.
pub(crate) fn run(addr: SocketAddr, load: &Load) -> Outcome {
    let until = Instant::now() + load.lasts;
    send(addr, load.connections, load.path, load.token, move |_| Instant::now() < until)
}

/// Sends so many, as fast as they are answered.
pub(crate) fn burst(addr: SocketAddr, token: &'static str, connections: usize, pushes: usize) -> Outcome {
    send(addr, connections, "/flashduty", token, move |sent| sent < pushes)
}

fn send(
    addr: SocketAddr,
    connections: usize,
    path: &'static str,
    token: &'static str,
    more: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> Outcome {
    let begun = Instant::now();
    let (more, sent) = (Arc::new(more), Arc::new(AtomicUsize::new(0)));
    let outcomes = on_one_thread(async {
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let (more, sent) = (Arc::clone(&more), Arc::clone(&sent));
            tasks.push(tokio::spawn(async move {
                let mut connection = Connection::open(addr).await;
                let (mut took, mut refused) = (Vec::new(), 0);
                while more(sent.fetch_add(1, Ordering::Relaxed)) {
                    let body = push::body(NEXT.fetch_add(1, Ordering::Relaxed), stamp::now_ns() / 1_000_000);
                    let request = request(path, token, &body);
                    let start = Instant::now();
                    let status = connection.ask(&request).await;
                    took.push(start.elapsed());
                    refused += usize::from(status != 200);
                }
                (took, refused)
            }));
        }
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    });
    let lasted = begun.elapsed();
    let refused = outcomes.iter().map(|(_, refused)| refused).sum();
    let mut took: Vec<Duration> = outcomes.into_iter().flat_map(|(took, _)| took).collect();
    took.sort_unstable();
    Outcome { accepted: took.len() - refused, refused, took, lasted }
}

/// Sends `pushes` at a steady pace and waits for the command that each leads to. Returns how long each took from
/// sending until its command had started.
pub(crate) fn paced(addr: SocketAddr, token: &str, per_second: u64, pushes: usize, stamps: &Path) -> Vec<Duration> {
    let between = Duration::from_nanos(1_000_000_000 / per_second);
    let sent = on_one_thread(async {
        let mut connection = Connection::open(addr).await;
        let mut pace = tokio::time::interval(between);
        let mut sent = Vec::new();
        for _ in 0..pushes {
            pace.tick().await;
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let at = stamp::now_ns();
            let request = request("/flashduty", token, &push::body(number, at / 1_000_000));
            assert_eq!(connection.ask(&request).await, 200);
            sent.push((number, at));
        }
        sent
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut took = Vec::new();
    for (number, at) in sent {
        let file = stamps.join(format!("db-{number}"));
        while !file.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Ok(text) = std::fs::read_to_string(&file) {
            let started: u128 = text.parse().unwrap();
            took.push(Duration::from_nanos(u64::try_from(started.saturating_sub(at)).unwrap()));
        }
    }
    took
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 4096] }
    }

    /// Sends a request and reads the answer to its end. Returns the status.
    async fn ask(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).await.unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the server closed the connection");
            filled += read;
            let text = std::str::from_utf8(&self.buffer[..filled]).unwrap();
            if let Some(head_end) = text.find("\r\n\r\n") {
                let head = &text[..head_end];
                let length: usize = head
                    .lines()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
                    .map_or(0, |length| length.trim().parse().unwrap());
                if filled >= head_end + 4 + length {
                    return head[9..12].parse().unwrap();
                }
            }
        }
    }
}

/// The whole request.
fn request(path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nx-stanch-token: {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
