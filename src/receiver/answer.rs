//! The answers, each with its status, code and body.

use std::borrow::Cow;
use std::net::IpAddr;

use hyper::StatusCode;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde::Serialize;
use warp::reply::Response;

use crate::event::{BodyError, EventId};
use crate::journal::Refused;

/// After how many seconds a sender that got 503 should come again: long enough for a group commit or a burst to
/// pass, short beside the minutes of an incident.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("2");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const POST: HeaderValue = HeaderValue::from_static("POST");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// What a push is answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is durable.
    Accepted(EventId),
    /// It was durable before.
    Duplicate(EventId),
    /// It was not taken.
    Refused(Refusal),
}

/// Why a push was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the request has more than one framing: send one Content-Length, or Transfer-Encoding alone")]
    Framing,
    #[error("no source has this path: check the URL against `sources[].path` in the config")]
    NoSuchPath,
    #[error("a push is a POST")]
    Method,
    #[error("{0} is not among the addresses that this source allows (`allow_from`)")]
    Address(IpAddr),
    #[error("X-Forwarded-For is malformed or too long, so the address of the sender is unknown")]
    ForwardedFor,
    #[error("the authentication header must be there exactly once and hold the secret of this source")]
    Credential,
    #[error("the content type must be application/json in UTF-8")]
    ContentType,
    #[error("the body must not be compressed or otherwise encoded")]
    ContentEncoding,
    #[error("the body is larger than the {limit} bytes that are allowed (`limits.body`)")]
    TooLarge { limit: usize },
    #[error("the body did not come in time")]
    TooSlow,
    #[error("the body is cut short or its chunks are malformed")]
    Broken,
    #[error("{0}")]
    Body(#[from] BodyError),
    #[error("the event {0} came before with another body; this one was not taken")]
    Conflict(EventId),
    #[error("{0}")]
    Journal(#[from] Refused),
    #[error("the event could not be made durable in time; it may yet be, and its id keeps it single")]
    NotDurableInTime,
    #[error("the receiver failed on this request; its log says more")]
    Internal,
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Framing | Self::Broken | Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Address(_) | Self::ForwardedFor => StatusCode::FORBIDDEN,
            Self::Credential => StatusCode::UNAUTHORIZED,
            Self::ContentType | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Journal(_) | Self::NotDurableInTime => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code that the answer carries.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Framing => "framing",
            Self::NoSuchPath => "no-such-path",
            Self::Method => "method-not-allowed",
            Self::Address(_) => "address-not-allowed",
            Self::ForwardedFor => "forwarded-for",
            Self::Credential => "not-authenticated",
            Self::ContentType => "content-type",
            Self::ContentEncoding => "content-encoding",
            Self::TooLarge { .. } => "too-large",
            Self::TooSlow => "too-slow",
            Self::Broken => "body-broken",
            Self::Body(error) => error.code(),
            Self::Conflict(_) => "conflict",
            Self::Journal(Refused::Overloaded { .. }) => "overloaded",
            Self::Journal(Refused::Closed { .. } | Refused::Unwritten { .. }) => "journal-closed",
            Self::NotDurableInTime => "not-durable-in-time",
            Self::Internal => "internal",
        }
    }

    /// Whether what is left of the request cannot be told from a next one, so that the connection must end.
    fn ends_connection(&self) -> bool {
        matches!(self, Self::Framing | Self::TooLarge { .. } | Self::TooSlow | Self::Broken | Self::Internal)
    }

    /// The sentence for the sender. What the journal says about its disk is for the log alone.
    fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Journal(Refused::Closed { .. } | Refused::Unwritten { .. }) => {
                Cow::Borrowed("the journal takes nothing at present")
            }
            other => Cow::Owned(other.to_string()),
        }
    }
}

#[derive(Serialize)]
struct Taken<'a> {
    status: &'static str,
    event_id: &'a str,
}

#[derive(Serialize)]
struct Failed<'a> {
    error: Failure<'a>,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: &'static str,
    message: &'a str,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Accepted(_) | Self::Duplicate(_) => StatusCode::OK,
            Self::Refused(refusal) => refusal.status(),
        }
    }

    /// `accepted`, `duplicate`, or the code of the error.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Duplicate(_) => "duplicate",
            Self::Refused(refusal) => refusal.code(),
        }
    }

    fn body(&self) -> Vec<u8> {
        let body = match self {
            Self::Accepted(id) | Self::Duplicate(id) => {
                serde_json::to_vec(&Taken { status: self.code(), event_id: id.as_str() })
            }
            Self::Refused(refusal) => {
                serde_json::to_vec(&Failed { error: Failure { code: refusal.code(), message: &refusal.message() } })
            }
        };
        // Text under text keys always serialises; an empty body would still carry the right status.
        body.unwrap_or_default()
    }

    pub(super) fn response(&self) -> Response {
        let mut response = Response::new(self.body().into());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        if let Self::Refused(refusal) = self {
            match refusal {
                Refusal::Method => {
                    headers.insert(ALLOW, POST);
                }
                Refusal::Journal(_) | Refusal::NotDurableInTime => {
                    headers.insert(RETRY_AFTER, RETRY_AFTER_S);
                }
                _ => {}
            }
            if refusal.ends_connection() {
                end_connection(&mut response);
            }
        }
        response
    }
}

/// Has the connection end after this answer.
pub(super) fn end_connection(response: &mut Response) {
    response.headers_mut().insert(CONNECTION, CLOSE);
}
