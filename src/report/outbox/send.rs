//! Sending one write-back to its end: what is recorded before and after each try, and how long is waited between.

use tokio::sync::watch;

use super::{Wiring, verdict};
use crate::chance::chance;
use crate::journal::history::Waiting;
use crate::journal::record::{Record, WriteBackOutcome};
use crate::journal::{RecordSink, Refused};
use crate::report::flashduty;

/// Why the outbox sends nothing further.
pub(super) enum Halt {
    Stopping,
    Refused(Refused),
}

/// Sends one write-back at a time for each who asks.
pub(super) struct Sender<S> {
    pub(super) wiring: Wiring<S>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// What a try led to, for its record.
struct Tried {
    outcome: WriteBackOutcome,
    /// Whether Flashduty was asked, or may have been.
    asked: bool,
    request_id: Option<String>,
    error: Option<String>,
}

impl Tried {
    fn gave_up(error: impl Into<String>) -> Self {
        Self { outcome: WriteBackOutcome::Failed, asked: false, request_id: None, error: Some(error.into()) }
    }
}

impl<S: RecordSink> Sender<S> {
    /// Sends one write-back to its end, or until the engine stops.
    pub(super) async fn send(&self, mut one: Waiting) -> Result<(), Halt> {
        let mut unreached = 0;
        loop {
            let tried = match self.may_not_be_sent(&one) {
                Some(tried) => tried,
                None => self.once(&one).await?,
            };
            let outcome = tried.outcome;
            self.record(&one, tried).await?;
            let pause = match outcome {
                WriteBackOutcome::Sent | WriteBackOutcome::Failed | WriteBackOutcome::Unknown => return Ok(()),
                WriteBackOutcome::Again => {
                    one.tries += 1;
                    flashduty::backoff(one.tries, chance())
                }
                WriteBackOutcome::Unreached => {
                    unreached += 1;
                    flashduty::backoff(unreached, chance())
                }
            };
            one.in_doubt = false;
            tokio::select! {
                biased;
                () = self.until_stop() => return Err(Halt::Stopping),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Why it is over without being sent, if it is.
    fn may_not_be_sent(&self, one: &Waiting) -> Option<Tried> {
        let call = &one.write_back.call;
        if one.in_doubt && !call.is_repeatable() {
            let why = "the daemon died after it was sent and before it was answered; a comment cannot be told from \
                       its repetition, so it is not sent again";
            let (outcome, error) = (WriteBackOutcome::Unknown, Some(why.into()));
            return Some(Tried { outcome, asked: true, request_id: None, error });
        }
        if self.wiring.clock.now() >= one.expires() {
            let lasts = crate::rule::duration::show(call.lasts());
            return Some(Tried::gave_up(format!("it waited for {lasts}, after which it is not sent any more")));
        }
        self.wiring.client.load().is_none().then(|| Tried::gave_up("the config has no `flashduty` section any more"))
    }

    async fn once(&self, one: &Waiting) -> Result<Tried, Halt> {
        if *self.stopping.borrow() {
            return Err(Halt::Stopping);
        }
        let Some(client) = self.wiring.client.load_full() else {
            return Ok(Tried::gave_up("the config has no `flashduty` section any more"));
        };
        let write_back = &one.write_back;
        let started = Record::WriteBackStarted {
            id: write_back.id.clone(),
            run: write_back.run.clone(),
            event: write_back.event.clone(),
            attempt: one.tries + 1,
        };
        self.wiring.sink.append(vec![started]).await.map_err(Halt::Refused)?;
        Ok(match client.write(&write_back.incident, &write_back.call).await {
            Ok(answer) => {
                let request_id = answer.request_id;
                Tried { outcome: WriteBackOutcome::Sent, asked: true, request_id, error: None }
            }
            Err(error) => Tried {
                outcome: verdict(&write_back.call, &error, one.tries + 1),
                asked: true,
                request_id: error.request_id().map(str::to_owned),
                error: Some(error.to_string()),
            },
        })
    }

    async fn record(&self, one: &Waiting, tried: Tried) -> Result<(), Halt> {
        let Tried { outcome, asked, request_id, error } = tried;
        let redactor = self.wiring.redactor.load();
        let error = error.map(|error| redactor.redact(&error).into_owned());
        let write_back = &one.write_back;
        self.wiring.report.written_back(write_back, outcome, error.as_deref());
        let record = Record::WrittenBack {
            id: write_back.id.clone(),
            run: write_back.run.clone(),
            event: write_back.event.clone(),
            attempt: one.tries + u32::from(asked),
            outcome,
            request_id,
            error,
        };
        self.wiring.sink.append(vec![record]).await.map_err(Halt::Refused)
    }

    async fn until_stop(&self) {
        // An engine that is gone has stopped.
        self.stopping.clone().wait_for(|stop| *stop).await.ok();
    }
}
