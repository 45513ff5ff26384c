//! From a request to its answer: who asks, whether they may, and which part answers.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Buf;
use http_body_util::BodyExt;
use tokio::sync::{Notify, Semaphore, watch};
use warp::Filter;
use warp::Stream;
use warp::http::header::CONTENT_TYPE;
use warp::http::{HeaderMap, Method, StatusCode};
use warp::reply::Response;

use super::access::{Access, NotLetIn, Proof, Role};
use super::answer::{Refused, error, other_method, protect};
use super::console;
use super::request::{BodyError, Head, collect};
use super::stream::STREAMS_MAX;
use super::table::{self, Call, Found, Needs};
use super::work::Work;
use crate::engine::Handle;
use crate::report::redact::Redactor;

/// What all requests of one listener share.
pub(super) struct Desk {
    /// The engine.
    pub(super) handle: Handle,
    /// Who is let in.
    pub(super) access: Access,
    /// What takes long.
    pub(super) work: Arc<Work>,
    /// Places for streams.
    pub(super) streams: Arc<Semaphore>,
    /// Says when the daemon stops, so that streams end.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Desk {
    /// The desk of a listener.
    pub(super) fn new(handle: Handle, access: Access, work: Arc<Work>, stopping: watch::Receiver<bool>) -> Self {
        Self { handle, access, work, streams: Arc::new(Semaphore::new(STREAMS_MAX)), stopping }
    }
}

/// All routes of one listener, for a connection from `peer`.
pub(super) fn routes(
    desk: Arc<Desk>,
    peer: IpAddr,
    account: Option<Arc<str>>,
    cut: Arc<Notify>,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |method: Method, path: warp::path::FullPath, query: String, headers: HeaderMap, body| {
            let (desk, cut, account) = (Arc::clone(&desk), Arc::clone(&cut), account.clone());
            let method = if method == Method::HEAD { Method::GET } else { method };
            let head = Head { method, path: path.as_str().to_owned(), query, headers, peer, account };
            async move {
                let redactor = desk.handle.redactor();
                let answer = answer(desk, head, body, cut).await;
                let mut answer = without_secrets(answer, &redactor.load()).await;
                protect(&mut answer);
                answer
            }
        })
        // Nothing above rejects: every method, path and body has an answer.
        .recover(|_| async { Ok::<_, Infallible>(error(StatusCode::BAD_REQUEST, "bad-request", "it cannot be read")) })
        .unify()
}

/// The types of answers in which texts of others stand.
const LOOKED_THROUGH: [&str; 3] = ["application/json", "application/x-ndjson", "text/html"];

/// Takes secrets out of an answer of JSON or HTML: rules, and the bodies of pushes, can hold what somebody should not have
/// written there. A stream does so for each event.
async fn without_secrets(answer: Response, redactor: &Redactor) -> Response {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !LOOKED_THROUGH.iter().any(|looked_through| kind.starts_with(looked_through)) {
        return answer;
    }
    let (head, body) = answer.into_parts();
    match body.collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            let clean = match redactor.redact_bytes(&body) {
                Cow::Borrowed(_) => body.clone(),
                Cow::Owned(clean) => clean.into(),
            };
            Response::from_parts(head, clean.into())
        }
        Err(error) => {
            tracing::error!(%error, "an answer of the admin interface could not be looked through");
            self::error(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer could not be made")
        }
    }
}

async fn answer<S, B>(desk: Arc<Desk>, head: Head, body: S, cut: Arc<Notify>) -> Response
where
    S: Stream<Item = Result<B, warp::Error>> + Send,
    B: Buf + Send,
{
    if desk.access.is_socket() && head.names_a_domain() {
        let message = "the admin socket is reached as `localhost` or by an address, not by the name of a domain";
        return error(StatusCode::MISDIRECTED_REQUEST, "other-host", message);
    }
    let Some(segments) = head.segments() else { return nothing().json() };
    let is_api = matches!(segments.first().map(String::as_str), Some("api" | "healthz" | "readyz" | "metrics"));
    if head.method != Method::GET && head.is_from_elsewhere() {
        let message = "another site sent this request: nothing was done";
        let refused = Refused::new(StatusCode::FORBIDDEN, "cross-site", message);
        return if is_api { refused.json() } else { console::refuse(&head, &refused) };
    }
    let caller = desk.access.caller(&desk.handle, &head);
    if !is_api {
        return console::answer(desk, head, &segments, caller, body).await;
    }
    let caller = match caller {
        Ok(caller) => caller,
        Err(why) => return refuse(why).json(),
    };
    let (endpoint, parameters) = match table::find(&head.method, &segments) {
        Found::Endpoint(endpoint, parameters) => (endpoint, parameters),
        Found::OtherMethod(allowed) => return other_method(allowed),
        Found::Nothing => return nothing().json(),
    };
    if endpoint.needs == Needs::Act {
        if caller.role == Role::Read {
            return read_only().json();
        }
        if matches!(caller.by, Proof::Session(_)) {
            let message = "a session of the console reads the API and acts through its forms: use a token here";
            return error(StatusCode::FORBIDDEN, "forms-only", message);
        }
    }
    let body = match collect(body).await {
        Ok(body) => body,
        Err(why) => return unread(why).json(),
    };
    if !body.is_empty() && !head.is_json() {
        let message = "the body has to be `application/json`";
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", message);
    }
    (endpoint.serve)(Call { desk, head, parameters, body, caller, cut }).await
}

/// Tells those who are not let in how to be.
pub(super) fn refuse(why: NotLetIn) -> Refused {
    match why {
        NotLetIn::Unknown => {
            let message = "the admin interface wants `Authorization: Bearer TOKEN`";
            Refused::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        }
        NotLetIn::TooMany => {
            let message = "too many wrong tokens came from your address: wait a minute";
            Refused::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", message)
        }
    }
}

/// Tells those who may only look.
pub(super) fn read_only() -> Refused {
    let message = "the read token sees, and does not act: use the admin token";
    Refused::new(StatusCode::FORBIDDEN, "read-only", message)
}

/// Says why a body was not read.
pub(super) fn unread(why: BodyError) -> Refused {
    let (status, code) = match why {
        BodyError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
        BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too-slow"),
        BodyError::Broken => (StatusCode::BAD_REQUEST, "bad-request"),
    };
    Refused::new(status, code, why.to_string())
}

/// Says that there is nothing.
pub(super) fn nothing() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "not-found", "there is nothing at this path")
}
