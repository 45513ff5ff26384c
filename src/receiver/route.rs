//! The routes: what stands between a request and the journal, in the documented order.

use std::pin::{Pin, pin};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::{Buf, Bytes};
use hyper::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use hyper::{HeaderMap, Method};
use tokio::time::{Instant, timeout};
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection, Stream};

use super::answer::{Answer, Refusal};
use super::body::{self, Expected};
use super::crowd::Place;
use super::observe::{Answered, Observer};
use super::settings::{Settings, Source};
use super::{address, media};
use crate::clock::{Clock, Stopwatch};
use crate::event::{self, Event};
use crate::journal::{Admitted, Intake};

/// What all requests share.
pub(super) struct Desk<I> {
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) intake: I,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observer: Arc<dyn Observer>,
}

/// Who asks. Travels with the request as an extension.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) peer: std::net::SocketAddr,
    pub(super) place: Arc<Place>,
    /// When the whole request must have come.
    pub(super) until: Instant,
}

/// All routes. There is but one: which source it is depends on settings that can change at any time.
pub(super) fn routes<I: Intake>(
    desk: Arc<Desk<I>>,
) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::any()
        .map(move || Arc::clone(&desk))
        .and(warp::ext::get::<Caller>())
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(|desk: Arc<Desk<I>>, caller, method, path: FullPath, headers, body| async move {
            let request = Request { caller, method, path, headers };
            desk.answer(&request, pin!(body)).await
        })
}

struct Request {
    caller: Caller,
    method: Method,
    path: FullPath,
    headers: HeaderMap,
}

/// What is known of a request by the time it is answered.
#[derive(Default)]
struct Known {
    source: Option<Arc<Source>>,
    event_type: Option<Arc<str>>,
    event_id: Option<event::EventId>,
}

impl<I: Intake> Desk<I> {
    async fn answer<S, B>(&self, request: &Request, body: Pin<&mut S>) -> Response
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        let stopwatch = Stopwatch::start();
        let mut known = Known::default();
        let answer = self.take(request, body, &mut known).await.unwrap_or_else(Answer::Refused);
        let message = match &answer {
            Answer::Refused(refusal) => Some(refusal.to_string()),
            Answer::Accepted(_) | Answer::Duplicate(_) => None,
        };
        self.observer.answered(&Answered {
            peer: request.caller.peer,
            source: known.source.as_ref().map(|source| &*source.name),
            event_id: known.event_id.as_ref().map(event::EventId::as_str),
            event_type: known.event_type.as_deref().unwrap_or_default(),
            status: answer.status().as_u16(),
            code: answer.code(),
            message: message.as_deref(),
            took: stopwatch.elapsed(),
        });
        answer.response()
    }

    /// From the request to the journal.
    async fn take<S, B>(&self, request: &Request, body: Pin<&mut S>, known: &mut Known) -> Result<Answer, Refusal>
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        let settings = self.settings.load_full();
        let (source, body) = receive(&settings, request, body, known).await?;
        request.caller.place.answering();

        let event = event::read(body, Arc::clone(&source.name), self.clock.now())?;
        known.event_type = Some(Arc::clone(&event.event_type));
        known.event_id = Some(event.id.clone());
        self.admit(event, &settings).await
    }

    async fn admit(&self, event: Event, settings: &Settings) -> Result<Answer, Refusal> {
        let id = event.id.clone();
        let admitted = timeout(settings.timeouts.durable, self.intake.admit(event))
            .await
            .map_err(|_| Refusal::NotDurableInTime)??;
        match admitted {
            Admitted::Accepted => Ok(Answer::Accepted(id)),
            Admitted::Duplicate => Ok(Answer::Duplicate(id)),
            Admitted::Conflict => Err(Refusal::Conflict(id)),
        }
    }
}

/// The checks of the head, then the body.
async fn receive<S, B>(
    settings: &Settings,
    request: &Request,
    mut body: Pin<&mut S>,
    known: &mut Known,
) -> Result<(Arc<Source>, Bytes), Refusal>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let expected = expected(request);
    let received = match check(settings, request, known) {
        Ok(source) => body::collect(body.as_mut(), expected, settings.body_bytes).await.map(|bytes| (source, bytes)),
        Err(refusal) => Err(refusal),
    };
    if !matches!(received, Ok(_) | Err(Refusal::TooSlow | Refusal::Broken)) {
        body::discard(body, expected).await;
    }
    received
}

/// Everything that can be said without the body. The order is part of the interface: nobody learns more than
/// their address and their secret entitle them to.
fn check(settings: &Settings, request: &Request, known: &mut Known) -> Result<Arc<Source>, Refusal> {
    let source = settings.sources.get(request.path.as_str()).ok_or(Refusal::NoSuchPath)?;
    known.source = Some(Arc::clone(source));
    if request.method != Method::POST {
        return Err(Refusal::Method);
    }
    let client = address::client(request.caller.peer.ip(), &source.trusted_proxies, &request.headers)
        .ok_or(Refusal::ForwardedFor)?;
    if !address::contains(&source.allow_from, client) {
        return Err(Refusal::Address(client));
    }
    if source.credential.as_ref().is_some_and(|credential| !credential.is_shown_in(&request.headers)) {
        return Err(Refusal::Credential);
    }
    if !media::is_json(&request.headers) {
        return Err(Refusal::ContentType);
    }
    if !media::is_plain(&request.headers) {
        return Err(Refusal::ContentEncoding);
    }
    Ok(Arc::clone(source))
}

fn expected(request: &Request) -> Expected {
    let headers = &request.headers;
    let length = headers.get(CONTENT_LENGTH).and_then(|line| line.to_str().ok()?.parse().ok());
    Expected {
        // hyper takes a head with neither for one without a body.
        length: if headers.contains_key(TRANSFER_ENCODING) { None } else { length.or(Some(0)) },
        awaits_continue: headers.contains_key(EXPECT),
        until: request.caller.until,
    }
}
