//! What the API does, apart from HTTP. One file a kind of thing.

pub mod audit;
pub mod backtest;
pub mod catch_up;
pub mod check;
pub mod events;
pub mod explain;
pub(super) mod health;
pub mod incidents;
pub mod rules;
pub mod runs;
pub(super) mod schema;
pub mod state;
pub mod test;

pub use state::PauseRequest;

use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use super::answer::{error, json};
use super::request::Pairs;
use crate::engine::{CatchUpError, Refusal, ReloadError};
use crate::journal::store::StoreError;
use crate::replay::ReplayError;

/// How many rows a list has unless it is asked for another number.
pub(super) const LIST_DEFAULT: usize = 50;
/// How many rows a list has at most.
pub(super) const LIST_MAX: usize = 1000;

/// Why a request was not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
    #[error("{0}")]
    BadRequest(String),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Reload(#[from] ReloadError),
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    NotHeld(String),
    #[error("{0}")]
    Busy(String),
    #[error("{0}: ask for less, or ask the command line, which has no limit")]
    Replay(ReplayError),
    #[error("{0}")]
    Failed(String),
}

impl From<ReplayError> for ApiError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => Self::Store(error),
            limit => Self::Replay(limit),
        }
    }
}

impl ApiError {
    /// The status and the stable code of the answer.
    pub(super) fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad-request"),
            Self::Refused(Refusal::Cannot(_)) => (StatusCode::CONFLICT, "cannot"),
            Self::Refused(Refusal::Stopping) | Self::Reload(ReloadError::Refused(Refusal::Stopping)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "stopping")
            }
            Self::Reload(_) => (StatusCode::UNPROCESSABLE_ENTITY, "reload-refused"),
            Self::CatchUp(CatchUpError::NoClient | CatchUpError::TooLong) => (StatusCode::CONFLICT, "cannot"),
            Self::CatchUp(_) => (StatusCode::BAD_GATEWAY, "not-caught-up"),
            Self::NotHeld(_) => (StatusCode::CONFLICT, "head-not-held"),
            Self::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Replay(ReplayError::TooMuch { .. }) => (StatusCode::UNPROCESSABLE_ENTITY, "too-much"),
            Self::Replay(_) => (StatusCode::SERVICE_UNAVAILABLE, "cut-off"),
            Self::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "journal"),
            Self::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

/// A result as the answer to a machine.
pub(super) fn answer<T: Serialize>(result: Result<T, ApiError>) -> Response {
    match result {
        Ok(value) => json(StatusCode::OK, &value),
        Err(failed) => {
            let (status, code) = failed.status();
            error(status, code, &failed.to_string())
        }
    }
}

/// Which rows of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    /// How many.
    pub(super) limit: usize,
    /// Only what stands before this number of the journal.
    pub(super) before: Option<u64>,
}

impl Page {
    /// The page that a query asks for.
    pub(super) fn of(query: &Pairs) -> Result<Self, ApiError> {
        let read = || {
            query.only(&["limit", "before"])?;
            Ok::<_, String>(Self { limit: limit(query)?, before: query.number("before")? })
        };
        read().map_err(ApiError::BadRequest)
    }

    /// The number before which the page begins.
    pub(super) fn before(self) -> u64 {
        // SQLite's numbers are signed.
        self.before.unwrap_or(u64::MAX).min(i64::MAX.unsigned_abs())
    }
}

/// How many rows a query asks for, within bounds.
pub(super) fn limit(query: &Pairs) -> Result<usize, String> {
    let asked = query.number("limit")?.map_or(LIST_DEFAULT, |limit| usize::try_from(limit).unwrap_or(LIST_MAX));
    Ok(asked.clamp(1, LIST_MAX))
}
