//! `sources`: where pushes come from and how each proves itself.

use std::net::SocketAddr;

use super::{Doc, Fields, Kind, Node, Reader, codes, network, secrets};
use crate::config::{Auth, Source};
use crate::rule::read::http::is_header_name;

/// How many sources there may be; a name becomes a label of metrics.
const SOURCES_MAX: usize = 64;
/// The header for the secret unless the config says otherwise.
const HEADER: &str = "x-stanch-token";
/// Headers that mean something else, or that proxies set.
const HEADERS_REFUSED: &[&str] =
    &["host", "content-length", "content-type", "transfer-encoding", "connection", "x-forwarded-for"];

pub(super) fn read(reader: &Reader<'_>, node: &Node, listen: SocketAddr) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for node in reader.doc.list(node, "`sources`", SOURCES_MAX).unwrap_or_default() {
        let source = one(reader, node, listen, &sources);
        sources.extend(source);
    }
    sources
}

fn one(reader: &Reader<'_>, node: &Node, listen: SocketAddr, before: &[Source]) -> Option<Source> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "the source")?;
    let name = fields.require("name", "name it: logs and metrics refer to it").and_then(|node| {
        let name = doc.text(node, "`name`")?;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.len() > 64 || !name.bytes().all(is_word) {
            let message = "a source's name has 1 to 64 letters, digits, `-`, `_` or `.`";
            doc.error(codes::INVALID_VALUE, node.span.clone(), message);
        } else if before.iter().any(|other| other.name == name) {
            doc.error(codes::DUPLICATE_NAME, node.span.clone(), format!("another source is named `{name}`"));
        }
        Some(name.to_owned())
    });
    let path = fields.require("path", "say on which path it is: `path: /flashduty`").and_then(|node| {
        let path = doc.text(node, "`path`")?;
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '%' | '{' | '}' | '"' | '<' | '>');
        if !path.starts_with('/') || !path.chars().all(is_plain) {
            let message = format!("`{path}` is not a path of a URL");
            let hint = "it begins with `/` and has no query: `/flashduty`";
            doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, hint);
        } else if before.iter().any(|other| other.path == path) {
            doc.error(codes::DUPLICATE_NAME, node.span.clone(), format!("another source has the path `{path}`"));
        }
        Some(path.to_owned())
    });
    let auth = auth(reader, &fields, listen);
    let allow_from = match fields.entry("allow_from") {
        None => network::default_allowed(),
        Some((key, node)) => {
            if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
                let hint = "name presets or networks: `allow_from: [flashduty, loopback]`";
                doc.warn(codes::DENIES_ALL, key.span.clone(), "an empty `allow_from` denies every address", hint);
            }
            network::list(doc, node, "`allow_from`")
        }
    };
    let trusted_proxies =
        fields.get("trusted_proxies").map(|node| network::list(doc, node, "`trusted_proxies`")).unwrap_or_default();
    fields.close();
    Some(Source { name: name?, path: path?, auth: auth?, allow_from, trusted_proxies })
}

fn auth(reader: &Reader<'_>, fields: &Fields<'_>, listen: SocketAddr) -> Option<Auth> {
    let doc = reader.doc;
    let hint = "add `auth: { header: X-Stanch-Token, secret: { file: secrets/webhook-token } }`";
    let Some((_, node)) = fields.entry("auth") else {
        if !fields.has("auth") {
            let message = "the source has no `auth`: anybody could push, and a push is a command";
            doc.error_hint(codes::AUTH_MISSING, fields.head(), message, hint);
        }
        return None;
    };
    if let Kind::Text { text, .. } = &node.kind {
        if text != "none" {
            let message = format!("`auth` cannot be `{text}`");
            doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, hint);
            return None;
        }
        if !listen.ip().is_loopback() {
            let message = format!("`auth: none` is refused: {listen} can be reached from elsewhere");
            doc.error_hint(codes::AUTH_NONE_PUBLIC, node.span.clone(), message, hint);
        }
        return Some(Auth::None);
    }
    let inner = Fields::open(doc, node, "`auth`")?;
    let header = inner.get("header").and_then(|node| header(doc, node));
    if !inner.has("secret") {
        doc.error_hint(codes::AUTH_MISSING, inner.head(), "`auth` has no `secret`", hint);
    }
    let secret = inner.get("secret").and_then(|node| secrets::read(reader, node, "`secret`"));
    let previous = inner.get("previous").and_then(|node| secrets::read(reader, node, "`previous`"));
    inner.close();
    Some(Auth::Header { header: header.unwrap_or_else(|| HEADER.to_owned()), secret: secret?, previous })
}

fn header(doc: &Doc, node: &Node) -> Option<String> {
    let name = doc.text(node, "`header`")?.to_ascii_lowercase();
    if !is_header_name(&name) || HEADERS_REFUSED.contains(&name.as_str()) {
        doc.error(codes::HTTP_HEADER, node.span.clone(), format!("`{name}` cannot be the header for a secret"));
    }
    Some(name)
}
