//! The JSON Schemas of what people write, for editors and other tools.

use std::sync::LazyLock;

use warp::http::StatusCode;
use warp::reply::Response;

use crate::admin::answer::with;
use crate::rule::schema;

pub(in crate::admin) async fn rules() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| schema::text(&schema::rules()));
    with(StatusCode::OK, "application/json", TEXT.as_bytes())
}

pub(in crate::admin) async fn config() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| schema::text(&schema::config()));
    with(StatusCode::OK, "application/json", TEXT.as_bytes())
}
