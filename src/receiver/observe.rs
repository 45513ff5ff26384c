//! What the receiver tells about itself. Logs and metrics hook in here; the receiver knows neither.

use std::net::SocketAddr;
use std::time::Duration;

/// Is told what the receiver does. Called on the request path: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// A request was answered.
    fn answered(&self, _answered: &Answered<'_>) {}

    /// A connection was closed that the peer might have wanted to keep.
    fn closed(&self, _peer: SocketAddr, _why: Closed) {}
}

/// Tells nobody.
impl Observer for () {}

/// An answer, as told to the [`Observer`].
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The address of the peer, which may be a proxy.
    pub peer: SocketAddr,
    /// The source whose path was asked; `None` before that is known.
    pub source: Option<&'a str>,
    /// The event's id, once it was read.
    pub event_id: Option<&'a str>,
    /// The event's type as the sender wrote it; empty before the body was read. Any text: bucket it before it
    /// becomes a label.
    pub event_type: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// `accepted`, `duplicate`, or the code of the error.
    pub code: &'static str,
    /// Why, in words, where it is an error.
    pub message: Option<&'a str>,
    /// From the end of the head until the answer was ready.
    pub took: Duration,
}

/// Why a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// The cap on connections was reached, and this one had waited longest for a complete request.
    Crowded,
    /// The TLS handshake failed or took too long.
    Handshake,
    /// It broke, sent what is not HTTP, or took too long over a head or over reading an answer.
    Broken,
}
