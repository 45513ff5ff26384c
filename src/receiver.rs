//! The webhook listener: takes pushes in, and answers only once their fate is durable.
//!
//! # Theory of operation
//!
//! Our own accept loop hands each connection a place in the crowd (`crowd`); at the cap the one that has waited
//! longest without a complete request is closed. A connection (`connection`) speaks TLS where configured and
//! HTTP/1.1 through a watched stream (`wire`), on which every wait ends and whose request boundaries are checked
//! a second time (`framing`). A request passes the one warp route (`route`): path, method, source address, secret,
//! content type, size, then the body, which becomes an [`Event`](crate::event::Event) and is offered to the
//! journal. What it is answered is one type (`answer`).
//!
//! This module never runs rules, never acts, and never says 200 for what is not durable.

mod address;
mod answer;
mod body;
mod connection;
mod credential;
mod crowd;
mod framing;
mod media;
mod observe;
mod route;
mod settings;
mod timeouts;
mod wire;

pub use observe::{Answered, Closed, Observer};
pub use settings::{Settings, SettingsError, check_tls};
pub use timeouts::{DURABLE_WITHIN, Timeouts};

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::journal::Intake;
use connection::Connection;
use crowd::Crowd;
use route::{Desk, routes};

/// The largest head of a request, and so the size of a connection's read buffer. Ours have 500 bytes; one proxy
/// chain or a dozen headers of the sender's own fit easily.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long to let the machine recover when a connection cannot be accepted, for want of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What was left when the receiver stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Stopped {
    /// How many connections were still at work when the time for draining was over, and were cut.
    pub cut: usize,
}

/// Serves until `shutdown` resolves, then lets what is in flight finish for at most
/// [`Timeouts::drain`] before it is cut.
///
/// `settings` can be swapped at any time: sources, addresses, secrets and the body limit count from the next
/// request on, certificate, timeouts and the connection cap from the next connection on.
pub async fn serve<I: Intake>(
    listener: TcpListener,
    settings: Arc<ArcSwap<Settings>>,
    intake: I,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    shutdown: impl Future<Output = ()> + Send,
) -> Stopped {
    let desk = Desk { settings: Arc::clone(&settings), intake, clock, observer: Arc::clone(&observer) };
    let routes = TowerToHyperService::new(warp::service(routes(Arc::new(desk))));
    let crowd = Arc::new(Crowd::default());
    let (stop, stopping) = watch::channel(());
    // Bounded by the cap of the crowd.
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection of the webhook listener ended abnormally");
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                after_failed_accept(&error, &crowd).await;
                continue;
            }
        };
        let settings = settings.load_full();
        let Some(place) = crowd.enter(settings.connections) else {
            observer.closed(peer, Closed::Crowded);
            continue;
        };
        let connection = Connection {
            peer,
            place: Arc::new(place),
            routes: routes.clone(),
            observer: Arc::clone(&observer),
            stopping: stopping.clone(),
        };
        connections.spawn(connection.run(stream, settings));
    }
    // Closed before the draining, so that senders go elsewhere at once.
    drop(listener);
    drop(stop);
    let drain = settings.load().timeouts.drain;
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(drain, all_ended).await.is_ok() {
        return Stopped { cut: 0 };
    }
    let cut = connections.len();
    connections.shutdown().await;
    Stopped { cut }
}

/// A peer that gave up before it was accepted concerns nobody; being out of descriptors or memory needs room.
async fn after_failed_accept(error: &io::Error, crowd: &Crowd) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    let made_room = crowd.make_room();
    tracing::warn!(%error, made_room, "cannot accept a connection on the webhook listener");
    sleep(ACCEPT_PAUSE).await;
}

#[cfg(test)]
mod tests;
