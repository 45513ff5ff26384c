//! The client of Flashduty's Open API: every call that Stanch makes, within the vendor's limits.
//!
//! The app key travels in the URL, so no URL and no error of the HTTP library leaves this module unscrubbed. The client
//! says what is known of a call that was not answered, so that whoever asked can tell what may be sent again; it
//! repeats nothing itself but questions.

mod answer;
mod backoff;
mod error;
mod pace;

pub use answer::{Answer, ListPage};
pub(super) use backoff::backoff;
pub use error::CallError;
pub use pace::Pace;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::action::HttpError;
use crate::chance::chance;
use crate::config::secret::Secret;
use crate::journal::record::WriteBackCall;

/// How long one call may take. The vendor's own answers come within a second.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read. A page of 100 incidents has about 2 MB.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// How often a call is made in all: once, and the three repetitions that the vendor allows.
pub const TRIES_MAX: u32 = 4;
/// Incidents of one page of a list, the most that the vendor gives.
const PAGE: usize = 100;

/// Calls the Open API. Clones are the same client.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    api: String,
    app_key: Secret,
    pace: Arc<Pace>,
}

impl Client {
    /// A client for the API at `api`. `pace` is shared with the client before it, where there was one: the vendor counts
    /// requests, not clients.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new(api: &str, app_key: Secret, pace: Arc<Pace>) -> Result<Self, HttpError> {
        let http = crate::action::client_builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            // A connection that idled may be dead, and then nobody knows whether a comment arrived.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| HttpError::new(&error))?;
        Ok(Self(Arc::new(Inner { http, api: api.to_owned(), app_key, pace })))
    }

    /// Makes a call that changes `incident`, once.
    ///
    /// # Errors
    /// Why it was not done, or why that is not known.
    pub async fn write(&self, incident: &str, call: &WriteBackCall) -> Result<Answer, CallError> {
        let (path, body) = request(incident, call);
        self.call(path, &body).await
    }

    /// The incident as it is now. Repeated within the vendor's limits where that may help.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn info(&self, incident: &str) -> Result<Value, CallError> {
        self.ask("/incident/info", &json!({ "incident_id": incident })).await.map(|answer| answer.data)
    }

    /// A page, from 1, of the open incidents that began between two times in Unix seconds, at most 31 days apart.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn open_incidents(&self, from: i64, to: i64, page: u32) -> Result<ListPage, CallError> {
        let body = json!({
            "start_time": from,
            "end_time": to,
            "progress": "Triggered,Processing",
            "limit": PAGE,
            "p": page,
        });
        self.ask("/incident/list", &body).await.map(|answer| ListPage::of(&answer.data))
    }

    /// Asks once for the newest incident since a time in Unix seconds, of which nothing is kept: whether the API
    /// answers, and takes the app key. It changes nothing.
    ///
    /// # Errors
    /// Why it did not answer, or what it said.
    pub async fn look(&self, from: i64, to: i64) -> Result<(), CallError> {
        self.call("/incident/list", &json!({ "start_time": from, "end_time": to, "limit": 1, "p": 1 })).await.map(drop)
    }

    /// A page, from 1, of the alerts of an incident.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn alerts(&self, incident: &str, page: u32) -> Result<ListPage, CallError> {
        let body = json!({ "incident_id": incident, "limit": PAGE, "p": page });
        self.ask("/incident/alert/list", &body).await.map(|answer| ListPage::of(&answer.data))
    }

    /// Asks a question, which can be repeated freely.
    async fn ask(&self, path: &str, body: &Value) -> Result<Answer, CallError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.call(path, body).await {
                Err(error) if tries < TRIES_MAX && error.may_pass() => {
                    tokio::time::sleep(backoff(tries, chance())).await;
                }
                settled => return settled,
            }
        }
    }

    async fn call(&self, path: &str, body: &Value) -> Result<Answer, CallError> {
        let url = self.url(path)?;
        self.0.pace.wait().await;
        let sent = self.0.http.post(url).json(body).send().await;
        let mut response = sent.map_err(CallError::of)?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(CallError::of)? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(CallError::NoAnswer { why: format!("its answer has more than {ANSWER_BYTES_MAX} bytes") });
            }
            bytes.extend_from_slice(&chunk);
        }
        answer::read(status, &bytes)
    }

    fn url(&self, path: &str) -> Result<Url, CallError> {
        let mut url = Url::parse(&format!("{}{path}", self.0.api))
            .map_err(|error| CallError::NotReached { why: format!("its URL is not valid: {error}") })?;
        url.query_pairs_mut().append_pair("app_key", self.0.app_key.expose());
        Ok(url)
    }
}

/// The path and the body of a call.
fn request(incident: &str, call: &WriteBackCall) -> (&'static str, Value) {
    let ids = [incident];
    match call {
        // Muted: a comment of ours must not come back as an event.
        WriteBackCall::Comment { comment } => {
            ("/incident/comment", json!({ "incident_ids": ids, "comment": comment, "mute_reply": true }))
        }
        WriteBackCall::Ack => ("/incident/ack", json!({ "incident_ids": ids })),
        WriteBackCall::Resolve { root_cause, resolution } => {
            let mut body = json!({ "incident_ids": ids });
            for (name, text) in [("root_cause", root_cause), ("resolution", resolution)] {
                if let (Some(text), Some(fields)) = (text, body.as_object_mut()) {
                    fields.insert(name.into(), text.as_str().into());
                }
            }
            ("/incident/resolve", body)
        }
        WriteBackCall::Snooze { minutes } => ("/incident/snooze", json!({ "incident_ids": ids, "minutes": minutes })),
        WriteBackCall::Field { name, value } => {
            ("/incident/field/reset", json!({ "incident_id": incident, "field_name": name, "field_value": value }))
        }
        WriteBackCall::Reopen => ("/incident/reopen", json!({ "incident_ids": ids })),
    }
}

#[cfg(test)]
mod tests;
