//! How values look on a page: text of others, states, times, plans.

use std::borrow::Cow;
use std::time::Duration;

use maud::{Markup, html};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::report::printable;

/// How many lines of one stream of output a page shows; what is kept of it is bounded in bytes already.
const LINES_MAX: usize = 2000;

/// Text of others, with what steers or hides text made visible. The templates escape it.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    printable(text)
}

/// Output or a document: the same, line by line.
pub(super) fn lines(text: &str) -> Markup {
    let mut all = text.lines();
    let some: Vec<Cow<'_, str>> = all.by_ref().take(LINES_MAX).map(printable).collect();
    let left = all.count();
    html! {
        // It scrolls by itself, so it has to be reachable by keyboard.
        pre tabindex="0" { (some.join("\n")) }
        @if left > 0 { p.quiet { (left) " more lines are not shown" } }
    }
}

/// JSON as a document.
pub(super) fn document(value: &Value) -> Markup {
    lines(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// A state or an outcome: a word, a colour and a shape, so that none of them is needed to tell.
pub(super) fn badge(word: &str) -> Markup {
    html! { span.badge.(kind(word)) { (shown(word)) } }
}

/// What a state or an outcome is to whoever looks: the classes of the style.
fn kind(word: &str) -> &'static str {
    match word {
        "succeeded" | "auto" | "closed" | "holds" => "good",
        "failed" | "timed-out" | "unverified" | "interrupted" | "condition-error" | "plan-error" | "error" | "open"
        | "Critical" => "bad",
        "held" | "queued" | "awaiting-approval" | "approve" | "paused" | "warning" | "Warning" => "wait",
        "run" | "running" => "act",
        "dry-run" | "Info" => "dry",
        _ => "off",
    }
}

/// A point in time. The script adds how long ago that was, and keeps it true.
pub(super) fn time(at: Timestamp) -> Markup {
    let full = at.to_string();
    // `2026-03-01T04:05:06.789Z` as `2026-03-01 04:05:06`; what is outside the calendar has no such parts.
    let short = match (full.get(..10), full.get(11..19)) {
        (Some(day), Some(clock)) if full.ends_with('Z') => format!("{day} {clock}"),
        _ => full.clone(),
    };
    html! { time datetime=(full) { (short) " UTC" } }
}

/// How long something took.
pub(super) fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => {
            let (minutes, seconds) = (ms / 60_000, ms % 60_000 / 1000);
            if minutes < 60 {
                format!("{minutes} min {seconds} s")
            } else {
                format!("{} h {} min", minutes / 60, minutes % 60)
            }
        }
    }
}

/// How long it is from `now` to `until`.
pub(super) fn left(now: Timestamp, until: Timestamp) -> String {
    let left = until.since(now);
    if left == Duration::ZERO { "now".into() } else { took(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)) }
}

/// The path of a page about something with an id.
pub(super) fn path(of: &str, id: &str) -> String {
    format!("/{of}/{}", percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC))
}

/// A link to the page of something.
pub(super) fn link(of: &str, id: &str) -> Markup {
    html! { a href=(path(of, id)) { (shown(id)) } }
}

/// What a plan would do, step by step, without what stays the same for each.
pub(super) fn plan(plan: &Value) -> Markup {
    let steps = plan.get("steps").and_then(Value::as_array);
    html! {
        @match steps {
            Some(steps) if !steps.is_empty() => ol.plan { @for step in steps { li { (planned(step)) } } },
            _ => p.quiet { "No steps." },
        }
        details { summary { "The whole plan" } (document(plan)) }
    }
}

fn planned(step: &Value) -> Markup {
    let name = step.get("name").and_then(Value::as_str);
    let call = ["run", "shell", "http", "ssh", "flashduty", "wait", "each"]
        .into_iter()
        .find_map(|kind| Some((kind, step.get(kind)?)));
    let words = match call {
        Some(("run", Value::Array(argv))) => all(argv),
        Some(("ssh", Value::Object(ssh))) => remote(ssh),
        Some(("each", Value::Object(each))) => list(each),
        Some((_, Value::String(text))) => text.clone(),
        Some((_, value)) => value.to_string(),
        None => step.to_string(),
    };
    html! {
        @if let Some(name) = name { span.name { (shown(name)) } " " }
        code { @if let Some((kind, _)) = call { span.kind { (kind) } " " } (shown(&words)) }
    }
}

/// What is done on another host: `ops@db-1: uptime -p`.
fn remote(ssh: &Map<String, Value>) -> String {
    let text = |key: &str| ssh.get(key).and_then(Value::as_str).unwrap_or_default();
    let user = if text("user").is_empty() { String::new() } else { format!("{}@", text("user")) };
    let port = ssh.get("port").map(|port| format!(":{}", word(port))).unwrap_or_default();
    let what = match ssh.get("run") {
        Some(Value::Array(argv)) => all(argv),
        _ => text("shell").to_owned(),
    };
    format!("{user}{}{port}: {what}", text("host"))
}

/// What a list of steps goes over: `host in db-1 db-2, 2 at a time`.
fn list(each: &Map<String, Value>) -> String {
    let name = each.get("as").and_then(Value::as_str).unwrap_or("item");
    let items = each.get("in").and_then(Value::as_array).map(|items| all(items)).unwrap_or_default();
    let batch = each.get("batch").and_then(Value::as_u64).unwrap_or(1);
    format!("{name} in {items}, {batch} at a time")
}

fn all(words: &[Value]) -> String {
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// An argument, quoted where it would not read as one.
fn word(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_./=:@%+,".contains(c));
    if is_plain { text } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_read_well() {
        assert_eq!(
            time(Timestamp::from_millis(1_700_000_000_123)).into_string(),
            "<time datetime=\"2023-11-14T22:13:20.123Z\">2023-11-14 22:13:20 UTC</time>"
        );
        assert_eq!(took(999), "999 ms");
        assert_eq!(took(1_250), "1.2 s");
        assert_eq!(took(61_000), "1 min 1 s");
        assert_eq!(took(3_720_000), "1 h 2 min");
    }

    #[test]
    fn steps_on_other_hosts_and_over_lists_read_as_one_line() {
        let ssh = serde_json::json!({ "ssh": { "host": "db-1", "user": "ops", "port": 22, "run": ["echo", "a b"] } });
        assert!(planned(&ssh).into_string().contains("ops@db-1:22: echo &quot;a b&quot;"), "{ssh}");
        let each = serde_json::json!({ "each": { "as": "host", "in": ["a", "<b>"], "batch": 2, "steps": {} } });
        assert!(planned(&each).into_string().contains("host in a &quot;&lt;b&gt;&quot;, 2 at a time"), "{each}");
    }

    #[test]
    fn hostile_text_is_shown_and_does_nothing() {
        let text = "<script>alert(1)</script>\u{202e}\u{1b}[2J\"'&";
        let page = html! { p title=(shown(text)) { (shown(text)) } (lines(text)) (badge(text)) (link("events", text)) }
            .into_string();
        assert!(!page.contains("<script>") && !page.contains('\u{202e}') && !page.contains('\u{1b}'), "{page}");
        assert!(page.contains("\\u{202e}\\u{1b}[2J"), "{page}");
        assert!(page.contains("href=\"/events/%3Cscript%3E"), "{page}");
    }

    #[test]
    fn arguments_read_as_they_are_told_apart() {
        let plan = serde_json::json!({ "steps": [{ "run": ["/bin/rm", "--", "a b", ""] }] });
        assert!(super::plan(&plan).into_string().contains("/bin/rm -- &quot;a b&quot; &quot;&quot;"));
    }
}
