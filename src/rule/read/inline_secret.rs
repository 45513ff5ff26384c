//! Secrets written out in a rule file, which many people read and version control keeps for ever.

use super::Reader;
use crate::rule::diagnostic::codes;
use crate::rule::template::Template;
use crate::rule::yaml::Node;

/// What names of headers, parameters and variables hold that carry a secret, in lower case without `-` and `_`.
const MARKS: &[&str] = &[
    "authorization",
    "token",
    "secret",
    "password",
    "passwd",
    "apikey",
    "appkey",
    "accesskey",
    "privatekey",
    "cookie",
];
/// How names end that only say where a secret is.
const POINTERS: &[&str] = &["file", "path", "dir", "url", "name", "id"];
/// Shorter values are no secrets, but words such as `none`.
const BYTES_MIN: usize = 6;

/// Warns where `name` is one that carries a secret, and its value stands there in full.
pub(super) fn check(reader: &Reader<'_>, node: &Node, name: &str, value: &Template) {
    let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect();
    let is_secret = MARKS.iter().any(|mark| plain.contains(mark)) && !POINTERS.iter().any(|end| plain.ends_with(end));
    let text = value.source().trim();
    if !is_secret || !value.is_literal() || text.len() < BYTES_MIN || text.starts_with(['/', '.']) {
        return;
    }
    // Empty, so that the value is not shown on the terminal again.
    let span = node.span.start..node.span.start;
    reader.doc.warn(
        codes::INLINE_SECRET,
        span,
        format!("the value of `{name}` looks like a secret, and stands here for everybody to read"),
        "let a script of yours read it from a file that only the engine's user can read",
    );
}
