//! One connection: TLS, HTTP/1.1, and what must hold whatever the routes do.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::TRANSFER_ENCODING;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use warp::reply::Response;

use super::answer::{Answer, Refusal, end_connection};
use super::crowd::Place;
use super::observe::{Answered, Closed, Observer};
use super::route::Caller;
use super::settings::Settings;
use super::timeouts::Timeouts;
use super::wire::{Notes, Wire};
use crate::clock::Stopwatch;

/// One connection, and what it needs to answer.
pub(super) struct Connection<R> {
    pub(super) peer: SocketAddr,
    pub(super) place: Arc<Place>,
    pub(super) routes: R,
    pub(super) observer: Arc<dyn Observer>,
    /// Changes, or loses its sender, when the receiver stops.
    pub(super) stopping: watch::Receiver<()>,
}

impl<R> Connection<R>
where
    R: Service<Request<Incoming>, Response = Response, Error = Infallible>,
{
    /// Serves until the connection ends, or has to make room.
    pub(super) async fn run(self, stream: TcpStream, settings: Arc<Settings>) {
        let asked_to_leave = self.place.asked_to_leave();
        let closed = tokio::select! {
            biased;
            closed = self.serve(stream, &settings) => closed,
            () = asked_to_leave => Some(Closed::Crowded),
        };
        if let Some(why) = closed {
            self.observer.closed(self.peer, why);
        }
    }

    async fn serve(&self, stream: TcpStream, settings: &Settings) -> Option<Closed> {
        let accepted = Instant::now();
        // Answers are small and written whole: waiting for more to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(peer = %self.peer, %error, "setting TCP_NODELAY");
        }
        let timeouts = settings.timeouts;
        let Some(tls) = &settings.tls else { return self.speak_http(stream, accepted, timeouts).await };
        // The handshake counts against the first head, so that a silent peer gets no second wait.
        let handshake = TlsAcceptor::from(Arc::clone(tls)).accept(stream);
        match timeout_at(accepted + timeouts.head, handshake).await {
            Ok(Ok(stream)) => self.speak_http(stream, accepted, timeouts).await,
            Ok(Err(error)) => {
                tracing::debug!(peer = %self.peer, %error, "TLS handshake");
                Some(Closed::Handshake)
            }
            Err(_) => Some(Closed::Handshake),
        }
    }

    async fn speak_http<S>(&self, stream: S, accepted: Instant, timeouts: Timeouts) -> Option<Closed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let notes = Arc::new(Notes::new(accepted));
        let wire = TokioIo::new(Wire::new(stream, Arc::clone(&notes), timeouts));
        let heads_taken = AtomicU64::new(0);
        let service = service_fn(|request| {
            let nth = heads_taken.fetch_add(1, Ordering::Relaxed);
            let is_sound = nth < notes.heads();
            let until = notes.began() + timeouts.request;
            async move { Ok::<_, Infallible>(self.exchange(request, is_sound, until).await) }
        });
        let mut http = pin!(
            http1::Builder::new()
                // The wire times heads and pauses; a second timer would say the same, at a cost for each request.
                .header_read_timeout(None)
                // A sender that has said all it will say still gets its answer, and what was offered to the
                // journal is followed to its end; the durability deadline bounds both.
                .half_close(true)
                .max_buf_size(super::HEAD_BYTES_MAX)
                .serve_connection(wire, service)
        );
        let mut stopping = self.stopping.clone();
        let result = tokio::select! {
            biased;
            result = http.as_mut() => result,
            // An error means that the sender is gone, and so that the receiver stops.
            _ = stopping.changed() => {
                http.as_mut().graceful_shutdown();
                http.await
            }
        };
        result.err().map(|error| {
            tracing::debug!(peer = %self.peer, %error, "connection broke");
            Closed::Broken
        })
    }

    /// Answers one request, whatever the routes do with it.
    async fn exchange(&self, mut request: Request<Incoming>, is_sound: bool, until: Instant) -> Response {
        let stopwatch = Stopwatch::start();
        let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let response = if is_sound {
            request.extensions_mut().insert(Caller { peer: self.peer, place: Arc::clone(&self.place), until });
            contain(self.routes.call(request)).await.ok_or(Refusal::Internal)
        } else {
            Err(Refusal::Framing)
        };
        let mut response = response.unwrap_or_else(|refusal| self.refuse(refusal, stopwatch));
        if is_chunked {
            // The wire does not follow chunks, so it could not vouch for a request after this one.
            end_connection(&mut response);
        }
        self.place.waiting();
        response
    }

    /// Answers a request that never reached the routes, or did not come back from them.
    fn refuse(&self, refusal: Refusal, stopwatch: Stopwatch) -> Response {
        let message = refusal.to_string();
        let answer = Answer::Refused(refusal);
        self.observer.answered(&Answered {
            peer: self.peer,
            source: None,
            event_id: None,
            event_type: "",
            status: answer.status().as_u16(),
            code: answer.code(),
            message: Some(&message),
            took: stopwatch.elapsed(),
        });
        answer.response()
    }
}

/// The outcome of `call`, or `None` where it panicked: a bug met by one request must not take others with it.
async fn contain<T>(call: impl Future<Output = Result<T, Infallible>>) -> Option<T> {
    let mut call = pin!(call);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(Ok(outcome))) => Poll::Ready(Some(outcome)),
        Err(_panic) => Poll::Ready(None),
    })
    .await
}
