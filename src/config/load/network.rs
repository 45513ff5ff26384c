//! Addresses, networks, hosts and URLs.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::{Doc, Fields, Node, Reader, codes, is_loopback};
use crate::config::FLASHDUTY_ADDRESSES;
use crate::rule::yaml::values::LIST_MAX;

/// The networks that a machine reaches itself by.
const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];

/// `ssh`: the config of the SSH client.
pub(super) fn ssh(reader: &Reader<'_>, node: &Node) -> Option<PathBuf> {
    let fields = Fields::open(reader.doc, node, "`ssh`")?;
    let config = fields
        .require(
            "config",
            "say which file: `ssh: { config: ssh_config }`, or leave the section out for the client's own",
        )
        .and_then(|node| reader.doc.text(node, "`ssh.config`"))
        .map(|written| reader.absolute(written));
    fields.close();
    config
}

/// A list of presets, addresses and networks.
pub(super) fn list(doc: &Doc, node: &Node, what: &str) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for node in doc.list_or_empty(node, what, LIST_MAX).unwrap_or_default() {
        let Some(text) = doc.text(node, "a network") else { continue };
        match text {
            "flashduty" => networks.extend(preset(FLASHDUTY_ADDRESSES)),
            "loopback" => networks.extend(preset(LOOPBACK)),
            _ => networks.extend(one(doc, node, text)),
        }
    }
    networks
}

/// `allow_from` where it is not written.
pub(super) fn default_allowed() -> Vec<IpNet> {
    preset(FLASHDUTY_ADDRESSES).chain(preset(LOOPBACK)).collect()
}

fn preset(texts: &'static [&'static str]) -> impl Iterator<Item = IpNet> {
    texts.iter().filter_map(|text| parse(text).ok())
}

fn parse(text: &str) -> Result<IpNet, ()> {
    // A bare address is that address alone, in both families.
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>().map_err(|_| ()),
    }
}

fn one(doc: &Doc, node: &Node, text: &str) -> Option<IpNet> {
    let Ok(network) = parse(text) else {
        doc.error_hint(
            codes::NETWORK,
            node.span.clone(),
            format!("`{text}` is not an address or network"),
            "write `10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`, or a preset: flashduty, loopback",
        );
        return None;
    };
    if network != network.trunc() {
        doc.error_hint(
            codes::NETWORK,
            node.span.clone(),
            format!("`{text}` has host bits set, so that it is not clear what is meant"),
            format!("write `{}` for the network, or `{}` for the one address", network.trunc(), network.addr()),
        );
        return None;
    }
    Some(network)
}

/// `http: { allow: [host:port] }`.
pub(super) fn http(reader: &Reader<'_>, node: &Node) -> Vec<String> {
    let doc = reader.doc;
    let Some(fields) = Fields::open(doc, node, "`http`") else { return Vec::new() };
    let mut allowed = Vec::new();
    if let Some(items) = fields.get("allow").and_then(|node| doc.list_or_empty(node, "`http.allow`", LIST_MAX)) {
        for node in items {
            allowed.extend(doc.text(node, "a host").and_then(|text| authority(doc, node, text)));
        }
    }
    fields.close();
    allowed
}

fn authority(doc: &Doc, node: &Node, text: &str) -> Option<String> {
    let port = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    // A `*` is no host: nothing would ever be reached by it, and it reads as if everything were.
    let host = port.and_then(|(host, _)| url::Host::parse(host).ok()).filter(|_| !text.contains('*'));
    match (port, host) {
        (Some((_, port)), Some(host)) if port > 0 => Some(format!("{host}:{port}").to_ascii_lowercase()),
        _ => {
            let hint = "write host and port: `inventory.internal:443`";
            doc.error_hint(codes::NETWORK, node.span.clone(), format!("`{text}` is not a host with a port"), hint);
            None
        }
    }
}

/// The base URL of the Open API. The key travels in it, so plain HTTP goes no further than this machine.
pub(super) fn api(doc: &Doc, node: &Node) -> Option<String> {
    let text = doc.text(node, "`api`")?;
    let parsed = url::Url::parse(text).ok();
    match parsed {
        Some(url) if url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url) => {
            Some(text.trim_end_matches('/').to_owned())
        }
        _ => {
            let hint = "it is `https://api.flashcat.cloud` unless you know better";
            doc.error_hint(codes::HTTP_URL, node.span.clone(), format!("`{text}` is not an https URL"), hint);
            None
        }
    }
}

/// The beginning of an address that people follow.
pub(super) fn link(doc: &Doc, node: &Node) -> Option<String> {
    let text = doc.text(node, "`run_link`")?;
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(text.to_owned()),
        _ => {
            let hint = "a run's id is put behind it: `https://bastion.internal/runs/`";
            doc.error_hint(codes::HTTP_URL, node.span.clone(), format!("`{text}` is not an http or https URL"), hint);
            None
        }
    }
}
