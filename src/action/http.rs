//! `http`: one request to a host on the config's list.
//!
//! Redirects are not followed, so neither the request nor its headers can be led elsewhere; proxies of the
//! environment are not used. URLs never appear in errors, since their query may hold a secret.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use url::Url;

use super::process::Capture;
use super::{Attempt, Expected, ended, failed};
use crate::journal::record::{StepEnd, StepResult};
use crate::plan::{HttpCall, HttpCallBody};

/// How long a connection may take to be made; a dead host should be known well before the step's time limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may wait for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections to one host that may wait for a next request.
const IDLE_PER_HOST_MAX: usize = 8;

/// The header by which traces go on at the other end, as W3C calls it.
const TRACEPARENT: &str = "traceparent";

/// HTTP requests cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare to make HTTP requests: {0}; are the system's CA certificates installed?")]
pub struct HttpError(String);

impl HttpError {
    /// What the HTTP library has against being set up.
    pub(crate) fn new(error: &reqwest::Error) -> Self {
        Self(chain(error))
    }
}

/// Makes requests.
#[derive(Debug)]
pub(super) struct Client(reqwest::Client);

impl Client {
    pub(super) fn new() -> Result<Self, HttpError> {
        super::client_builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .build()
            .map(Self)
            .map_err(|error| HttpError::new(&error))
    }

    /// Makes the request once.
    pub(super) async fn act(&self, call: &HttpCall, expected: &Expected<'_>, attempt: &Attempt<'_>) -> StepResult {
        let request = match request(call, &attempt.settings.http_allow, attempt.traceparent) {
            Ok(request) => request,
            Err(error) => return failed(format!("cannot make the request to {}: {error}", call.authority)),
        };
        tokio::select! {
            biased;
            reason = attempt.stop.stopped() => ended(StepEnd::Cancelled, Some(reason.to_string())),
            answer = self.exchange(request, attempt) => match answer {
                Ok(answer) => answer.judge(expected, attempt),
                Err(error) => failed(format!("the request to {} failed: {error}", call.authority)),
            },
            () = tokio::time::sleep(attempt.timeout) => ended(
                StepEnd::TimedOut,
                Some(format!("{} did not answer within {:?}", call.authority, attempt.timeout)),
            ),
        }
    }

    async fn exchange(&self, request: reqwest::Request, attempt: &Attempt<'_>) -> Result<Answer, String> {
        let mut response = self.0.execute(request).await.map_err(describe)?;
        let mut body = Capture::new(attempt.settings.output_bytes, &attempt.settings.redactor);
        let mut raw = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(describe)? {
            body.take(&chunk);
            if !body.is_whole() {
                break; // What is beyond the limit would not be kept, so it is not fetched either.
            }
            raw.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body, raw })
    }
}

/// The request, checked once more against the list: it may have changed since the plan was made.
fn request(call: &HttpCall, allow: &[String], traceparent: Option<&str>) -> Result<reqwest::Request, String> {
    let url = Url::parse(&call.url).map_err(|error| format!("its URL is not valid: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("its URL is neither http nor https".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its URL holds credentials; use a header".into());
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err("its URL names no host".into());
    };
    let authority = format!("{host}:{port}").to_ascii_lowercase();
    if authority != call.authority.to_ascii_lowercase() {
        return Err(format!("its URL goes to {authority} instead"));
    }
    if !allow.contains(&authority) {
        return Err(format!("{authority} is not on the list `http.allow` of the config"));
    }
    let method = reqwest::Method::from_bytes(call.method.as_bytes()).map_err(|_| "its method is not valid")?;
    let mut request = reqwest::Request::new(method, url);
    if let Some(traceparent) = traceparent
        && let Ok(value) = HeaderValue::from_str(traceparent)
        && !call.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT))
    {
        request.headers_mut().insert(TRACEPARENT, value);
    }
    for (name, value) in &call.headers {
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} cannot name a header"))?;
        let mut value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("the value of the header {name} holds a control character"))?;
        value.set_sensitive(true);
        request.headers_mut().append(header, value);
    }
    match &call.body {
        None => {}
        Some(HttpCallBody::Text(text)) => *request.body_mut() = Some(text.clone().into()),
        Some(HttpCallBody::Json(value)) => {
            *request.body_mut() = Some(value.to_string().into());
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().entry(reqwest::header::CONTENT_TYPE).or_insert(json);
        }
    }
    Ok(request)
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Capture,
    /// The body for `expect.when`, complete unless `body` says otherwise.
    raw: Vec<u8>,
}

impl Answer {
    fn judge(self, expected: &Expected<'_>, attempt: &Attempt<'_>) -> StepResult {
        let error = if expected.status.iter().any(|pattern| pattern.matches(self.status)) {
            expected.when.and_then(|when| self.complaint(when))
        } else {
            Some(format!("answered with status {}", self.status))
        };
        let end = if error.is_none() { StepEnd::Succeeded } else { StepEnd::Failed };
        StepResult {
            status: Some(self.status),
            dropped_bytes: self.body.dropped(),
            stdout: self.body.into_text(&attempt.settings.redactor),
            ..ended(end, error)
        }
    }

    /// What `expect.when` has against the answer.
    fn complaint(&self, when: &(dyn Fn(Value) -> Result<bool, String> + Sync)) -> Option<String> {
        if !self.body.is_whole() {
            return Some("the answer is longer than `limits.output`, so `expect.when` cannot judge it".into());
        }
        match when(self.response()) {
            Ok(true) => None,
            Ok(false) => Some("the answer is not what `expect.when` asks for".into()),
            Err(error) => Some(format!("`expect.when` could not judge the answer: {error}")),
        }
    }

    /// `response` as conditions see it; `json` is there only where the body is JSON.
    fn response(&self) -> Value {
        let mut headers = Map::new();
        for name in self.headers.keys() {
            let values: Vec<_> =
                self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            headers.insert(name.as_str().to_owned(), values.join(", ").into());
        }
        let mut response = json!({
            "status": self.status,
            "body": String::from_utf8_lossy(&self.raw),
            "headers": headers,
        });
        if let (Ok(json), Some(fields)) = (serde_json::from_slice(&self.raw), response.as_object_mut()) {
            fields.insert("json".into(), json);
        }
        response
    }
}

/// What went wrong, without the URL.
pub(crate) fn describe(error: reqwest::Error) -> String {
    chain(&error.without_url())
}

/// An error with its causes, each said once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
