//! The engine's client of Flashduty, and what goes into the outbox.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::StartError;
use crate::action::HttpError;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::decide::Decision;
use crate::event::Event;
use crate::journal::history::{History, Run, Waiting};
use crate::journal::record::{Outcome, Record, RunEnd, RunId, WriteBack, WriteBackCall, WriteBackId};
use crate::report::Report;
use crate::report::comment::{Ended, of_dry_run, of_run};
use crate::report::flashduty::{Client, Pace};
use crate::report::logging::SharedRedactor;
use crate::report::outbox::Room;
use crate::rule::{Reporting, Rule};
use crate::runner::Observer as _;

/// A client for what the config says; none where it says nothing of Flashduty.
pub(super) fn client(config: &Config, pace: &Arc<Pace>) -> Result<Option<Arc<Client>>, ClientError> {
    let Some(flashduty) = &config.flashduty else { return Ok(None) };
    let app_key = flashduty.app_key.resolve().map_err(|error| ClientError::Secret(error.to_string()))?;
    Ok(Some(Arc::new(Client::new(&flashduty.api, app_key, Arc::clone(pace))?)))
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("{0}")]
    Secret(String),
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl From<ClientError> for StartError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Secret(message) => Self::Secret(message),
            ClientError::Http(error) => Self::Runner(error.into()),
        }
    }
}

/// The way into the outbox, for the deciding task.
pub(super) struct Outgoing {
    pub(super) sender: mpsc::UnboundedSender<Waiting>,
    pub(super) room: Room,
    pub(super) redactor: SharedRedactor,
}

impl Outgoing {
    /// Whether a record queues what was not queued before. The place of what was is given back.
    pub(super) fn is_new(&self, record: &Record, history: &History) -> bool {
        let Record::WriteBackQueued { write_back } = record else { return false };
        let is_known = history.outbox.knows(&write_back.id);
        if is_known {
            self.room.give_back();
        }
        !is_known
    }

    /// Hands on what is queued on record. Its place was taken before.
    pub(super) fn hand_on(&self, at: Timestamp, record: &Record) {
        if let Record::WriteBackQueued { write_back } = record {
            let one = Waiting { write_back: write_back.clone(), queued_at: at, tries: 0, in_doubt: false };
            // An outbox that ended leaves it in the journal for the next start.
            self.sender.send(one).ok();
        }
    }

    /// What a dry-run says on its incident, where its rule wants that.
    pub(super) fn of_dry_run(&self, decision: &Decision, event: &Event, report: &Report) -> Option<Record> {
        let rule = &decision.rule;
        let wanted = rule.report == Reporting::DryRuns && decision.decided.outcome == Outcome::DryRun;
        let (incident, plan) = event.incident_id.as_ref().zip(decision.plan.as_ref()).filter(|_| wanted)?;
        let about = About { rule, event: &event.id, incident, run: None, id: &["dry-run", event.id.as_str()] };
        self.comment(&about, &of_dry_run(rule, event, plan), report)
    }

    /// What is said about a run that a crash cut short.
    pub(super) fn of_interrupted(
        &self,
        id: &RunId,
        run: &Run,
        rule: &Rule,
        error: Option<&str>,
        duration_ms: u64,
        report: &Report,
    ) -> Option<Record> {
        let incident = run.incident.as_ref().filter(|_| rule.report != Reporting::Off)?;
        let text = of_run(&Ended {
            run: id,
            rule: rule.id.as_str(),
            target: &run.target,
            event: None,
            end: RunEnd::Interrupted,
            error,
            did: &[],
            duration_ms,
            run_link: None,
        });
        let about = About { rule, event: &run.event, incident, run: Some(id), id: &["report", id.as_str()] };
        self.comment(&about, &text, report)
    }

    fn comment(&self, about: &About<'_>, text: &str, report: &Report) -> Option<Record> {
        let call = WriteBackCall::Comment { comment: self.redactor.load().redact(text).into_owned() };
        if let Err(full) = self.room.take(1) {
            report.not_queued(&about.rule.id, call.name(), &full);
            return None;
        }
        let id = match about.run {
            Some(_) => WriteBackId::derive(about.id),
            None => WriteBackId::derive(&[about.id, &[about.rule.id.as_str()]].concat()),
        };
        Some(Record::WriteBackQueued {
            write_back: WriteBack {
                id,
                incident: Arc::clone(about.incident),
                event: about.event.clone(),
                run: about.run.cloned(),
                rule: about.rule.id.clone(),
                call,
            },
        })
    }
}

/// What a comment is about.
struct About<'a> {
    rule: &'a Rule,
    event: &'a crate::event::EventId,
    incident: &'a Arc<str>,
    run: Option<&'a RunId>,
    id: &'a [&'a str],
}
