//! The task that follows the journal and sends what it tells.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::TraceIds;
use super::send::{Client, Sent, SharedTarget, TargetError};
use super::story::Story;
use crate::journal::read::Reader;
use crate::journal::store::StoreError;
use crate::report::Report;
use crate::report::logging::SharedRedactor;
use crate::report::metrics::TraceLabels;
use crate::report::printable;

/// Records that are read at a time.
const READ_MAX: usize = 512;
/// Spans of one request. At 1 kB each it has a quarter of a megabyte.
pub(super) const SPANS_MAX: usize = 256;
/// How many records the cursor may be behind: as much as a collector that is restarted misses. What lies between is passed
/// over then, since who looks at traces looks at what is new.
pub(super) const BEHIND_MAX: u64 = 100_000;
/// How long what happens is gathered before it is sent.
const GATHER: Duration = Duration::from_secs(1);
/// The first pause after a request that may be taken later, doubled before each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What is left gets so long when the daemon stops.
pub(super) const FLUSH_MAX: Duration = Duration::from_secs(3);

/// What the task works with.
pub(crate) struct Wiring {
    /// The journal's file.
    pub(crate) journal: PathBuf,
    /// The number of the first record that is told.
    pub(crate) from: u64,
    /// Marked as changed after each commit.
    pub(crate) commits: watch::Receiver<()>,
    /// Derives ids.
    pub(crate) ids: TraceIds,
    /// The name of the installation, as in the ids.
    pub(crate) installation: String,
    /// Where traces go.
    pub(crate) target: SharedTarget,
    /// Takes secrets out.
    pub(crate) redactor: SharedRedactor,
    /// Counts, and logs what goes wrong.
    pub(crate) report: Arc<Report>,
}

/// The running task.
pub(crate) struct Exporter {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Starts the task.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub(crate) fn start(wiring: Wiring) -> Result<Self, TargetError> {
        let client = Client::new(Arc::clone(&wiring.target))?;
        let (stop, stopping) = watch::channel(false);
        let resource = resource(&wiring.installation);
        let sender = Sender { client, report: Arc::clone(&wiring.report), resource, stopping, in_vain: 0 };
        Ok(Self { stop, task: tokio::spawn(run(wiring, sender)) })
    }

    /// Tells what is on record by now, as far as that can be done in [`FLUSH_MAX`], and ends the task.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(FLUSH_MAX, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!("the last traces were not sent: the collector did not take them in time");
        }
    }
}

async fn run(wiring: Wiring, sender: Sender) {
    if let Err(error) = follow(wiring, sender).await {
        tracing::error!(%error, "traces are sent no more, since the journal cannot be read");
    }
}

async fn follow(wiring: Wiring, mut sender: Sender) -> Result<(), StoreError> {
    let Wiring { journal, from, mut commits, ids, redactor, .. } = wiring;
    let opened = blocking(move || Ok(Story::new(ids, Reader::open(&journal)?, redactor, from))).await?;
    let Some(mut story) = opened else { return Ok(()) };
    let mut cursor = from;
    loop {
        let is_last = *sender.stopping.borrow();
        commits.mark_unchanged();
        let Some((back, part)) = blocking(move || read(story, cursor)).await? else { return Ok(()) };
        story = back;
        cursor = part.cursor;
        sender.report.metrics.trace_records_skipped.inc_by(part.skipped);
        for spans in part.spans.chunks(SPANS_MAX) {
            loop {
                let Some(pause) = sender.once(spans).await else { break };
                if is_last {
                    sender.count("dropped", spans.len());
                    return Ok(());
                }
                sender.pause(pause).await;
                let Some((back, behind)) = blocking(move || behind(story, cursor)).await? else { return Ok(()) };
                story = back;
                if behind > BEHIND_MAX {
                    sender.count("dropped", spans.len());
                    break;
                }
            }
        }
        if part.is_full {
            continue;
        }
        if is_last {
            return Ok(());
        }
        tokio::select! {
            changed = commits.changed() => if changed.is_err() { sender.stopped().await; },
            () = sender.stopped() => {}
        }
        sender.pause(GATHER).await;
    }
}

/// What was read at a time.
struct Part {
    spans: Vec<Span>,
    /// The next record.
    cursor: u64,
    skipped: u64,
    is_full: bool,
}

fn read(mut story: Story, mut cursor: u64) -> Result<(Story, Part), StoreError> {
    let last = story.reader().last_seq()?;
    let mut skipped = 0;
    if last.saturating_sub(cursor) > BEHIND_MAX {
        skipped = last - cursor;
        tracing::warn!(records = skipped, "traces are too far behind; what lies between is not told");
        cursor = last;
        story.skip_to(cursor);
    }
    let mut records = Vec::new();
    story.reader().scan(cursor, |stored| {
        records.push(stored);
        records.len() < READ_MAX
    })?;
    let is_full = records.len() == READ_MAX;
    let mut spans = Vec::new();
    for stored in records {
        cursor = stored.seq + 1;
        story.tell(stored, &mut spans)?;
    }
    Ok((story, Part { spans, cursor, skipped, is_full }))
}

fn behind(story: Story, cursor: u64) -> Result<(Story, u64), StoreError> {
    let last = story.reader().last_seq()?;
    Ok((story, last.saturating_sub(cursor)))
}

/// `None` where the runtime ends.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<Option<T>, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map(Some),
        Err(_) => Ok(None),
    }
}

/// Sends, and tells how that went.
struct Sender {
    client: Client,
    report: Arc<Report>,
    resource: Resource,
    stopping: watch::Receiver<bool>,
    /// Tries in a row that the collector did not take.
    in_vain: u32,
}

impl Sender {
    /// Sends spans once; gives how long to wait before the next try, if there should be one.
    async fn once(&mut self, spans: &[Span]) -> Option<Duration> {
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            ..InstrumentationScope::default()
        };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: spans.to_vec(), schema_url: String::new() }];
        let resource = Some(self.resource.clone());
        let resource_spans = vec![ResourceSpans { resource, scope_spans, schema_url: String::new() }];
        let sent = self.client.send(&ExportTraceServiceRequest { resource_spans }).await;
        let before = self.in_vain;
        let was_away = before > 0;
        self.in_vain = if matches!(sent, Sent::Later { .. }) { before.saturating_add(1) } else { 0 };
        match sent {
            Sent::Taken { refused, why } => {
                let refused = usize::try_from(refused).unwrap_or(usize::MAX).min(spans.len());
                self.count("sent", spans.len() - refused);
                self.count("refused", refused);
                if was_away {
                    tracing::info!("the collector takes traces again");
                }
                if refused > 0 {
                    tracing::warn!(spans = refused, error = %printable(&why), "the collector refused spans");
                }
                None
            }
            Sent::Refused(why) => {
                self.count("refused", spans.len());
                tracing::warn!(spans = spans.len(), error = %printable(&why), "the collector refused spans");
                None
            }
            Sent::Later { why, after } => {
                if !was_away {
                    tracing::warn!(error = %printable(&why), "the collector takes no traces; they wait in the journal");
                }
                Some(after.unwrap_or_else(|| PAUSE_MAX.min(PAUSE.saturating_mul(2_u32.saturating_pow(before)))))
            }
        }
    }

    fn count(&self, outcome: &'static str, spans: usize) {
        let spans = u64::try_from(spans).unwrap_or(u64::MAX);
        if spans > 0 {
            self.report.metrics.trace_spans.get_or_create(&TraceLabels { outcome }).inc_by(spans);
        }
    }

    /// Waits, but no longer than until the daemon stops.
    async fn pause(&mut self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stopped() => {}
        }
    }

    async fn stopped(&mut self) {
        // The sender goes only when the engine does.
        self.stopping.wait_for(|stop| *stop).await.ok();
    }
}

/// Who tells, by OpenTelemetry's conventions.
fn resource(installation: &str) -> Resource {
    let host = super::host_name();
    let attributes = [
        ("service.name", env!("CARGO_PKG_NAME")),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", installation),
        ("host.name", host.as_str()),
    ];
    let attributes = attributes.into_iter().map(|(key, value)| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    });
    Resource { attributes: attributes.collect(), ..Resource::default() }
}
