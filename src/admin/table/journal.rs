//! The journal as evidence.

use super::{Answers, Endpoint, LIMIT, Parameter, get, shape};
use crate::admin::api::audit;
use Answers::{Json, Other};

pub(super) static ENTRIES: &[Endpoint] = &[
    Endpoint {
        query: &[Parameter {
            name: "head",
            kind: "head",
            about: "a head that was kept elsewhere, as `SEQ:HASH`: the chain must still hold it",
        }],
        errors: &[400, 409, 503],
        ..get(
            "/api/v1/audit/verify",
            "Checks the journal's hash chain, and that it has not become shorter than the head outside it says.",
            Json(shape::<audit::Verified>),
            |call| Box::pin(audit::verify(call)),
        )
    },
    Endpoint {
        query: &[Parameter { name: "after", kind: "integer", about: "only records behind this number" }, LIMIT],
        errors: &[400],
        ..get(
            "/api/v1/audit/export",
            "Records of the journal with the bodies of pushes, one JSON object a line. Fewer than asked for where they are large: go on behind the last.",
            Other("application/x-ndjson"),
            |call| Box::pin(audit::export(call)),
        )
    },
];
