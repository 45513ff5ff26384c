//! `http`: a request whose host is literal and on the config's list.

use super::{NAMES_MAX, Reader, inline_secret, script};
use crate::rule::diagnostic::codes;
use crate::rule::step::{HttpBody, HttpSpec, JsonTemplate, StatusPattern};
use crate::rule::template::{Template, TemplateKind};
use crate::rule::yaml::fields::{Fields, key_text, suggestion};
use crate::rule::yaml::{Kind, Node};

/// The methods a step may use.
const METHODS: &[(&str, &str)] =
    &[("GET", "GET"), ("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH"), ("DELETE", "DELETE"), ("HEAD", "HEAD")];
/// Headers that the client sets from what it really sends; another value could split the request in two.
const HEADERS_REFUSED: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive"];

/// Reads `http`.
pub(super) fn read(reader: &Reader<'_>, node: &Node) -> Option<HttpSpec> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "`http`")?;
    let body_node = fields.entry("json").or_else(|| fields.entry("body"));
    let method = match fields.get("method") {
        Some(node) => doc.choice(node, "`method`", METHODS),
        None if fields.has("method") => None,
        None => Some(if body_node.is_some() { "POST" } else { "GET" }),
    };
    let url = fields.require("url", "say where to: `url: https://host/path`").and_then(|node| url(reader, node));
    let headers = fields.get("headers").map(|node| headers(reader, node)).unwrap_or_default();
    let query = fields.get("query").map(|node| pairs(reader, node, "query", |_| None)).unwrap_or_default();
    let body = body(reader, &fields);
    if let (Some("GET" | "HEAD"), Some((key, _))) = (method, body_node) {
        doc.error(codes::INVALID_VALUE, key.span.clone(), "a GET or HEAD request has no body");
    }
    let (expect_status, expect_when) = match fields.get("expect") {
        Some(node) => expect(reader, node),
        None => (Vec::new(), None),
    };
    fields.close();
    let (url, authority) = url?;
    let expect_status = if expect_status.is_empty() { vec![StatusPattern::Class(2)] } else { expect_status };
    Some(HttpSpec {
        method: method?.to_owned(),
        url,
        authority,
        headers,
        query,
        body: body?,
        expect_status,
        expect_when,
    })
}

/// The URL, and `host:port` of it.
fn url(reader: &Reader<'_>, node: &Node) -> Option<(Template, String)> {
    let doc = reader.doc;
    let template = script::template(reader, node, "`url`", TemplateKind::Url)?;
    let text = template.source();
    // Encoding a value is left to templates and to `query`: in a finished URL it could name another resource.
    if !reader.refuse_unless_authored(node, text, "`url`") {
        return None;
    }
    let refuse = |message: String, hint: &str| {
        doc.error_hint(codes::HTTP_URL, node.span.clone(), message, hint.to_owned());
    };
    let scheme = ["http://", "https://"].into_iter().find(|scheme| text.starts_with(scheme));
    let Some(rest) = scheme.and_then(|scheme| text.strip_prefix(scheme)) else {
        refuse("`url` must begin with `http://` or `https://`".into(), "the scheme must be literal");
        return None;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest.get(..end).unwrap_or_default();
    if host.contains(['{', '}']) {
        refuse("the host of `url` must be literal".into(), "write one step for each host");
        return None;
    }
    if host.contains(['@', '\\']) {
        refuse("`url` must not hold a name or password".into(), "put them into a header");
        return None;
    }
    let literal = scheme.map(|scheme| format!("{scheme}{host}/")).unwrap_or_default();
    let parsed = match url::Url::parse(&literal) {
        Ok(parsed) => parsed,
        Err(error) => {
            refuse(format!("`url` has no usable host: {error}"), "a URL is `https://host/path`");
            return None;
        }
    };
    let authority = format!(
        "{}:{}",
        parsed.host_str().unwrap_or_default().to_ascii_lowercase(),
        parsed.port_or_known_default().unwrap_or_default()
    );
    let allowed = &reader.cx.config.http_allow;
    if !allowed.contains(&authority) {
        let hint = if allowed.is_empty() {
            format!("add it to the config: `http: {{ allow: [\"{authority}\"] }}`")
        } else {
            format!("add it to `http.allow` in the config, which has {}", allowed.join(", "))
        };
        let message = format!("`{authority}` is not on the config's `http.allow` list");
        doc.error_hint(codes::HTTP_NOT_ALLOWED, node.span.clone(), message, hint);
    }
    Some((template, authority))
}

/// Whether a text can be a header's name.
pub(crate) fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn headers(reader: &Reader<'_>, node: &Node) -> Vec<(String, Template)> {
    pairs(reader, node, "headers", |name| {
        if !is_header_name(name) {
            Some("is not the name of a header")
        } else if HEADERS_REFUSED.contains(&name.to_ascii_lowercase().as_str()) {
            Some("is set by the engine from what it sends")
        } else {
            None
        }
    })
}

/// Names with templates as values; `problem` says what is wrong with a name.
fn pairs(
    reader: &Reader<'_>,
    node: &Node,
    what: &str,
    problem: fn(&str) -> Option<&'static str>,
) -> Vec<(String, Template)> {
    let entries = reader.doc.entries(node, &format!("`{what}`")).unwrap_or_default();
    let mut read = Vec::with_capacity(entries.len());
    for (name, key, value) in entries {
        reader.refuse_unless_authored(key, name, &format!("a name in `{what}`"));
        if let Some(problem) = problem(name) {
            reader.doc.error(codes::HTTP_HEADER, key.span.clone(), format!("`{name}` {problem}"));
        }
        if let Some(template) = script::argument(reader, value, &format!("`{what}.{name}`")) {
            inline_secret::check(reader, value, name, &template);
            read.push((name.to_owned(), template));
        }
    }
    read
}

fn body(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<HttpBody> {
    match (fields.entry("json"), fields.entry("body")) {
        (None, None) => Some(HttpBody::Empty),
        (Some((_, node)), None) => json(reader, node).map(HttpBody::Json),
        (None, Some((_, node))) => {
            let text = reader.doc.text(node, "`body`")?;
            script::parse(reader, node, text, "`body`", TemplateKind::Text).map(HttpBody::Text)
        }
        (Some(_), Some((key, _))) => {
            let message = "a request has either `json` or `body`";
            reader.doc.error_hint(codes::INVALID_VALUE, key.span.clone(), message, "remove one of them");
            None
        }
    }
}

/// Reads JSON in which every text may be a template.
pub(super) fn json(reader: &Reader<'_>, node: &Node) -> Option<JsonTemplate> {
    match &node.kind {
        Kind::Text { text, .. } => {
            script::parse(reader, node, text, "`json`", TemplateKind::Text).map(JsonTemplate::Text)
        }
        Kind::List(items) => {
            let items: Vec<Option<JsonTemplate>> = items.iter().map(|item| json(reader, item)).collect();
            items.into_iter().collect::<Option<_>>().map(JsonTemplate::List)
        }
        Kind::Map(entries) => {
            let entries: Vec<Option<(String, JsonTemplate)>> = entries
                .iter()
                .map(|(key, value)| {
                    let value = json(reader, value);
                    let name = key_text(key)?;
                    if name.contains("{{") {
                        let message = "a key of `json` must be literal";
                        reader.doc.error(codes::TEMPLATE_NOT_LITERAL, key.span.clone(), message);
                    }
                    Some((name.to_owned(), value?))
                })
                .collect();
            entries.into_iter().collect::<Option<_>>().map(JsonTemplate::Object)
        }
        _ => reader.doc.json(node, "a value of `json`").map(JsonTemplate::Literal),
    }
}

fn expect(reader: &Reader<'_>, node: &Node) -> (Vec<StatusPattern>, Option<crate::rule::sandbox::Condition>) {
    let Some(fields) = Fields::open(reader.doc, node, "`expect`") else { return (Vec::new(), None) };
    let mut statuses = Vec::new();
    if let Some(items) = fields.get("status").and_then(|node| reader.doc.list(node, "`expect.status`", NAMES_MAX)) {
        statuses.extend(items.iter().filter_map(|item| status(reader, item)));
    }
    let when = fields.get("when").and_then(|node| script::condition(reader, node, "`expect.when`"));
    fields.close();
    (statuses, when)
}

fn status(reader: &Reader<'_>, node: &Node) -> Option<StatusPattern> {
    let written = reader.doc.argument(node, "a status")?;
    let class = [("1xx", 1), ("2xx", 2), ("3xx", 3), ("4xx", 4), ("5xx", 5)];
    if let Some((_, first)) = class.iter().find(|(name, _)| *name == written) {
        return Some(StatusPattern::Class(*first));
    }
    match written.parse::<u16>() {
        Ok(code @ 100..=599) => Some(StatusPattern::Code(code)),
        _ => {
            let message = format!("`{written}` is not a status");
            let hint = suggestion(written, &["2xx", "200", "204", "4xx"]);
            reader.doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, hint);
            None
        }
    }
}
