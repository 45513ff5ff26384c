//! `match`.

use super::{NAMES_MAX, Reader, never};
use crate::event::EVENT_TYPES;
use crate::rule::diagnostic::codes;
use crate::rule::matching::{ChannelPattern, Match, Matcher, NamePattern, REGEX_BYTES_MAX, Scalar, Test, TextGlob};
use crate::rule::yaml::fields::{Fields, nearest, suggestion};
use crate::rule::yaml::{Kind, Node};

/// How many blocks `any` may have.
const ANY_MAX: usize = 64;

/// What kind of values a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Text alone: titles and descriptions.
    Text,
    /// Text alone, and the author is told so: labels.
    Label,
    /// Text, numbers and bools: custom fields.
    Anything,
}

/// The block of a rule: `events` and `channels` must be there.
pub(super) fn top(reader: &Reader<'_>, node: &Node) -> Match {
    block(reader, node, "`match`", true)
}

fn block(reader: &Reader<'_>, node: &Node, what: &str, is_top: bool) -> Match {
    let doc = reader.doc;
    let mut read = Match::default();
    let Some(fields) = Fields::open(doc, node, what) else { return read };
    let (events, channels) = if is_top {
        (
            fields.require("events", "name the event types: `events: [i_new]`, or `[\"*\"]` for all"),
            fields.require("channels", "name the channels: `channels: [Order System]`, or `[\"*\"]` for all"),
        )
    } else {
        (fields.get("events"), fields.get("channels"))
    };
    read.events = events.and_then(|node| event_types(reader, node));
    read.channels = channels.and_then(|node| channel_patterns(reader, node));
    read.severities = words(reader, &fields, "severities", &["Critical", "Warning", "Info"]);
    read.statuses = words(reader, &fields, "statuses", &["Critical", "Warning", "Info", "Ok"]);
    read.progress = words(reader, &fields, "progress", &["Triggered", "Processing", "Closed"]);
    read.sources = fields.get("sources").map(|node| sources(reader, node));
    read.person = fields.get("person").and_then(|node| people(reader, node));
    read.title = fields.get("title").and_then(|node| matcher(reader, node, "`title`", Holds::Text));
    read.description = fields.get("description").and_then(|node| matcher(reader, node, "`description`", Holds::Text));
    read.labels = named(reader, &fields, "labels", Holds::Label);
    read.fields = named(reader, &fields, "fields", Holds::Anything);
    if let Some(blocks) = fields.get("any").and_then(|node| doc.list(node, "`any`", ANY_MAX)) {
        read.any = blocks.iter().map(|node| block(reader, node, "a block of `any`", false)).collect();
    }
    read.not = fields.get("not").map(|node| Box::new(block(reader, node, "`not`", false)));
    never::of_block(reader, &fields, &read);
    fields.close();
    read
}

fn name_pattern(reader: &Reader<'_>, node: &Node, text: &str) -> Option<NamePattern> {
    if !text.contains(['*', '?']) {
        return Some(NamePattern::Exact(text.to_owned()));
    }
    glob(reader, node, text).map(NamePattern::Glob)
}

fn glob(reader: &Reader<'_>, node: &Node, text: &str) -> Option<TextGlob> {
    match TextGlob::new(text) {
        Ok(glob) => Some(glob),
        Err(problem) => {
            reader.doc.error(codes::INVALID_GLOB, node.span.clone(), format!("not a glob: {problem}"));
            None
        }
    }
}

fn event_types(reader: &Reader<'_>, node: &Node) -> Option<Vec<NamePattern>> {
    let mut patterns = Vec::new();
    for (text, node) in reader.doc.texts(node, "`events`")? {
        let pattern = name_pattern(reader, node, text);
        match &pattern {
            Some(NamePattern::Glob(glob)) if !EVENT_TYPES.iter().any(|(name, _)| glob.matches(name)) => {
                warn_fits_none(reader, node, text);
            }
            Some(NamePattern::Glob(_)) | None => {}
            Some(NamePattern::Exact(_)) => warn_unknown_event(reader, node, text),
        }
        patterns.extend(pattern);
    }
    Some(patterns)
}

/// The event types that a name or glob stands for. Of a glob those that are documented, which is what a run that waits
/// is held against.
pub(super) fn types_of(reader: &Reader<'_>, node: &Node, text: &str) -> Vec<String> {
    match name_pattern(reader, node, text) {
        Some(NamePattern::Glob(glob)) => {
            let types: Vec<String> =
                EVENT_TYPES.iter().filter(|(name, _)| glob.matches(name)).map(|(name, _)| (*name).to_owned()).collect();
            if types.is_empty() {
                warn_fits_none(reader, node, text);
            }
            types
        }
        Some(NamePattern::Exact(name)) => {
            warn_unknown_event(reader, node, &name);
            vec![name]
        }
        None => Vec::new(),
    }
}

fn warn_fits_none(reader: &Reader<'_>, node: &Node, text: &str) {
    let message = format!("no documented event type fits `{text}`");
    reader.doc.warn(codes::UNKNOWN_EVENT_TYPE, node.span.clone(), message, "check its spelling");
}

/// Warns of an event type that is not documented; the vendor may add some, so it is no error.
fn warn_unknown_event(reader: &Reader<'_>, node: &Node, name: &str) {
    let known: Vec<&str> = EVENT_TYPES.iter().map(|(name, _)| *name).collect();
    if known.contains(&name) {
        return;
    }
    let hint = match nearest(name, &known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "it is kept as it is, since new types may be added at any time".to_owned(),
    };
    let message = format!("`{name}` is not a documented event type");
    reader.doc.warn(codes::UNKNOWN_EVENT_TYPE, node.span.clone(), message, hint);
}

fn channel_patterns(reader: &Reader<'_>, node: &Node) -> Option<Vec<ChannelPattern>> {
    let mut patterns = Vec::new();
    for item in reader.doc.list(node, "`channels`", NAMES_MAX)? {
        let pattern = match &item.kind {
            Kind::Int(id) if *id > 0 => Some(ChannelPattern::Id(*id)),
            Kind::Int(id) => {
                let message = format!("{id} is no channel id");
                reader.doc.error(codes::INVALID_VALUE, item.span.clone(), message);
                None
            }
            _ => match reader.doc.text(item, "a channel") {
                Some("*") => Some(ChannelPattern::Any),
                Some(digits) if let Some(id) = quoted_id(digits) => {
                    Some(ChannelPattern::IdOrName(id, digits.to_owned()))
                }
                Some(name) => {
                    let pattern = name_pattern(reader, item, name);
                    if let Some(NamePattern::Exact(_)) = pattern {
                        warn_unseen_channel(reader, item, name);
                    }
                    pattern.map(ChannelPattern::Name)
                }
                None => None,
            },
        };
        patterns.extend(pattern);
    }
    Some(patterns)
}

/// The id that digits in quotes most likely are. A rule that took them for a name alone would never hold, unseen.
fn quoted_id(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn warn_unseen_channel(reader: &Reader<'_>, node: &Node, name: &str) {
    if let Some(meant) = reader.cx.seen.channel_instead_of(name) {
        let message = format!("no push in the journal comes from a channel `{name}`");
        reader.doc.warn(codes::UNKNOWN_CHANNEL, node.span.clone(), message, format!("did you mean `{meant}`?"));
    }
}

/// A list of words of which the documented ones are known; another one is most likely a slip of the pen.
fn words(reader: &Reader<'_>, fields: &Fields<'_>, name: &'static str, known: &[&str]) -> Option<Vec<String>> {
    let texts = reader.doc.texts(fields.get(name)?, &format!("`{name}`"))?;
    for (text, node) in &texts {
        if !known.contains(text) {
            let message = format!("`{name}` cannot have `{text}`");
            reader.doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, suggestion(text, known));
        }
    }
    Some(texts.into_iter().map(|(text, _)| text.to_owned()).collect())
}

fn sources(reader: &Reader<'_>, node: &Node) -> Vec<String> {
    let known: Vec<&str> = reader.cx.config.sources.iter().map(|source| source.name.as_str()).collect();
    let mut names = Vec::new();
    for (name, node) in reader.doc.texts(node, "`sources`").unwrap_or_default() {
        if !known.contains(&name) {
            let message = format!("the config has no source `{name}`");
            reader.doc.error_hint(codes::UNKNOWN_SOURCE, node.span.clone(), message, suggestion(name, &known));
        }
        names.push(name.to_owned());
    }
    names
}

/// E-mails or ids; one may stand without a list.
fn people(reader: &Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let one = |node: &Node| match &node.kind {
        Kind::Int(id) => Some(id.to_string()),
        _ => reader.doc.text(node, "`person`").map(str::to_owned),
    };
    match &node.kind {
        Kind::List(_) => {
            let items = reader.doc.list(node, "`person`", NAMES_MAX)?;
            Some(items.iter().filter_map(one).collect())
        }
        _ => one(node).map(|person| vec![person]),
    }
}

/// `labels` and `fields`: what stands after the dot is the name, dots and slashes included.
fn named(reader: &Reader<'_>, fields: &Fields<'_>, name: &'static str, holds: Holds) -> Vec<(String, Matcher)> {
    let Some(node) = fields.get(name) else { return Vec::new() };
    let entries = reader.doc.entries(node, &format!("`{name}`")).unwrap_or_default();
    let mut read = Vec::with_capacity(entries.len());
    for (label, key, value) in entries {
        if let (Holds::Label, Some(meant)) = (holds, reader.cx.seen.label_instead_of(label)) {
            let message = format!("no push in the journal has a label `{label}`");
            reader.doc.warn(codes::UNKNOWN_LABEL, key.span.clone(), message, format!("did you mean `{meant}`?"));
        }
        if value.kind == Kind::Null {
            let message = format!("`{name}.{label}` has no value");
            let hint = "for \"must not be there\" write { exists: false }";
            reader.doc.error_hint(codes::EMPTY, key.span.clone(), message, hint);
        } else if let Some(matcher) = matcher(reader, value, &format!("`{name}.{label}`"), holds) {
            read.push((label.to_owned(), matcher));
        }
    }
    read
}

fn matcher(reader: &Reader<'_>, node: &Node, what: &str, holds: Holds) -> Option<Matcher> {
    let doc = reader.doc;
    let tests = match &node.kind {
        Kind::Map(_) => keyed(reader, node, what, holds)?,
        Kind::List(_) => vec![Test::In(scalars(reader, node, what, holds)?)],
        _ => vec![Test::Equals(scalar(reader, node, what, holds)?)],
    };
    let has_exists = tests.iter().any(|test| matches!(test, Test::Exists(_)));
    let has_positive = tests.iter().any(|test| !test.is_negative());
    if tests.iter().any(Test::is_negative) && !has_exists && !has_positive {
        doc.warn(
            codes::NEGATIVE_WITHOUT_EXISTS,
            node.head(),
            format!("{what} has only a negative matcher: it does not hold where the field is absent"),
            "add `exists: true` if that is meant; else use `any: [ … , { …: { exists: false } } ]`",
        );
    }
    let matcher = Matcher { tests };
    if holds != Holds::Anything {
        never::of_matcher(reader, node, what, &matcher);
    }
    Some(matcher)
}

fn keyed(reader: &Reader<'_>, node: &Node, what: &str, holds: Holds) -> Option<Vec<Test>> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, what)?;
    let mut tests = Vec::new();
    let one = |name| fields.get(name).and_then(|node| scalar(reader, node, what, holds));
    let several = |name| fields.get(name).and_then(|node| scalars(reader, node, what, holds));
    let text = |name| fields.get(name).and_then(|node| doc.text(node, what).map(|text| (node, text)));
    tests.extend(one("equals").map(Test::Equals));
    tests.extend(one("not").map(Test::Not));
    tests.extend(several("in").map(Test::In));
    tests.extend(several("not_in").map(Test::NotIn));
    tests.extend(text("contains").map(|(_, text)| Test::Contains(text.to_owned())));
    tests.extend(text("prefix").map(|(_, text)| Test::Prefix(text.to_owned())));
    tests.extend(text("suffix").map(|(_, text)| Test::Suffix(text.to_owned())));
    tests.extend(text("glob").and_then(|(node, text)| glob(reader, node, text)).map(Test::Glob));
    tests.extend(text("regex").and_then(|(node, text)| regex(reader, node, text)).map(Test::Regex));
    tests.extend(fields.get("exists").and_then(|node| doc.boolean(node, "`exists`")).map(Test::Exists));
    fields.close();
    (!tests.is_empty()).then_some(tests)
}

fn scalars(reader: &Reader<'_>, node: &Node, what: &str, holds: Holds) -> Option<Vec<Scalar>> {
    let items = reader.doc.list(node, what, NAMES_MAX)?;
    Some(items.iter().filter_map(|item| scalar(reader, item, what, holds)).collect())
}

fn scalar(reader: &Reader<'_>, node: &Node, what: &str, holds: Holds) -> Option<Scalar> {
    match (&node.kind, holds) {
        // An empty text is a value that a label can have.
        (Kind::Text { text, .. }, _) => Some(Scalar::Text(text.clone())),
        (Kind::Int(value), Holds::Anything) => Some(Scalar::Int(*value)),
        (Kind::Float(value), Holds::Anything) => Some(Scalar::Float(*value)),
        (Kind::Bool(value), Holds::Anything) => Some(Scalar::Bool(*value)),
        (Kind::Int(_) | Kind::Float(_) | Kind::Bool(_) | Kind::Ambiguous { .. }, Holds::Label) => {
            let written = reader.doc.written(&node.span);
            reader.doc.error_hint(
                codes::QUOTE_LABEL,
                node.span.clone(),
                format!("{what} is text, so the unquoted `{written}` would never match"),
                format!("write \"{written}\""),
            );
            None
        }
        _ => {
            reader.doc.not_text(node, what);
            None
        }
    }
}

fn regex(reader: &Reader<'_>, node: &Node, text: &str) -> Option<regex::Regex> {
    let mut known = reader.cx.regexes.borrow_mut();
    let compiled = known.entry(text.to_owned()).or_insert_with(|| {
        regex::RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build().map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => format!("it compiles to more than {limit} bytes"),
            // The crate draws the pattern over several lines; the last one says what is wrong.
            other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        })
    });
    match compiled {
        Ok(regex) => Some(regex.clone()),
        Err(problem) => {
            reader.doc.error(codes::INVALID_REGEX, node.span.clone(), format!("not a regex: {problem}"));
            None
        }
    }
}
