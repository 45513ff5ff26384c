//! `demo --loop`: the loop with Flashduty, against the fake one. What is told is what the fake saw.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Map, Value, json};

use super::folder::{DISK_FULL, Folder, SERVICE_DOWN};
use super::stage::{HEADER, Stage};
use super::story::{broken, check};
use super::tell;
use crate::admin::views::{DecisionView, RunStory};
use crate::cli::output::{cell, complain};
use crate::cli::{Exit, payload};
use crate::fake_flashduty::{Fake, Fault, Webhook};

/// The person of the documented payloads.
const PERSON: &str = "wang.lei@example.com";
/// Somebody whom the rule does not name.
const STRANGER: &str = "somebody.else@example.com";
/// How much of a line is shown, in characters.
const LINE_CHARS_MAX: usize = 160;

/// The fake Flashduty and the key that it asks for.
pub(super) struct Vendor {
    fake: Fake,
    app_key: String,
}

impl Vendor {
    pub(super) async fn start() -> Result<Self, Exit> {
        let app_key = payload::random_id().map_err(|error| fail(&error.to_string()))?;
        let fake = Fake::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &app_key).await;
        let fake = fake.map_err(|error| fail(&format!("cannot start the fake Flashduty: {error}")))?;
        Ok(Self { fake, app_key })
    }

    /// The demo's folder, with a config that knows this Flashduty.
    pub(super) fn folder(&self) -> io::Result<Folder> {
        Folder::make_for_loop(&self.fake.url(), &self.app_key)
    }
}

/// Tells it all.
pub(super) async fn tell(stage: &Stage, folder: &Folder, vendor: &Vendor) -> Result<(), Exit> {
    let webhook = Webhook::new(stage.url(), HEADER, folder.secret()).map_err(|error| fail(&error))?;
    vendor.fake.set_webhook(Some(webhook));
    tell::row("flashduty", &format!("a fake one at {}, with the calls and limits of the real one", vendor.fake.url()));
    let story = Story { stage, folder, fake: &vendor.fake };
    story.healed_and_closed().await?;
    story.button().await?;
    story.closed_before().await?;
    story.busy_and_broken().await?;
    story.missed().await
}

struct Story<'a> {
    stage: &'a Stage,
    folder: &'a Folder,
    fake: &'a Fake,
}

impl Story<'_> {
    async fn healed_and_closed(&self) -> Result<(), Exit> {
        tell::chapter("1. Flashduty pushes an incident; a rule heals it, tells, and closes it");
        let id = self.open(DISK_FULL)?;
        let run = self.acted("i_new", &id, "free-disk-space", Map::new()).await?;
        check(run.run.state == "succeeded" && self.folder.cache_left() == 0, "the disk was to be free")?;
        self.written_back(&run).await?;
        self.shown(&id);
        check(self.is_closed(&id), "the incident was to be closed")?;
        check(self.fake.comments(&id).len() == 1, "there was to be one comment")?;
        self.stage.pushed("i_rslv", &id).await?;
        tell::row("pushed", "i_rslv came back and frees the rule's slot; our comment is muted, so it causes no push");
        Ok(())
    }

    async fn button(&self) -> Result<(), Exit> {
        tell::chapter("2. A person presses the button \"Restart\" on an incident");
        let id = self.open(SERVICE_DOWN)?;
        let by = |email: &str| Map::from_iter([("person".to_owned(), json!({ "person_id": 7, "email": email }))]);
        let (_, decision) = self.pushed("i_custom", &id, by(STRANGER)).await?;
        let refused = decision.rules.iter().all(|rule| rule.outcome == "not-matched");
        check(refused, "a stranger was to be refused")?;
        tell::row("decided", &format!("{STRANGER} is not named in the rule's `match.person`: nothing runs"));
        let run = self.acted("i_custom", &id, "restart-service", by(PERSON)).await?;
        check(run.run.state == "succeeded", "the service was to be restarted")?;
        self.written_back(&run).await?;
        self.shown(&id);
        let named = self.fake.comments(&id).iter().any(|comment| comment.contains(PERSON));
        check(named, "the comment was to name who pressed")
    }

    async fn closed_before(&self) -> Result<(), Exit> {
        tell::chapter("3. A person closes the incident while the push is on its way");
        self.fill()?;
        let id = self.open(DISK_FULL)?;
        self.fake.close(&id);
        let run = self.acted("i_new", &id, "free-disk-space", Map::new()).await?;
        check(run.run.state == "cancelled" && self.folder.cache_left() > 0, "nothing was to be done")
    }

    async fn busy_and_broken(&self) -> Result<(), Exit> {
        tell::chapter("4. Flashduty is busy, then breaks off after it has done what was asked");
        let id = self.open(DISK_FULL)?;
        // The question before acting gets through; then the first call is refused, and the second one's answer lost.
        self.fake.fail_next([None, Some(Fault::TooFrequent), None, Some(Fault::DropAfter)]);
        let run = self.acted("i_new", &id, "free-disk-space", Map::new()).await?;
        self.written_back(&run).await?;
        let comments = self.fake.comments(&id).len();
        tell::row("", &format!("the comment is in doubt and not sent again; on the incident stands {comments}"));
        check(comments == 1 && self.is_closed(&id), "one comment was to stand there, on a closed incident")
    }

    async fn missed(&self) -> Result<(), Exit> {
        tell::chapter("5. An incident is opened while nobody listens");
        self.fill()?;
        let id = self.open(DISK_FULL)?;
        tell::row("", "no push came; `stanch catch-up`, and every start, asks Flashduty what was missed");
        let caught = self.stage.catch_up().await?;
        tell::row("caught up", &format!("{} taken in, {} known", caught.taken, caught.known));
        let event = format!("catch-up-{id}");
        let decision = self.stage.decision(&event).await?;
        let run = self.run_of(&decision, "free-disk-space").await?;
        self.written_back(&run).await?;
        check(self.is_closed(&id), "the incident was to be closed")?;
        let again = self.stage.catch_up().await?;
        check(again.taken == 0, "a second catch-up was to find nothing new")
    }

    /// Opens an incident that nobody heard of before, as an example payload has it.
    fn open(&self, text: &str) -> Result<String, Exit> {
        let push: Value = serde_json::from_str(text).map_err(|error| broken(&error.to_string()))?;
        let mut incident = push["incident"].as_object().cloned().unwrap_or_default();
        let random = payload::random_id().map_err(|error| broken(&error.to_string()))?;
        let id: String = random.chars().take(24).collect();
        let now = crate::clock::wall_now().as_secs();
        for (name, value) in [("incident_id", json!(id)), ("created_at", json!(now)), ("start_time", json!(now))] {
            incident.insert(name.into(), value);
        }
        self.fake.open(incident);
        Ok(id)
    }

    fn fill(&self) -> Result<(), Exit> {
        self.folder.fill_cache().map_err(|error| fail(&format!("cannot fill the demo's disk: {error}")))
    }

    fn is_closed(&self, id: &str) -> bool {
        self.fake.incident(id).is_some_and(|incident| incident.get("progress") == Some(&json!("Closed")))
    }

    /// Lets Flashduty push, and waits for the decision.
    async fn pushed(
        &self,
        event_type: &str,
        id: &str,
        more: Map<String, Value>,
    ) -> Result<(String, DecisionView), Exit> {
        let mut shown = more.clone();
        shown.insert("event_type".into(), event_type.into());
        shown.insert("incident".into(), json!(self.fake.incident(id)));
        tell::sent(&shown);
        let (event, status) = self.fake.push(event_type, id, more).await.map_err(|error| fail(&error))?;
        check(status == 200, "the answer was to be 200")?;
        let decision = self.stage.decision(&event).await?;
        Ok((event, decision))
    }

    /// Lets Flashduty push what leads to a run, and tells that run.
    async fn acted(&self, event_type: &str, id: &str, rule: &str, more: Map<String, Value>) -> Result<RunStory, Exit> {
        let (_, decision) = self.pushed(event_type, id, more).await?;
        self.run_of(&decision, rule).await
    }

    async fn run_of(&self, decision: &DecisionView, rule: &str) -> Result<RunStory, Exit> {
        decision.rules.iter().for_each(tell::decision);
        let run = decision.rules.iter().find(|decided| decided.rule == rule).and_then(|decided| decided.run.clone());
        let run = self.stage.run(&run.ok_or_else(|| broken(&format!("{rule} was to run")))?).await?;
        tell::run(&run);
        Ok(run)
    }

    /// Waits until the run's write-backs are over, and tells them.
    async fn written_back(&self, run: &RunStory) -> Result<(), Exit> {
        for view in self.stage.written_back(&run.run.run).await? {
            let tries = if view.attempts > 1 { format!(" at try {}", view.attempts) } else { String::new() };
            let why = view.error.filter(|_| view.outcome != "sent");
            let why = why.map(|why| format!(": {}", cell(&why, LINE_CHARS_MAX))).unwrap_or_default();
            tell::row("wrote", &format!("{}: {}{tries}{why}", view.call, view.outcome));
        }
        Ok(())
    }

    /// What stands on the incident now, as a person sees it in Flashduty.
    fn shown(&self, id: &str) {
        let incident = self.fake.incident(id).unwrap_or_default();
        let text = |name: &str| incident.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
        tell::row("incident", &format!("\"{}\" is {}", cell(&text("title"), LINE_CHARS_MAX), text("progress")));
        for comment in self.fake.comments(id) {
            for line in comment.lines() {
                tell::row("", &format!("| {}", cell(line, LINE_CHARS_MAX)));
            }
        }
    }
}

fn fail(message: &str) -> Exit {
    complain(message);
    Exit::Internal
}
