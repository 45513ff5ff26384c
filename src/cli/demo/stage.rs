//! The engine of the demo, pushing at it, and waiting for what its journal says. Never sleeps for a fixed time: each
//! wait is for a condition, and ends with an error.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::folder::Folder;
use crate::admin::views::{DecisionView, RunStory, WriteBackView};
use crate::admin::{self, Served};
use crate::cli::output::complain;
use crate::cli::{Exit, send, serve, setup};
use crate::clock::Stopwatch;
use crate::config::{Config, Log, LogFormat};
use crate::decide::explain::{Explanation, explain};
use crate::decide::{Question, Scope};
use crate::engine::{CaughtUp, Engine, Handle, Options, StartError, event_of};
use crate::journal::read::Reader;
use crate::journal::record::Record;
use crate::journal::store::StoreError;
use crate::report::logging::{self, Logging};
use crate::report::redact::Redactor;

/// How long anything in the demo may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long runs get to end when it is over; all of them have ended by then.
const GRACE: Duration = Duration::from_secs(2);
/// How often a port is tried: another program can take one between finding and using it.
const PORT_TRIES: usize = 5;
/// How many of the newest pushes are looked through.
const PUSHES_LOOKED_AT: usize = 50;
/// The header of the secret.
pub(super) const HEADER: &str = "X-Stanch-Token";

/// A running engine with a sender.
pub(super) struct Stage {
    engine: Engine,
    handle: Handle,
    admin: Served,
    stop_admin: watch::Sender<bool>,
    http: reqwest::Client,
    url: String,
    /// The last, since fields are dropped in this order.
    _logging: Logging,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) said: String,
    pub(super) took_ms: u64,
}

impl Stage {
    /// Starts the engine on the folder's config.
    pub(super) async fn set(folder: &Folder) -> Result<Self, Exit> {
        let redactor = Arc::new(ArcSwap::from_pointee(Redactor::none()));
        let log = Log { format: LogFormat::Auto, level: "error".into() };
        let logging = logging::init(&log, Arc::clone(&redactor)).map_err(|error| fail(&error))?;
        let own_binary = serve::own_binary()?;
        let options = Options { own_binary, redactor, ..Options::of_reader() };
        let (engine, config) = start(folder, &options).await?;
        let handle = engine.handle();
        let (stop_admin, stopping) = watch::channel(false);
        let admin = admin::serve(&config.admin, handle.clone(), stopping).await.map_err(|error| {
            fail(&format!("{error}; a shorter TMPDIR helps where the path is too long for a socket"))
        })?;
        let path = config.sources.first().map_or("/", |source| source.path.as_str());
        let url = format!("http://{}{path}", engine.webhook());
        let http = send::http_client(&url)?;
        Ok(Self { engine, handle, admin, stop_admin, http, url, _logging: logging })
    }

    /// Where pushes go.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Posts a payload, with a secret.
    pub(super) async fn push(&self, payload: &Map<String, Value>, secret: &str) -> Result<Answer, Exit> {
        let body = Value::Object(payload.clone()).to_string();
        let request =
            self.http.post(&self.url).header(CONTENT_TYPE, "application/json").header(HEADER, secret).body(body);
        let watch = Stopwatch::start();
        let answered = async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status().as_u16(), response.json::<Value>().await?))
        };
        let (status, answer) =
            answered.await.map_err(|error| fail(&format!("cannot push to {}: {error}", self.url)))?;
        let words = [&answer["status"], &answer["error"]["code"]];
        let said = words.into_iter().find_map(Value::as_str).unwrap_or("?").to_owned();
        Ok(Answer { status, said, took_ms: watch.elapsed_ms() })
    }

    /// Waits until an event is decided.
    pub(super) async fn decision(&self, event: &str) -> Result<DecisionView, Exit> {
        let event = event.to_owned();
        let what = format!("the decision on event {event}");
        self.wait_for(&what, move |reader| {
            let Some(push) = reader.push(&event)? else { return Ok(None) };
            Ok(reader.decision_on(push.seq)?.as_ref().and_then(DecisionView::of))
        })
        .await
    }

    /// Waits until a run ended.
    pub(super) async fn run(&self, run: &str) -> Result<RunStory, Exit> {
        let run = run.to_owned();
        let what = format!("the end of run {run}");
        self.wait_for(&what, move |reader| {
            let records = reader.about_run(&run)?;
            let ended = records.iter().any(|stored| matches!(stored.record, Record::RunEnded { .. }));
            Ok(if ended { RunStory::of(&records, None) } else { None })
        })
        .await
    }

    /// Waits until nothing of what a run wrote back is on its way any more.
    pub(super) async fn written_back(&self, run: &str) -> Result<Vec<WriteBackView>, Exit> {
        let run = run.to_owned();
        let what = format!("what run {run} writes back");
        self.wait_for(&what, move |reader| {
            let views = WriteBackView::of(&reader.about_run(&run)?);
            let is_over = |view: &WriteBackView| matches!(view.outcome.as_str(), "sent" | "failed" | "unknown");
            Ok((!views.is_empty() && views.iter().all(is_over)).then_some(views))
        })
        .await
    }

    /// Waits until Flashduty has pushed an event of this type about an incident.
    pub(super) async fn pushed(&self, event_type: &str, incident: &str) -> Result<(), Exit> {
        let (wanted, incident) = (event_type.to_owned(), incident.to_owned());
        let what = format!("{event_type} to come back");
        self.wait_for(&what, move |reader| {
            let pushes = reader.pushes_before(i64::MAX.unsigned_abs(), PUSHES_LOOKED_AT)?;
            Ok(pushes.iter().find_map(|push| match &push.record {
                Record::Received { event_type, entity, .. } => {
                    (**event_type == *wanted && entity.id() == incident).then_some(())
                }
                _ => None,
            }))
        })
        .await
    }

    /// Asks Flashduty for what was missed in the last hour.
    pub(super) async fn catch_up(&self) -> Result<CaughtUp, Exit> {
        self.handle.catch_up(Duration::from_secs(3_600)).await.map_err(|error| fail(&error.to_string()))
    }

    /// Whether an event is in the journal.
    pub(super) async fn knows(&self, event: &str) -> Result<bool, Exit> {
        let id = event.to_owned();
        let push = self.handle.read(move |reader| reader.push(&id)).await;
        push.map(|push| push.is_some()).map_err(|error| fail(&error.to_string()))
    }

    /// Asks every rule about an event that was received.
    pub(super) async fn explain(&self, event: &str) -> Result<Explanation, Exit> {
        let id = event.to_owned();
        let push = self.handle.read(move |reader| reader.push(&id)).await.map_err(|error| fail(&error.to_string()))?;
        let seq = push.as_ref().map_or(0, |push| push.seq);
        let event =
            push.as_ref().and_then(event_of).ok_or_else(|| fail(&format!("event {event} is not in the journal")))?;
        let asked = self.handle.inspect(move |history, in_force, now| {
            let question = Question {
                event: &event,
                seq,
                newest: None,
                rules: &in_force.rules,
                settings: &in_force.settings,
                scope: Scope::Every,
            };
            explain(&question, history.clone(), now, None)
        });
        asked.await.map_err(|error| fail(&error.to_string()))
    }

    /// Stops the engine.
    pub(super) async fn strike(self) {
        self.stop_admin.send_replace(true);
        self.engine.stop(GRACE, std::future::pending()).await;
        self.admin.ended().await;
    }

    async fn wait_for<T: Send + 'static>(
        &self,
        what: &str,
        look: impl Fn(&Reader) -> Result<Option<T>, StoreError> + Clone + Send + 'static,
    ) -> Result<T, Exit> {
        let waited = tokio::time::timeout(PATIENCE, async {
            let mut every = tokio::time::interval(LOOK_EVERY);
            loop {
                every.tick().await;
                let look = look.clone();
                match self.handle.read(move |reader| look(reader)).await {
                    Ok(Some(found)) => return Ok(found),
                    Ok(None) => {}
                    Err(error) => return Err(fail(&error.to_string())),
                }
            }
        });
        waited.await.unwrap_or_else(|_| Err(fail(&format!("{what} did not come within {} s", PATIENCE.as_secs()))))
    }
}

async fn start(folder: &Folder, options: &Options) -> Result<(Engine, Config), Exit> {
    let mut tries = 1;
    loop {
        let config = setup::config(&folder.config())?;
        let rules = setup::rules(&config)?;
        match Engine::start(config.clone(), rules, options.clone()).await {
            Ok(engine) => return Ok((engine, config)),
            Err(StartError::Listen { .. }) if tries < PORT_TRIES => {
                tries += 1;
                folder.take_port().map_err(|error| fail(&format!("cannot find a free port: {error}")))?;
            }
            Err(error) => return Err(fail(&format!("the engine did not start: {error}"))),
        }
    }
}

fn fail(message: &str) -> Exit {
    complain(message);
    Exit::Internal
}
