//! Pushing: what Flashduty sends when something happens to an incident.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::wall_now;

/// How long the vendor waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where pushes go.
#[derive(Clone)]
pub struct Webhook {
    url: String,
    header: String,
    secret: String,
    http: reqwest::Client,
}

impl std::fmt::Debug for Webhook {
    /// Says nothing of the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Webhook {
    /// A webhook at `url` whose secret travels in `header`.
    ///
    /// # Errors
    /// When HTTP requests cannot be made ready for.
    pub fn new(url: &str, header: &str, secret: &str) -> Result<Self, String> {
        crate::action::install_crypto();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        let http = http.map_err(|error| crate::action::HttpError::new(&error).to_string())?;
        Ok(Self { url: url.to_owned(), header: header.to_owned(), secret: secret.to_owned(), http })
    }

    /// Posts a body; gives the status of the answer.
    pub(super) async fn post(&self, body: &Value) -> Result<u16, String> {
        let sent = self.http.post(&self.url).header(&self.header, &self.secret).json(body).send().await;
        sent.map(|response| response.status().as_u16()).map_err(|error| error.to_string())
    }
}

/// The body of a push.
pub(super) fn body(event_type: &str, incident: &Map<String, Value>, more: Map<String, Value>) -> Value {
    let mut body = more;
    body.insert("event_id".into(), event_id().into());
    body.insert("event_time".into(), wall_now().as_millis().into());
    body.insert("event_type".into(), event_type.into());
    body.insert("incident".into(), json!(incident));
    Value::Object(body)
}

fn event_id() -> String {
    let random = [getrandom::u64(), getrandom::u64()];
    random.iter().map(|part| format!("{:016x}", part.as_ref().copied().unwrap_or_default())).collect()
}
