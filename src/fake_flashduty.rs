//! A small Flashduty of our own, on loopback: for tests, for `stanch demo --loop`, and to try rules against.
//!
//! It keeps incidents in memory, answers the calls of the Open API with the vendor's envelopes and limits, pushes to a
//! webhook what people and calls do to its incidents, and fails in the ways in which a network and a vendor fail, when
//! it is told to. It is no part of the daemon, which never starts it.

mod calls;
mod faults;
mod push;
mod state;

pub use faults::Fault;
pub use push::Webhook;
pub use state::Seen;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use faults::Faults;
use state::State;

/// Bytes of a request that are read; no call of the API needs as many.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Connections at a time.
const CONNECTIONS_MAX: usize = 256;

/// A running fake. It ends when this is dropped.
#[derive(Debug)]
pub struct Fake {
    addr: SocketAddr,
    shared: Arc<Shared>,
    serving: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    app_key: String,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    webhook: Mutex<Option<Webhook>>,
    /// How many calls were seen, for those who wait for the next.
    seen: watch::Sender<usize>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn webhook(&self) -> MutexGuard<'_, Option<Webhook>> {
        self.webhook.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Fake {
    /// Starts one at `listen` that asks for `app_key`. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(listen: SocketAddr, app_key: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            app_key: app_key.to_owned(),
            state: Mutex::new(State::new()),
            faults: Mutex::default(),
            webhook: Mutex::default(),
            seen: watch::Sender::new(0),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { addr, shared, serving })
    }

    /// Its base URL, for `flashduty.api` of a config.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Pushes what happens from now on there; `None` pushes nothing.
    pub fn set_webhook(&self, webhook: Option<Webhook>) {
        *self.shared.webhook() = webhook;
    }

    /// Opens an incident, which has at least an `incident_id`, without pushing it.
    pub fn open(&self, incident: Map<String, Value>) {
        self.shared.state().open(incident);
    }

    /// The incident as it is now.
    pub fn incident(&self, id: &str) -> Option<Map<String, Value>> {
        self.shared.state().incident(id).cloned()
    }

    /// The comments on an incident, the oldest first.
    pub fn comments(&self, id: &str) -> Vec<String> {
        self.shared.state().comments(id)
    }

    /// A person closes an incident.
    pub fn close(&self, id: &str) {
        self.shared.state().set(id, &[("progress", json!("Closed")), ("incident_status", json!("Ok"))]);
    }

    /// Every call, the oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.iter().cloned().collect()
    }

    /// Resolves when there were more calls than `known`; gives how many.
    pub async fn seen_more_than(&self, known: usize) -> usize {
        let mut seen = self.shared.seen.subscribe();
        let now = seen.wait_for(|seen| *seen > known).await.map(|seen| *seen);
        now.unwrap_or(known)
    }

    /// Fails the next calls in these ways, one after the other; `None` lets one through.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.shared.faults().next(faults);
    }

    /// Fails calls in this pattern, over and over.
    pub fn fail_always(&self, pattern: impl IntoIterator<Item = Option<Fault>>) {
        self.shared.faults().always(pattern);
    }

    /// Pushes an event of an incident to the webhook. `more` stands beside the incident, as `person` does. Gives the
    /// event's id and the status of the answer.
    ///
    /// # Errors
    /// Where there is no such incident or no webhook, or nobody answered.
    pub async fn push(
        &self,
        event_type: &str,
        incident: &str,
        more: Map<String, Value>,
    ) -> Result<(String, u16), String> {
        let body = {
            let state = self.shared.state();
            let incident = state.incident(incident).ok_or_else(|| format!("there is no incident {incident}"))?;
            push::body(event_type, incident, more)
        };
        let webhook = self.shared.webhook().clone().ok_or("no webhook is set")?;
        let id = body.get("event_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        webhook.post(&body).await.map(|status| (id, status))
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(talk(stream, Arc::clone(&shared)));
                }
            }
        }
    }
}

async fn talk(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    // A connection that broke, on purpose or not, is over.
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

/// Answers a request, or breaks the connection where a fault says so.
async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().as_bytes().to_owned();
    let is_post = request.method() == hyper::Method::POST;
    let app_key = form_urlencoded::parse(&query).find(|(name, _)| name == "app_key").map(|(_, key)| key.into_owned());
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| std::io::Error::other(error.to_string()))?.to_bytes();
    let call = calls::Call {
        path: &path,
        is_post,
        is_known: app_key.as_deref() == Some(shared.app_key.as_str()),
        body: serde_json::from_slice(&body).ok(),
    };
    let fault = shared.faults().take();
    if fault == Some(Fault::DropBefore) {
        return Err(std::io::Error::other("dropped before it was done"));
    }
    let answered = {
        let mut state = shared.state();
        let refused = fault.and_then(Fault::answer);
        let answered = refused.unwrap_or_else(|| calls::answer(&mut state, &call));
        state.note(&call, answered.status);
        shared.seen.send_modify(|seen| *seen += 1);
        answered
    };
    if let Some((event_type, incident)) = answered.event {
        tokio::spawn(push_on(Arc::clone(&shared), event_type, incident));
    }
    match fault {
        Some(Fault::DropAfter) => return Err(std::io::Error::other("dropped after it was done")),
        Some(Fault::Slow(pause)) => tokio::time::sleep(pause).await,
        _ => {}
    }
    let mut response = Response::new(Full::new(Bytes::from(answered.body.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(answered.status).unwrap_or_default();
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Pushes what a call led to, as the vendor does.
async fn push_on(shared: Arc<Shared>, event_type: &'static str, incident: String) {
    let webhook = shared.webhook().clone();
    let body = shared.state().incident(&incident).map(|incident| push::body(event_type, incident, Map::new()));
    if let (Some(webhook), Some(body)) = (webhook, body) {
        // The vendor promises no more than one repetition; this one makes none.
        webhook.post(&body).await.ok();
    }
}
