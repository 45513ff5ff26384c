//! The loop with Flashduty, against the fake one: writing back, asking before acting, catching up.

mod catching_up;
mod crashes;
mod fake;
mod recheck;
mod writing_back;

use serde_json::{Map, Value, json};
use stanch::fake_flashduty::Fake;

use crate::support::{Daemon, Folder, admin, wait_for};

/// The app key in these tests.
pub(super) const APP_KEY: &str = "the-app-key-of-the-tests-9876543210";

/// A fake Flashduty with a runtime of its own.
pub(super) struct Vendor {
    runtime: tokio::runtime::Runtime,
    pub(super) fake: Fake,
}

impl Vendor {
    pub(super) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let fake = runtime.block_on(Fake::start(listen, APP_KEY)).unwrap();
        Self { runtime, fake }
    }

    /// Opens an incident with this id.
    pub(super) fn open(&self, id: &str) {
        self.open_with(id, json!({}));
    }

    pub(super) fn open_with(&self, id: &str, more: Value) {
        let mut incident: Map<String, Value> = more.as_object().unwrap().clone();
        incident.insert("incident_id".into(), id.into());
        self.fake.open(incident);
    }

    /// A folder whose config knows this Flashduty, with `keys` in its `flashduty` section.
    pub(super) fn folder(&self, rules: &str, keys: &str) -> Folder {
        folder_for(&self.fake.url(), rules, keys)
    }

    /// Waits until so many calls of one path were answered with 200.
    pub(super) fn wait_for_calls(&self, path: &str, count: usize) {
        wait_for(&format!("{count} calls of {path}"), || {
            let seen = self.fake.seen().into_iter().filter(|seen| seen.path == path && seen.status == 200).count();
            if seen >= count { Ok(()) } else { Err(format!("{seen}: {:#?}", self.fake.seen())) }
        });
    }

    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Paths and statuses of the calls that were seen.
    pub(super) fn calls(&self) -> Vec<(String, u16)> {
        self.fake.seen().into_iter().map(|seen| (seen.path, seen.status)).collect()
    }
}

pub(super) fn folder_for(api: &str, rules: &str, keys: &str) -> Folder {
    let folder = Folder::with_rules(rules);
    folder.write("secrets/app-key", APP_KEY, 0o600);
    folder.config(&format!("flashduty: {{ api: \"{api}\", app_key: {{ file: secrets/app-key }}{keys} }}\n"))
}

/// A rule for new incidents with these steps.
pub(super) fn rule(id: &str, more: &str) -> String {
    format!(
        "rules:\n  - id: {id}\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    \
         target: \"{{{{ labels.resource }}}}\"\n{more}"
    )
}

/// The write-backs of the only run of an event, once none of them waits any more.
pub(super) fn written_back(daemon: &Daemon, event: &str) -> Vec<Value> {
    daemon.ended(event);
    wait_for(&format!("the write-backs of {event}"), || {
        let story = daemon.decided(event);
        let views = story["runs"][0]["write_backs"].as_array().unwrap().clone();
        let is_over = |view: &Value| matches!(view["outcome"].as_str(), Some("sent" | "failed" | "unknown"));
        if !views.is_empty() && views.iter().all(is_over) { Ok(views) } else { Err(story.to_string()) }
    })
}

/// Waits until no run goes on or waits, and no write-back either.
pub(super) fn settled(daemon: &Daemon) {
    wait_for("the outbox to be empty", || {
        let (_, metrics) = admin(&daemon.folder.path("data/stanch.sock"), "GET", "/metrics", "").unwrap();
        let busy = ["stanch_writeback_waiting", "stanch_runs_active", "stanch_runs_waiting", "stanch_undecided"];
        let is_idle = busy.iter().all(|name| metrics.contains(&format!("\n{name} 0\n")));
        if is_idle { Ok(()) } else { Err(metrics) }
    });
}
