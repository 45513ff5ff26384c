//! The style, the script and the icon: part of the program, so that the console needs nothing from elsewhere.

use std::sync::LazyLock;

use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, HeaderValue};
use warp::reply::Response;

use crate::admin::answer::with;
use crate::admin::routes::nothing;

struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

/// Three files, which is too few for a crate that embeds folders.
const ASSETS: &[Asset] = &[
    Asset { name: "console.css", content_type: "text/css; charset=utf-8", content: include_str!("assets/console.css") },
    Asset {
        name: "console.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("assets/console.js"),
    },
    Asset { name: "icon.svg", content_type: "image/svg+xml", content: include_str!("assets/icon.svg") },
];

/// The path of an asset, which is another one whenever its content is another.
pub(super) fn path(name: &str) -> String {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = blake3::Hasher::new();
        ASSETS.iter().for_each(|asset| {
            hasher.update(asset.content.as_bytes());
        });
        hasher.finalize().to_hex().chars().take(12).collect()
    });
    format!("/assets/{name}?v={}", *VERSION)
}

/// Answers with an asset. Whoever asks: there is nothing secret about them, and the login page needs them.
pub(super) fn serve(name: &str) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else { return nothing().json() };
    let mut answer = with(StatusCode::OK, asset.content_type, asset.content);
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    answer.headers_mut().insert(CACHE_CONTROL, forever);
    answer
}
