//! Secrets written out in a rule file, which many people read and version control keeps for ever.

use std::sync::LazyLock;

use regex::Regex;

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

/// Where a command or script has a secret written out: a variable or option of such a name that is given a value, a header
/// that authenticates, a URL with a password. What comes from a variable, a file or a command is none.
static WRITTEN_OUT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const NAMES: &str =
        "(?:password|passwd|[a-z0-9][-_]secret|token|api[-_]?key|app[-_]?key|access[-_]?key|private[-_]?key)";
    const VALUE: &str = r#"[^\s'"`$<>(){}/.=&|;*-][^\s'"`$<>(){}&|;*]{5,}"#;
    // `--secret` alone is where tools take the name of one.
    let ways = [
        format!(r#"(?:^|[\s;])secret\s?=\s?['"]?{VALUE}"#),
        format!(r#"\b[a-z0-9_-]*{NAMES}\s?=\s?['"]?{VALUE}"#),
        format!(r#"(?:^|\s)--[a-z0-9-]*{NAMES}\s+['"]?{VALUE}"#),
        format!(r#"authorization:\s*(?:bearer|basic)\s+{VALUE}"#),
        r#"[a-z]://[^\s/:@'"$]+:[^\s/:@'"$]{4,}@"#.to_owned(),
    ];
    Regex::new(&format!("(?i){}", ways.join("|"))).ok()
});

/// Warns where the text of a script, or the arguments of a command, have a secret written out.
pub(super) fn check_text(reader: &Reader<'_>, node: &Node, text: &str) {
    let Some(found) = WRITTEN_OUT.as_ref().and_then(|written_out| written_out.find(text)) else { return };
    warn(reader, reader.doc.inside(node, found.start()).start, "what stands here looks like a secret");
}

/// Warns where an option for a secret is given its value as an argument of its own.
pub(super) fn check_option(reader: &Reader<'_>, node: &Node, option: &str, value: &str) {
    if option.starts_with("--") && !option.contains('=') && !value.starts_with('-') {
        let both = format!("{option} {value}");
        if WRITTEN_OUT.as_ref().is_some_and(|written_out| written_out.is_match(&both)) {
            warn(reader, node.span.start, &format!("the value of `{option}` looks like a secret"));
        }
    }
}

fn warn(reader: &Reader<'_>, at: usize, what: &str) {
    // Empty, so that the value is not shown on the terminal again.
    reader.doc.warn(
        codes::INLINE_SECRET,
        at..at,
        format!("{what}, and stands here for everybody to read"),
        "let a script of yours read it from a file that only the engine's user can read",
    );
}

/// Warns where `name` is one that carries a secret, and its value stands there in full.
pub(super) fn check(reader: &Reader<'_>, node: &Node, name: &str, value: &Template) {
    let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect();
    let is_secret = MARKS.iter().any(|mark| plain.contains(mark)) && !POINTERS.iter().any(|end| plain.ends_with(end));
    let text = value.source().trim();
    if !is_secret || !value.is_literal() || text.len() < BYTES_MIN || text.starts_with(['/', '.']) {
        return;
    }
    warn(reader, node.span.start, &format!("the value of `{name}` looks like a secret"));
}
