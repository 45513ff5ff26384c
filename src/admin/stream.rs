//! What happens, as it happens, as server-sent events.
//!
//! What the steps of a run print is no record of the journal; a stream that is of one run looks whether it is more, and
//! tells the end of it without a number, so that a client that comes back begins where the journal was.
//!
//! A stream reads the journal behind its own cursor, at the pace at which its client takes it: the engine never waits
//! for one, and does not know of them. So a client that was away goes on where it was, by the number of the last
//! event that it saw.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use warp::http::StatusCode;
use warp::http::header::HeaderName;
use warp::reply::{Reply, Response};
use warp::sse::Event;

use super::answer::error;
use super::routes::Desk;
use super::table::Call;
use super::views::{Change, NowView};
use crate::engine::Handle;
use crate::journal::read::Reader;
use crate::journal::record::{EachPlace, Phase, RunId};
use crate::journal::store::StoreError;
use crate::report::redact::Redactor;

/// How many streams a listener serves at a time; each holds a connection and reads the journal on its own.
pub(super) const STREAMS_MAX: usize = 16;
/// How many changes wait for a client that is slow.
pub(super) const QUEUE_MAX: usize = 64;
/// How long a client may take nothing before it is dropped. It can come back and go on where it was.
pub(super) const STALL_MAX: Duration = Duration::from_secs(20);
/// How many records are read at a time.
pub(super) const READ_MAX: usize = 256;
/// How often the journal is read at most while it is written to: a person sees no difference, and a storm of pushes
/// is read in pieces that are worth it.
pub(super) const READ_EVERY: Duration = Duration::from_millis(100);
/// How often a stream says that it is alive when nothing happens, so that what stands between does not cut it.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often a stream looks whether the steps of its run have printed more. Nothing tells it, so that printing costs
/// a step nothing.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a client waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// Answers with a stream.
pub(super) async fn serve(call: Call) -> Response {
    let (after, run) = match begin(&call) {
        Ok(begin) => begin,
        Err(message) => return error(StatusCode::BAD_REQUEST, "bad-request", &message),
    };
    let Ok(place) = Arc::clone(&call.desk.streams).try_acquire_owned() else {
        let message = format!("{STREAMS_MAX} streams are open already, which is the limit");
        return error(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", &message);
    };
    let (events, taken) = mpsc::channel(QUEUE_MAX);
    tokio::spawn(async move {
        let Err(why) = follow(&call.desk, after, run, &events, place).await;
        tracing::debug!(%why, "a stream ended");
        if matches!(why, Ended::Stalled) {
            call.cut.notify_one();
        }
    });
    warp::sse::reply(Taken(taken)).into_response()
}

/// The number after which a client wants to hear, `None` for what comes from now on; and the run whose output it wants.
fn begin(call: &Call) -> Result<(Option<u64>, Option<RunId>), String> {
    const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
    let query = call.head.query()?;
    query.only(&["after", "run"])?;
    let run = query.text("run").map(RunId::new);
    // A browser that comes back repeats the query that it began with, so what it saw last counts for more.
    let after = match call.head.header(&LAST_EVENT_ID) {
        Some(text) => text.parse().map(Some).map_err(|_| "`Last-Event-ID` is no number of the journal".to_owned()),
        None => query.number("after"),
    };
    Ok((after?, run))
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("its client is gone")]
    Gone,
    #[error("its client took nothing for {} seconds", STALL_MAX.as_secs())]
    Stalled,
    #[error("the daemon stops")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn follow(
    desk: &Desk,
    after: Option<u64>,
    run: Option<RunId>,
    events: &mpsc::Sender<Event>,
    _place: OwnedSemaphorePermit,
) -> Result<std::convert::Infallible, Ended> {
    let mut commits = desk.handle.commits();
    let path = desk.handle.journal_path().to_owned();
    let (mut reader, mut cursor) = blocking(move || {
        let reader = Reader::open(&path)?;
        let cursor = after.map_or_else(|| reader.last_seq(), Ok)?;
        Ok((reader, cursor))
    })
    .await?;
    // At once, so that the client knows that it is listened to before anything happens.
    send(events, Event::default().comment("following").retry(RETRY)).await?;
    let mut output = run.map(|run| Following::new(desk.handle.clone(), run));
    loop {
        commits.mark_unchanged();
        let (back, changes) = blocking(move || read(reader, cursor)).await?;
        reader = back;
        let is_full = changes.len() == READ_MAX;
        for change in changes {
            cursor = change.seq;
            send(events, event(&change, &desk.handle.redactor().load())).await?;
        }
        if is_full {
            // There is more to read at once, which under a storm may be so for long.
            if let Some(more) = output.as_mut().and_then(Following::due) {
                send(events, more).await?;
            }
            continue;
        }
        wait(&mut commits, desk.stopping.clone(), output.as_mut(), events).await?;
        tokio::time::sleep(READ_EVERY).await;
    }
}

fn read(reader: Reader, cursor: u64) -> Result<(Reader, Vec<Change>), StoreError> {
    let mut changes = Vec::new();
    reader.scan(cursor.saturating_add(1), |stored| {
        changes.push(Change::of(stored));
        changes.len() < READ_MAX
    })?;
    Ok((reader, changes))
}

/// Waits until the journal was written to, and meanwhile tells what steps print, or that the stream is alive.
async fn wait(
    commits: &mut watch::Receiver<()>,
    mut stopping: watch::Receiver<bool>,
    mut output: Option<&mut Following>,
    events: &mpsc::Sender<Event>,
) -> Result<(), Ended> {
    let mut heartbeat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    loop {
        let more = async {
            match &mut output {
                Some(output) => output.more().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What is looked for twice a second comes before commits, which may come without end.
            biased;
            () = stopped(&mut stopping) => return Err(Ended::Stopping),
            () = events.closed() => return Err(Ended::Gone),
            more = more => send(events, more).await?,
            changed = commits.changed() => return changed.map_err(|_| Ended::Stopping),
            _ = heartbeat.tick() => send(events, Event::default().comment("alive")).await?,
        }
    }
}

/// The output of the steps that a run is in.
struct Following {
    handle: Handle,
    run: RunId,
    /// When it is looked for. One for as long as the stream lasts: begun anew at each commit, it would never come due
    /// while the engine is busy.
    looks: tokio::time::Interval,
    /// How much of it was there when it was told last.
    told_bytes: u64,
}

impl Following {
    fn new(handle: Handle, run: RunId) -> Self {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self { handle, run, looks, told_bytes: 0 }
    }

    /// Resolves at the next look that finds more than before, or something else. Loses nothing where it is dropped.
    async fn more(&mut self) -> Event {
        loop {
            self.looks.tick().await;
            if let Some(more) = self.look() {
                return more;
            }
        }
    }

    /// The same without waiting: none where it is not time to look.
    fn due(&mut self) -> Option<Event> {
        let is_due = self.looks.poll_tick(&mut Context::from_waker(Waker::noop())).is_ready();
        if is_due { self.look() } else { None }
    }

    fn look(&mut self) -> Option<Event> {
        let printed_bytes = self.handle.printed_bytes(&self.run);
        if printed_bytes == self.told_bytes {
            return None;
        }
        self.told_bytes = printed_bytes;
        let steps = self.handle.now_in(&self.run).into_iter();
        let steps: Vec<StepOutput> = steps
            .map(|now| StepOutput { phase: now.phase, step: now.step, each: now.each.clone(), now: now.into() })
            .collect();
        let data = serde_json::json!({ "run": self.run, "steps": steps }).to_string();
        // A step keeps to the secrets of when it began, and they may have been changed since.
        let redactor = self.handle.redactor();
        Some(Event::default().event("output").data(redactor.load().redact(&data)))
    }
}

/// What a step prints, as a stream tells it.
#[derive(Debug, serde::Serialize)]
struct StepOutput {
    phase: Phase,
    step: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    each: Option<EachPlace>,
    now: NowView,
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The sender goes only when the daemon does.
    stopping.wait_for(|stop| *stop).await.ok();
}

async fn send(events: &mpsc::Sender<Event>, event: Event) -> Result<(), Ended> {
    send_within(events, event, STALL_MAX).await
}

async fn send_within(events: &mpsc::Sender<Event>, event: Event, patience: Duration) -> Result<(), Ended> {
    match events.send_timeout(event, patience).await {
        Ok(()) => Ok(()),
        Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(Ended::Stalled),
        Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(Ended::Gone),
    }
}

fn event(change: &Change, redactor: &Redactor) -> Event {
    let data = serde_json::to_string(change).unwrap_or_default();
    let data = redactor.redact(&data);
    Event::default().id(change.seq.to_string()).event(change.record.kind()).data(data)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Ended> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        // The runtime ends, or reading panicked, which is on the log.
        Err(_) => Err(Ended::Stopping),
    }
}

/// The receiving end, as the stream that warp sends.
struct Taken(mpsc::Receiver<Event>);

impl warp::Stream for Taken {
    type Item = Result<Event, std::convert::Infallible>;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|event| event.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up_and_one_that_is_gone_is_told_apart() {
        let patience = Duration::from_millis(1);
        let (events, taken) = mpsc::channel(1);
        assert!(send_within(&events, Event::default(), patience).await.is_ok());
        assert!(matches!(send_within(&events, Event::default(), patience).await, Err(Ended::Stalled)));
        drop(taken);
        assert!(matches!(send_within(&events, Event::default(), patience).await, Err(Ended::Gone)));
    }
}
