//! What the demo shows, one push after the other, and the check that each led to what is told.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::folder::{DISK_FULL, Folder, QUEUE_STUCK, SERVICE_DOWN};
use super::stage::{Answer, Stage};
use super::tell;
use crate::admin::views::{DecisionView, RuleDecisionView, RunStory};
use crate::cli::output::complain;
use crate::cli::{Exit, payload};
use crate::clock::{Timestamp, wall_now};

/// Characters of an incident's id.
const INCIDENT_ID_CHARS: usize = 24;

/// Tells it all.
pub(super) async fn tell(stage: &Stage, folder: &Folder) -> Result<(), Exit> {
    let story = Story { stage, folder };
    let disk = story.new_incident(DISK_FULL)?;
    story.healed(&disk).await?;
    story.repeated(&disk).await?;
    story.overtaken(&disk).await?;
    story.only_shown().await?;
    story.failed().await?;
    story.concerns_nobody().await?;
    story.forged().await
}

struct Story<'a> {
    stage: &'a Stage,
    folder: &'a Folder,
}

type Payload = Map<String, Value>;

impl Story<'_> {
    async fn healed(&self, push: &Payload) -> Result<(), Exit> {
        tell::chapter("1. A disk is full, and a rule frees it");
        self.accepted(push).await?;
        let decided = self.decided(push, "free-disk-space", "run").await?;
        let run = self.ended(&decided, "succeeded").await?;
        tell::run(&run);
        let left = self.folder.cache_left();
        check(left == 0, &format!("the cache was to be empty, and {left} files are left"))
    }

    async fn repeated(&self, push: &Payload) -> Result<(), Exit> {
        tell::chapter("2. Flashduty repeats the same push, as it does after a timeout");
        let answer = self.answered(push, self.folder.secret()).await?;
        check((answer.status, answer.said.as_str()) == (200, "duplicate"), "the answer was to be 200 duplicate")?;
        tell::row("decided", "nothing: this event_id is in the journal, so there is no second run");
        Ok(())
    }

    async fn overtaken(&self, first: &Payload) -> Result<(), Exit> {
        tell::chapter("3. An older event of the same incident arrives late");
        let earlier = first.get("event_time").and_then(Value::as_i64).map(Timestamp::from_millis).unwrap_or_default();
        let mut push = first.clone();
        fresh(&mut push, earlier.minus(Duration::from_secs(30)))?;
        set(&mut push, "event_type", json!("i_reopen"))?;
        self.accepted(&push).await?;
        let decision = self.stage.decision(&id(&push)).await?;
        let newest = decision.late_since;
        check(newest.is_some() && decision.rules.is_empty(), "the event was to be late")?;
        tell::row("decided", "late: it is older than what is known of the incident, so no rule acts on it");
        Ok(())
    }

    async fn only_shown(&self) -> Result<(), Exit> {
        tell::chapter("4. A service is down; its rule is still in dry-run");
        let push = self.new_incident(SERVICE_DOWN)?;
        self.accepted(&push).await?;
        let decided = self.decided(&push, "restart-service", "dry-run").await?;
        tell::plan(&decided);
        check(decided.plan.is_some(), "the plan was to be shown")?;
        check(!self.folder.has("restarted.txt"), "nothing was to be executed")
    }

    async fn failed(&self) -> Result<(), Exit> {
        tell::chapter("5. A queue is stuck, and the rule cannot help");
        let push = self.new_incident(QUEUE_STUCK)?;
        self.accepted(&push).await?;
        let decided = self.decided(&push, "drain-queue", "run").await?;
        let run = self.ended(&decided, "failed").await?;
        tell::run(&run);
        check(self.folder.has("handed-over.txt"), "a person was to be told")
    }

    async fn concerns_nobody(&self) -> Result<(), Exit> {
        tell::chapter("6. A disk is full on a development host");
        let mut push = self.new_incident(DISK_FULL)?;
        set(&mut push, "incident.labels.env", json!("dev"))?;
        set(&mut push, "incident.labels.resource", json!("dev-02"))?;
        set(&mut push, "incident.title", json!("dev-02 / disk full: / at 97%"))?;
        self.accepted(&push).await?;
        let decision = self.stage.decision(&id(&push)).await?;
        let none_acts = decision.rules.iter().all(|rule| rule.outcome == "not-matched");
        check(none_acts, "the event was to concern no rule")?;
        tell::row("decided", "no rule acts on it; each says which clause failed first (`stanch explain`)");
        let explanation = self.stage.explain(&id(&push)).await?;
        tell::reasons(&explanation);
        let blames_env = |why: &str| why.starts_with("match.labels.env ");
        let mut of_disk = explanation.rules.iter().filter(|rule| rule.rule == "free-disk-space");
        let named = of_disk.any(|rule| rule.reason.as_deref().is_some_and(blames_env));
        check(named, "match.labels.env was to be the reason")
    }

    async fn forged(&self) -> Result<(), Exit> {
        tell::chapter("7. Somebody without the secret pushes");
        let push = self.new_incident(DISK_FULL)?;
        let answer = self.answered(&push, "not-the-secret-of-the-demo").await?;
        check(answer.status == 401, "the answer was to be 401")?;
        check(!self.stage.knows(&id(&push)).await?, "a forged push was not to be recorded")?;
        tell::row("decided", "nothing: it was turned away before its body was read, and is not in the journal");
        Ok(())
    }

    /// A push about an incident that nobody heard of before.
    fn new_incident(&self, text: &str) -> Result<Payload, Exit> {
        let mut push: Payload = serde_json::from_str(text).map_err(|error| broken(&error.to_string()))?;
        fresh(&mut push, wall_now())?;
        let random = payload::random_id().map_err(|error| broken(&error.to_string()))?;
        let incident: String = random.chars().take(INCIDENT_ID_CHARS).collect();
        set(&mut push, "incident.incident_id", json!(incident))?;
        Ok(push)
    }

    async fn answered(&self, push: &Payload, secret: &str) -> Result<Answer, Exit> {
        tell::sent(push);
        let answer = self.stage.push(push, secret).await?;
        tell::row("answer", &format!("{} {} in {} ms", answer.status, answer.said, answer.took_ms));
        Ok(answer)
    }

    async fn accepted(&self, push: &Payload) -> Result<(), Exit> {
        let answer = self.answered(push, self.folder.secret()).await?;
        check((answer.status, answer.said.as_str()) == (200, "accepted"), "the answer was to be 200 accepted")
    }

    /// Waits for the decision, tells it, and checks that `rule` came to `outcome`.
    async fn decided(&self, push: &Payload, rule: &str, outcome: &str) -> Result<RuleDecisionView, Exit> {
        let decision: DecisionView = self.stage.decision(&id(push)).await?;
        decision.rules.iter().for_each(tell::decision);
        let found = decision.rules.into_iter().find(|decided| decided.rule == rule && decided.outcome == outcome);
        found.ok_or_else(|| broken(&format!("{rule} was to come to {outcome}")))
    }

    async fn ended(&self, decided: &RuleDecisionView, state: &str) -> Result<RunStory, Exit> {
        let run = decided.run.as_deref().ok_or_else(|| broken("there was to be a run"))?;
        let run = self.stage.run(run).await?;
        check(run.run.state == state, &format!("the run was to end as {state}, and is {}", run.run.state))?;
        Ok(run)
    }
}

fn id(push: &Payload) -> String {
    push.get("event_id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn fresh(push: &mut Payload, at: Timestamp) -> Result<(), Exit> {
    payload::freshen(push, at).map_err(|error| broken(&error.to_string()))
}

fn set(push: &mut Payload, path: &str, value: Value) -> Result<(), Exit> {
    payload::set(push, path, value).map_err(|error| broken(&error.to_string()))
}

pub(super) fn check(holds: bool, what: &str) -> Result<(), Exit> {
    if holds { Ok(()) } else { Err(broken(what)) }
}

pub(super) fn broken(what: &str) -> Exit {
    complain(&format!("the demo did not go as told: {what}"));
    Exit::No
}
