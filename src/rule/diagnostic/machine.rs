//! Diagnostics for programs: JSON, and GitHub's workflow commands.

use serde_json::json;

use super::printable::printable;
use super::{Located, Severity};

/// One array, an object for each diagnostic.
pub(super) fn json(located: &[Located<'_>]) -> String {
    let list: Vec<serde_json::Value> = located
        .iter()
        .map(|at| {
            json!({
                "file": at.diagnostic.file.display().to_string(),
                "line": at.start.line,
                "column": at.start.column,
                "end": { "line": at.end.line, "column": at.end.column },
                "code": at.diagnostic.code,
                "severity": at.diagnostic.severity.name(),
                "message": printable(&at.diagnostic.message),
                "hint": at.diagnostic.hint.as_deref().map(printable),
            })
        })
        .collect();
    let mut text = format!("{:#}", serde_json::Value::Array(list));
    text.push('\n');
    text
}

/// `::error file=…,line=…,col=…::…`, one line each.
pub(super) fn github(located: &[Located<'_>]) -> String {
    let mut text = String::new();
    for at in located {
        let diagnostic = at.diagnostic;
        let command = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut message = printable(&diagnostic.message);
        if let Some(hint) = &diagnostic.hint {
            message.push_str(" Hint: ");
            message.push_str(&printable(hint));
        }
        text.push_str(&format!(
            "::{command} file={},line={},col={},title={}::{}\n",
            property(&printable(&diagnostic.file.display().to_string())),
            at.start.line,
            at.start.column,
            property(diagnostic.code),
            message.replace('%', "%25"),
        ));
    }
    text
}

/// In a property `:` and `,` would end it.
fn property(text: &str) -> String {
    text.replace('%', "%25").replace(':', "%3A").replace(',', "%2C")
}
