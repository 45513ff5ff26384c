//! Talking to the daemon over its admin socket.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::output::complain;
use super::{Exit, setup};
use crate::config::Config;

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
        Self::connect(&config).map_err(|why| {
            complain(&why);
            Exit::Internal
        })
    }

    /// The same for a config that was read.
    pub(super) fn connect(config: &Config) -> Result<Self, String> {
        let prepare = |error: &dyn std::fmt::Display| format!("cannot prepare to talk to the daemon: {error}");
        let runtime = setup::runtime().map_err(|_| prepare(&"there is no runtime"))?;
        crate::action::install_crypto();
        let http = reqwest::Client::builder()
            .unix_socket(config.admin.socket.as_path())
            .timeout(TIMEOUT)
            .no_proxy()
            // Nothing on a socket of this machine is certified, so a machine without certificates is as good.
            .tls_certs_only([])
            .build()
            .map_err(|error| prepare(&root(&error)))?;
        Ok(Self { http, runtime, socket: config.admin.socket.display().to_string() })
    }

    /// Asks for something.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Exit> {
        said(self.try_get(path))
    }

    /// Asks for something, and leaves it to the caller to say why there is none.
    pub(super) fn try_get<T: DeserializeOwned>(&self, path: &str) -> Result<T, (Exit, String)> {
        self.send(self.http.get(format!("http://stanch/api/v1/{path}")))
    }

    /// Asks for something to be done.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Exit> {
        said(self.send(self.http.post(format!("http://stanch/api/v1/{path}")).json(body)))
    }

    /// Asks for something to be done that may take minutes.
    pub(super) fn post_patiently<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Exit> {
        said(self.send(self.http.post(format!("http://stanch/api/v1/{path}")).timeout(PATIENT_TIMEOUT).json(body)))
    }

    fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, (Exit, String)> {
        let answered = self.runtime.block_on(async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status(), response.text().await?))
        });
        let (status, text) = answered.map_err(|error| {
            let (socket, root) = (&self.socket, root(&error));
            let why =
                format!("cannot reach the daemon at {socket}: {root}; is `stanch serve` running with this config?");
            (Exit::Unreachable, why)
        })?;
        if status.is_success() {
            return serde_json::from_str(&text).map_err(|error| {
                (Exit::Internal, format!("the daemon's answer cannot be read: {error}; is it another version?"))
            });
        }
        let why = match serde_json::from_str::<Failure>(&text) {
            // Line by line: a refused reload tells of each problem where it stands.
            Ok(failure) => {
                let lines: Vec<_> = failure.error.message.trim_end().lines().map(crate::report::printable).collect();
                lines.join("\n")
            }
            Err(_) => format!("the daemon answered {status}"),
        };
        Err((if status.is_server_error() { Exit::Unreachable } else { Exit::No }, why))
    }
}

/// Says why there is no answer.
fn said<T>(answer: Result<T, (Exit, String)>) -> Result<T, Exit> {
    answer.map_err(|(exit, why)| {
        complain(&why);
        exit
    })
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

/// Who asks, where the account alone does not tell: behind `sudo` everybody is root.
pub(super) fn person() -> Option<String> {
    std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty())
}

/// What the daemon answers when it did something.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Done {}
