//! The journal as evidence: its hash chain, and its records one by one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use warp::http::StatusCode;
use warp::reply::Response;

use super::{ApiError, answer, limit};
use crate::admin::answer::{error, with};
use crate::admin::table::Call;
use crate::journal::HEAD_NAME;
use crate::journal::chain::{Head, HeadFile, Outside};
use crate::journal::store::StoreError;

/// How many bytes of records are exported at a time; the record over which it gets longer is still among them.
const EXPORT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A chain that is intact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// How many records retention dropped from its front.
    pub dropped: u64,
    /// The number of its last record.
    pub seq: u64,
    /// The hash of its last record, in hexadecimal.
    pub hash: String,
    /// What it was compared with: the head outside the journal, and one that was given. With nothing, an end that was
    /// cut off would not be seen.
    #[serde(default)]
    pub compared_with: Vec<String>,
}

pub(in crate::admin) async fn verify(call: Call) -> Response {
    let verified = async {
        let asked = call.head.query().and_then(|query| {
            query.only(&["head"])?;
            query.text("head").map(str::parse::<Head>).transpose().map_err(|error| format!("`head`: {error}"))
        });
        let kept = asked.map_err(ApiError::BadRequest)?;
        let head_file = call.desk.handle.journal_path().with_file_name(HEAD_NAME);
        let verified = call.desk.work.read(&call.desk.handle, move |reader| {
            // Read first: the journal is written on, and then the chain is longer than it was.
            let outside = HeadFile::read_only(&head_file);
            let outside = outside.map_err(|source| StoreError::Io { doing: "read", path: head_file, source })?;
            let verified = reader.verify()?;
            let mut compared_with = Vec::new();
            if let Outside::Known(outside) = outside {
                reader.check_against(&verified.head, &outside)?;
                compared_with.push(HEAD_NAME.to_owned());
            }
            let held = kept.map(|kept| reader.check_holds(&verified.head, &kept));
            Ok((verified, compared_with, held))
        });
        let (verified, mut compared_with, held) = verified.await?;
        match held {
            None => {}
            Some(Ok(())) => compared_with.push("the head given".to_owned()),
            // The chain is intact in itself; what was asked of it is not so.
            Some(Err(error @ StoreError::Damaged { .. })) => return Err(ApiError::NotHeld(error.to_string())),
            Some(Err(error)) => return Err(error.into()),
        }
        Ok(Verified {
            dropped: verified.dropped,
            seq: verified.head.seq,
            hash: blake3::Hash::from(verified.head.hash).to_hex().to_string(),
            compared_with,
        })
    };
    answer(verified.await)
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
        reader.scan_with_bodies_from(after.saturating_add(1), |stored| {
            let body = stored.payload.as_deref().and_then(|body| serde_json::from_str::<Value>(body).ok());
            let line = serde_json::json!({ "seq": stored.seq, "at": stored.at, "record": stored.record, "body": body });
            text.push_str(&line.to_string());
            text.push('\n');
            left -= 1;
            left > 0 && text.len() < EXPORT_BYTES_MAX
        })?;
        Ok(text)
    });
    match lines.await {
        Ok(text) => with(StatusCode::OK, "application/x-ndjson", text),
        Err(failed) => answer::<()>(Err(failed.into())),
    }
}
