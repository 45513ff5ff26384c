//! Answers: JSON for machines, pages for people, and the headers that go on all of them.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use warp::http::{Response as Http, StatusCode};
use warp::reply::Response;

/// What a page may load and do: its own script and style, nothing from elsewhere, nothing inline.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The body of every answer that is an error.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct ErrorBody {
    /// What went wrong.
    pub(super) error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct ErrorDetail {
    /// A word that stays the same over versions.
    pub(super) code: String,
    /// What was attempted, why it failed, what to do.
    pub(super) message: String,
}

/// Why a request is refused, before it is known whether a machine or a person is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// The status of the answer.
    pub(super) status: StatusCode,
    /// A word that stays the same over versions.
    pub(super) code: &'static str,
    /// What was attempted, why it is refused, what to do.
    pub(super) message: String,
}

impl Refused {
    /// A refusal.
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// As a machine is told.
    pub(super) fn json(&self) -> Response {
        error(self.status, self.code, &self.message)
    }
}

/// What is answered where something was done and there is nothing more to say.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Done {
    /// A word for what was done.
    pub(super) status: &'static str,
}

/// A value as JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => with(status, "application/json", text),
        Err(error) => {
            tracing::error!(%error, "an answer of the admin interface could not be serialised");
            with(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", "the answer could not be made")
        }
    }
}

/// An error as JSON.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    json(status, &ErrorBody { error: ErrorDetail { code: code.to_owned(), message: message.to_owned() } })
}

/// Says which methods a path has, as RFC 9110 wants it beside the status.
pub(super) fn other_method(allowed: &'static str) -> Response {
    let mut answer = error(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        &format!("this path has no such method, but {allowed}"),
    );
    answer.headers_mut().insert(warp::http::header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// An answer of any type.
pub(super) fn with(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut answer = Response::new(body.into().into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Sends a browser to another page of ours, to be got with `GET`.
pub(super) fn see_other(path: &str) -> Response {
    let mut answer = with(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "see the other page");
    // What cannot stand in a header is no path of ours.
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(LOCATION, location);
    answer
}

/// The headers that go on every answer, whatever it is.
pub(super) fn protect<B>(answer: &mut Http<B>) {
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What is shown is the state of now, and may be meant for one person alone.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
