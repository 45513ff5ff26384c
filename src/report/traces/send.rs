//! One request to the collector: OTLP in protobuf over HTTP, to the endpoint of the config and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::action::HttpError;
use crate::config::Traces;

/// How long one request may take.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read. It has a number and a sentence.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The longest wait that a collector may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Where traces go, exchangeable when a reload changes it.
pub(crate) type SharedTarget = Arc<ArcSwap<Target>>;

/// Where traces go.
#[derive(Debug)]
pub(crate) struct Target {
    endpoint: String,
    headers: HeaderMap,
}

/// Traces cannot be sent where the config says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// A header's value cannot be read.
    #[error("{0}")]
    Secret(String),
    /// A header cannot be made of it.
    #[error("the secret for the header {0} of `traces.headers` cannot stand in a header")]
    Header(String),
    /// No client can be made.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl Target {
    /// What the config says, with its secrets.
    ///
    /// # Errors
    /// When a secret cannot be read or sent.
    pub(crate) fn of(traces: &Traces) -> Result<Self, TargetError> {
        let mut headers = HeaderMap::new();
        for (name, secret) in &traces.headers {
            let unfit = || TargetError::Header(name.clone());
            let secret = secret.resolve().map_err(|error| TargetError::Secret(error.to_string()))?;
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
            let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| unfit())?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        Ok(Self { endpoint: traces.endpoint.clone(), headers })
    }
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was taken, but for so many spans.
    Taken { refused: u64, why: String },
    /// It was refused for good.
    Refused(String),
    /// It may be taken later, not before so long.
    Later { why: String, after: Option<Duration> },
}

/// Sends requests.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    target: SharedTarget,
}

impl Client {
    pub(super) fn new(target: SharedTarget) -> Result<Self, TargetError> {
        let http = crate::action::client_builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| HttpError::new(&error))?;
        Ok(Self { http, target })
    }

    /// Sends a request once.
    pub(super) async fn send(&self, request: &ExportTraceServiceRequest) -> Sent {
        let later = |error: reqwest::Error| {
            // The endpoint is in the config; its query may hold what should not be logged.
            Sent::Later { why: crate::action::describe(error), after: None }
        };
        let target = self.target.load_full();
        let post = self.http.post(&target.endpoint).headers(target.headers.clone()).body(request.encode_to_vec());
        let mut response = match post.send().await {
            Ok(response) => response,
            Err(error) => return later(error),
        };
        let status = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&chunk),
                Ok(_) => break,
                Err(error) => return later(error),
            }
        }
        judge(status, &body, after)
    }
}

/// What an answer says, by the OTLP specification.
fn judge(status: u16, body: &[u8], after: Option<u64>) -> Sent {
    match status {
        200..=299 => {
            let partial = ExportTraceServiceResponse::decode(body).ok().and_then(|answer| answer.partial_success);
            let (refused, why) = partial.map(|part| (part.rejected_spans, part.error_message)).unwrap_or_default();
            Sent::Taken { refused: u64::try_from(refused).unwrap_or(0), why }
        }
        429 | 502 | 503 | 504 => {
            let after = after.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
            Sent::Later { why: format!("the collector answered with status {status}"), after }
        }
        _ => Sent::Refused(format!("the collector answered with status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn answers_are_read_as_otlp_says() {
        assert_eq!(judge(200, b"", None), Sent::Taken { refused: 0, why: String::new() });
        assert_eq!(judge(200, b"\xff\xff", None), Sent::Taken { refused: 0, why: String::new() });
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".into() };
        let body = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        assert_eq!(judge(200, &body, None), Sent::Taken { refused: 3, why: "too old".into() });
        assert!(matches!(judge(400, b"", None), Sent::Refused(_)));
        assert!(matches!(judge(302, b"", None), Sent::Refused(_)));
        assert!(matches!(judge(503, b"", None), Sent::Later { after: None, .. }));
        assert!(matches!(judge(429, b"", Some(86_400)), Sent::Later { after: Some(RETRY_AFTER_MAX), .. }));
    }
}
