//! The journal as evidence: its hash chain, and its records one by one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::StatusCode;
use warp::reply::Response;

use super::{ApiError, answer, limit};
use crate::admin::answer::{error, with};
use crate::admin::table::Call;

/// A chain that is intact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// How many records retention dropped from its front.
    pub dropped: u64,
    /// The number of its last record.
    pub seq: u64,
    /// The hash of its last record, in hexadecimal.
    pub hash: String,
}

pub(in crate::admin) async fn verify(call: Call) -> Response {
    let verified = call.desk.handle.read(|reader| reader.verify()).await;
    answer(verified.map_err(ApiError::from).map(|verified| Verified {
        dropped: verified.dropped,
        seq: verified.head.seq,
        hash: blake3::Hash::from(verified.head.hash).to_hex().to_string(),
    }))
}

pub(in crate::admin) async fn export(call: Call) -> Response {
    let asked = call.head.query().and_then(|query| {
        query.only(&["after", "limit"])?;
        Ok((query.number("after")?.unwrap_or(0), limit(&query)?))
    });
    let (after, limit) = match asked {
        Ok(asked) => asked,
        Err(message) => return error(StatusCode::BAD_REQUEST, "bad-request", &message),
    };
    let lines = call.desk.handle.read(move |reader| {
        let (mut text, mut left) = (String::new(), limit);
        reader.scan(after.saturating_add(1), |stored| {
            let line = serde_json::json!({ "seq": stored.seq, "at": stored.at, "record": stored.record });
            text.push_str(&line.to_string());
            text.push('\n');
            left -= 1;
            left > 0
        })?;
        Ok(text)
    });
    match lines.await {
        Ok(text) => with(StatusCode::OK, "application/x-ndjson", text),
        Err(failed) => answer::<()>(Err(failed.into())),
    }
}
