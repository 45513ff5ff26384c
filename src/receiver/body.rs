//! Reading a body under a limit on its size and an end to the waiting, chunked or not.

use std::pin::{Pin, pin};

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::{Instant, timeout_at};
use warp::Stream;

use super::answer::Refusal;

/// How much of a body that nobody wants is read and thrown away. A sender that writes all before it reads would
/// meet a reset instead of the answer; beyond this it has to.
const DISCARD_BYTES_MAX: u64 = 1 << 20;

/// What the head says about the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// The `Content-Length`; `None` for a chunked body.
    pub(super) length: Option<u64>,
    /// The sender waits for `100 Continue` before it sends anything.
    pub(super) awaits_continue: bool,
    /// When the waiting is over.
    pub(super) until: Instant,
}

/// Reads the whole body, at most `limit` bytes.
pub(super) async fn collect<S, B>(mut body: Pin<&mut S>, expected: Expected, limit: usize) -> Result<Bytes, Refusal>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let too_large = Refusal::TooLarge { limit };
    if expected.length.is_some_and(|length| length > limit as u64) {
        return Err(too_large);
    }
    let read = async {
        let Some(first) = next(body.as_mut()).await else { return Ok(Bytes::new()) };
        let mut first = first?;
        // Room for all of a body of known length at once. A copy is made even of a body that came in one piece:
        // the piece would keep hyper's whole read buffer alive for as long as the event.
        let known = expected.length.and_then(|length| usize::try_from(length).ok());
        let mut bytes = BytesMut::with_capacity(known.unwrap_or_else(|| first.remaining()).min(limit));
        loop {
            if first.remaining() > limit - bytes.len() {
                return Err(too_large);
            }
            bytes.extend_from_slice(&first.copy_to_bytes(first.remaining()));
            match next(body.as_mut()).await {
                Some(more) => first = more?,
                None => return Ok(bytes.freeze()),
            }
        }
    };
    timeout_at(expected.until, read).await.unwrap_or(Err(Refusal::TooSlow))
}

async fn next<S, B>(mut body: Pin<&mut S>) -> Option<Result<B, Refusal>>
where
    S: Stream<Item = Result<B, warp::Error>>,
{
    let piece = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await?;
    Some(piece.map_err(|error| {
        tracing::debug!(%error, "reading a body");
        Refusal::Broken
    }))
}

/// Reads and throws away what is left of a body that was refused, within limits.
pub(super) async fn discard<S, B>(mut body: Pin<&mut S>, expected: Expected)
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if expected.awaits_continue || expected.length.is_some_and(|length| length > DISCARD_BYTES_MAX) {
        return;
    }
    let read = pin!(async {
        let mut seen = 0_u64;
        while let Some(Ok(piece)) = next(body.as_mut()).await {
            seen += piece.remaining() as u64;
            if seen > DISCARD_BYTES_MAX {
                break;
            }
        }
    });
    // Time over or not: the answer is the same.
    if timeout_at(expected.until, read).await.is_err() {
        tracing::debug!("gave up on the rest of a refused body");
    }
}
