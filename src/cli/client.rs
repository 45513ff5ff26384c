//! Talking to the daemon over its admin socket.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::output::complain;
use super::{Exit, setup};

/// How long the daemon may take to answer.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
/// How long it may take for what depends on others and on how much there is.
const PATIENT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(600);

/// A connection to the daemon.
pub(super) struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    socket: String,
}

/// The daemon's words for what it did not do.
#[derive(Debug, serde::Deserialize)]
struct Failure {
    error: Detail,
}

#[derive(Debug, serde::Deserialize)]
struct Detail {
    message: String,
}

impl Client {
    /// A client for the daemon of this config.
    pub(super) fn new(config: &Path) -> Result<Self, Exit> {
        let config = setup::config(config)?;
        let runtime = setup::runtime()?;
        crate::action::install_crypto();
        let http = reqwest::Client::builder()
            .unix_socket(config.admin.socket.as_path())
            .timeout(TIMEOUT)
            .no_proxy()
            .build()
            .map_err(|error| {
                complain(&format!("cannot prepare to talk to the daemon: {error}"));
                Exit::Internal
            })?;
        Ok(Self { http, runtime, socket: config.admin.socket.display().to_string() })
    }

    /// Asks for something.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Exit> {
        self.send(self.http.get(format!("http://stanch/api/v1/{path}")))
    }

    /// Asks for something to be done.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Exit> {
        self.send(self.http.post(format!("http://stanch/api/v1/{path}")).json(body))
    }

    /// Asks for something to be done that may take minutes.
    pub(super) fn post_patiently<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Exit> {
        self.send(self.http.post(format!("http://stanch/api/v1/{path}")).timeout(PATIENT_TIMEOUT).json(body))
    }

    fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, Exit> {
        let (status, text) = self
            .runtime
            .block_on(async {
                let response = request.send().await?;
                Ok::<_, reqwest::Error>((response.status(), response.text().await?))
            })
            .map_err(|error| {
                complain(&format!(
                    "cannot reach the daemon at {}: {}; is `stanch serve` running with this config?",
                    self.socket,
                    root(&error)
                ));
                Exit::Unreachable
            })?;
        if status.is_success() {
            return serde_json::from_str(&text).map_err(|error| {
                complain(&format!("the daemon's answer cannot be read: {error}; is it another version?"));
                Exit::Internal
            });
        }
        match serde_json::from_str::<Failure>(&text) {
            Ok(failure) => complain(&crate::report::printable(&failure.error.message)),
            Err(_) => complain(&format!("the daemon answered {status}")),
        }
        Err(if status.is_server_error() { Exit::Unreachable } else { Exit::No })
    }
}

/// The innermost reason of an error, which is the one that says something.
pub(super) fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// An id as one segment of a path.
pub(super) fn segment(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// What the daemon answers when it did something.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Done {}
