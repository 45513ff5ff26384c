//! Catching up with what was missed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::{ApiError, answer};
use crate::admin::request::{from_json, whole};
use crate::admin::table::Call;

/// How far back a catch-up goes that does not say.
const SINCE_DEFAULT: Duration = Duration::from_secs(3_600);

/// What a catch-up asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatchUpRequest {
    /// How far back, in milliseconds; an hour unless given.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(max = 9_007_199_254_740_992_u64))]
    pub since_ms: Option<u64>,
}

pub(in crate::admin) async fn catch_up(call: Call) -> Response {
    let caught = async {
        let request: CatchUpRequest = from_json(&call.body).map_err(ApiError::BadRequest)?;
        let since = request.since_ms.map_or(SINCE_DEFAULT, Duration::from_millis);
        Ok(call.desk.handle.catch_up(since).await?)
    };
    answer(caught.await)
}
