//! How long the receiver waits for anything.

use std::time::Duration;

/// The limits on waiting. The defaults are the documented ones; tests shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a request to the end of its headers; for the first request of a connection from
    /// accept, TLS handshake included. A sender on any sane network needs milliseconds.
    pub head: Duration,
    /// From the first byte of a request to the last byte of its body.
    pub request: Duration,
    /// Between two requests of one connection. Long enough for a sender's connection pool to be of use.
    pub idle: Duration,
    /// How long a peer may leave our answer in its window without reading any of it.
    pub write: Duration,
    /// From the end of the body until the event is durable. The vendor counts an answer after one second as
    /// failed, so a 503 must come before that.
    pub durable: Duration,
    /// From the request to stop until what is still in flight is cut off.
    pub drain: Duration,
}

/// The wait for durability: the vendor's second, less what the network and the body may take of it.
pub const DURABLE_WITHIN: Duration = Duration::from_millis(800);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(3),
            request: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            write: Duration::from_secs(5),
            durable: DURABLE_WITHIN,
            drain: Duration::from_secs(6),
        }
    }
}
