//! The byte stream of one connection, watched.
//!
//! hyper times only heads, and its timer also runs while a connection idles. Here every wait has its own end: the
//! head from its first byte, the pause between requests, and an answer that the peer does not read. The bytes
//! pass through unchanged; [`Framing`] reads along.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::framing::{Framing, Phase};
use super::timeouts::Timeouts;

/// What the wire tells about the requests on it.
#[derive(Debug)]
pub(super) struct Notes {
    accepted: Instant,
    heads: AtomicU64,
    /// When the newest request began, in milliseconds after `accepted`.
    began_ms: AtomicU64,
}

impl Notes {
    pub(super) fn new(accepted: Instant) -> Self {
        Self { accepted, heads: AtomicU64::new(0), began_ms: AtomicU64::new(0) }
    }

    /// How many heads came whose framing is sound.
    pub(super) fn heads(&self) -> u64 {
        self.heads.load(Ordering::Acquire)
    }

    /// When the first byte of the newest request came.
    pub(super) fn began(&self) -> Instant {
        self.accepted + std::time::Duration::from_millis(self.began_ms.load(Ordering::Acquire))
    }

    fn begin(&self, at: Instant) {
        let ms = at.saturating_duration_since(self.accepted).as_millis();
        self.began_ms.store(u64::try_from(ms).unwrap_or(u64::MAX), Ordering::Release);
    }
}

/// A stream whose waits end.
pub(super) struct Wire<S> {
    stream: S,
    notes: Arc<Notes>,
    timeouts: Timeouts,
    framing: Framing,
    /// When the present wait for bytes is over; `None` within a body, which the reader of the body times.
    read_until: Option<Instant>,
    /// One timer for all reading. It is moved only to fire earlier; where it fires early, it is set anew: so a
    /// request that comes in one piece never touches it.
    timer: Pin<Box<Sleep>>,
    /// Runs while the peer takes nothing of what is written.
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, notes: Arc<Notes>, timeouts: Timeouts) -> Self {
        let first_head_until = notes.accepted + timeouts.head;
        Self {
            stream,
            notes,
            timeouts,
            framing: Framing::new(),
            read_until: Some(first_head_until),
            timer: Box::pin(sleep_until(first_head_until)),
            write_timer: None,
        }
    }

    /// Takes note of bytes that were read.
    fn take_note(&mut self, bytes: &[u8]) {
        let before = (self.framing.phase(), self.framing.begun_heads());
        self.framing.read(bytes);
        let after = (self.framing.phase(), self.framing.begun_heads());
        if after == before {
            return;
        }
        let now = Instant::now();
        // The first request counts from accept, so that silence before it counts as well.
        if after.1 != before.1 && after.1 > 1 {
            self.notes.begin(now);
        }
        self.notes.heads.store(self.framing.heads(), Ordering::Release);
        self.read_until = match after.0 {
            Phase::Between => Some(now + self.timeouts.idle),
            Phase::Head => Some(self.notes.began() + self.timeouts.head),
            Phase::Body(_) | Phase::Blind => None,
        };
    }

    /// Ready once the present wait for bytes is over.
    fn poll_read_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.read_until else { return Poll::Pending };
        if until < self.timer.deadline() {
            self.timer.as_mut().reset(until);
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if self.timer.deadline() >= until {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(until);
        }
    }

    /// Gives a write's result on, or an error where the peer has taken nothing for too long.
    fn watch_write<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write_timer = None;
            return result;
        }
        let limit = self.timeouts.write;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
        timer.as_mut().poll(cx).map(|()| Err(timed_out("the peer does not read our answer")))
    }
}

fn timed_out(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let filled_before = buf.filled().len();
        match Pin::new(&mut wire.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                wire.take_note(buf.filled().get(filled_before..).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => wire.poll_read_wait(cx).map(|()| Err(timed_out("no request came in time"))),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let result = Pin::new(&mut wire.stream).poll_write(cx, bytes);
        wire.watch_write(cx, result)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let result = Pin::new(&mut wire.stream).poll_flush(cx);
        wire.watch_write(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let result = Pin::new(&mut wire.stream).poll_shutdown(cx);
        wire.watch_write(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let result = Pin::new(&mut wire.stream).poll_write_vectored(cx, bytes);
        wire.watch_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
