//! `traces`: where traces go. Read the same in every build; one that cannot send them refuses the section.

use url::Url;

use super::{Doc, Fields, Kind, Node, Reader, codes, is_loopback, secrets};
use crate::config::Traces;
use crate::rule::read::http::is_header_name;

/// How many headers may be added; a collector asks for one or two.
pub(super) const HEADERS_MAX: usize = 16;
/// Headers that follow from the request itself.
const OWN_HEADERS: &[&str] = &["host", "content-type", "content-length", "content-encoding", "transfer-encoding"];

pub(super) fn read(reader: &Reader<'_>, node: &Node) -> Option<Traces> {
    let doc = reader.doc;
    if !cfg!(feature = "otlp") {
        doc.error_hint(
            codes::BUILD_LACKS,
            node.head(),
            "`traces` is refused: this program was built without traces",
            "build it with `cargo build --release --features otlp`, or remove the section",
        );
    }
    let fields = Fields::open(doc, node, "`traces`")?;
    let endpoint_node =
        fields.require("endpoint", "name the collector's address: `endpoint: http://127.0.0.1:4318/v1/traces`");
    let endpoint = endpoint_node.and_then(|node| endpoint(doc, node));
    let headers = fields.get("headers").map(|node| headers(reader, node)).unwrap_or_default();
    let sample = fields.get("sample").map_or(Some(1.0), |node| sample(doc, node));
    fields.close();
    let (endpoint, node) = endpoint.zip(endpoint_node)?;
    if !headers.is_empty() && endpoint.scheme() == "http" && !is_loopback(&endpoint) {
        doc.error_hint(
            codes::HTTP_URL,
            node.span.clone(),
            "the secrets in `headers` would travel in the open",
            "use https, or a collector on this machine that has the secrets itself",
        );
    }
    Some(Traces { endpoint: endpoint.into(), headers, sample: sample? })
}

/// The whole URL: what a collector serves at its root is not where it takes traces.
fn endpoint(doc: &Doc, node: &Node) -> Option<Url> {
    let text = doc.text(node, "`traces.endpoint`")?;
    let refuse = |why: &str| {
        let hint = "write the whole URL of its OTLP receiver for HTTP: `http://127.0.0.1:4318/v1/traces`";
        doc.error_hint(codes::HTTP_URL, node.span.clone(), format!("`traces.endpoint` {why}"), hint);
    };
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        refuse("is not an http or https URL");
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        refuse("holds a name or password; put it into `headers`");
        return None;
    }
    if url.path() == "/" {
        refuse("has no path");
        return None;
    }
    Some(url)
}

fn headers(reader: &Reader<'_>, node: &Node) -> Vec<(String, crate::config::secret::SecretRef)> {
    let doc = reader.doc;
    let entries = doc.entries(node, "`traces.headers`").unwrap_or_default();
    if entries.len() > HEADERS_MAX {
        let message = format!("`traces.headers` has {} keys; at most {HEADERS_MAX} are possible", entries.len());
        doc.error(codes::TOO_MANY, node.head(), message);
        return Vec::new();
    }
    let mut read = Vec::with_capacity(entries.len());
    for (name, key, value) in entries {
        if !is_header_name(name) {
            doc.error(codes::HTTP_HEADER, key.span.clone(), format!("`{name}` cannot name a header"));
        } else if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            doc.error(codes::HTTP_HEADER, key.span.clone(), format!("`{name}` follows from the request itself"));
        }
        read.extend(secrets::read(reader, value, "a value of `traces.headers`").map(|value| (name.to_owned(), value)));
    }
    read
}

/// A part from 0 to 1.
fn sample(doc: &Doc, node: &Node) -> Option<f64> {
    let part = match &node.kind {
        Kind::Float(part) => Some(*part),
        Kind::Int(0) => Some(0.0),
        Kind::Int(1) => Some(1.0),
        _ => None,
    };
    let part = part.filter(|part| (0.0..=1.0).contains(part));
    if part.is_none() {
        let hint = "write the part of events that is traced: `1.0` for all, `0.05` for every twentieth";
        doc.error_hint(codes::INVALID_VALUE, node.head(), "`traces.sample` must be a number from 0 to 1", hint);
    }
    part
}
