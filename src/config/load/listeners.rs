//! Listeners: the webhook's, its TLS, and those for people.

use std::net::SocketAddr;

use super::{Admin, Doc, Fields, Node, Reader, codes, secrets};
use crate::config::Tls;

/// `127.0.0.1:8080`.
pub(super) fn address(doc: &Doc, node: &Node, what: &str) -> Option<SocketAddr> {
    let text = doc.text(node, what)?;
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            doc.error_hint(
                codes::NETWORK,
                node.span.clone(),
                format!("{what}: `{text}` is not an address with a port"),
                "an address is `127.0.0.1:8080`, `0.0.0.0:8080` or `[::1]:8080`",
            );
            None
        }
    }
}

pub(super) fn tls(reader: &Reader<'_>, node: &Node) -> Option<Tls> {
    let doc = reader.doc;
    let fields = Fields::open(doc, node, "`tls`")?;
    let path = |name| {
        let node = fields.require(name, "give the path of a PEM file")?;
        doc.text(node, &format!("`tls.{name}`")).map(|path| reader.absolute(path))
    };
    let (cert, key) = (path("cert"), path("key"));
    fields.close();
    reader.places.borrow_mut().tls = Some(node.head());
    Some(Tls { cert: cert?, key: key? })
}

pub(super) fn admin(reader: &Reader<'_>, node: &Node, webhook: SocketAddr, admin: &mut Admin) {
    let doc = reader.doc;
    let Some(fields) = Fields::open(doc, node, "`admin`") else { return };
    if let Some(path) = fields.get("socket").and_then(|node| doc.text(node, "`admin.socket`")) {
        admin.socket = reader.absolute(path);
    }
    let listen = fields.entry("listen");
    admin.listen = listen.and_then(|(_, node)| address(doc, node, "`admin.listen`"));
    admin.token = fields.get("token").and_then(|node| secrets::read(reader, node, "`admin.token`"));
    admin.read_token = fields.get("read_token").and_then(|node| secrets::read(reader, node, "`admin.read_token`"));
    if let Some((key, _)) = fields.entry("read_token")
        && admin.read_token.is_some()
        && admin.read_token == admin.token
    {
        doc.error_hint(
            codes::SECRET,
            key.span.clone(),
            "`admin.read_token` is `admin.token`: whoever may only see could act",
            "keep it in a place of its own",
        );
    }
    if let Some((key, _)) = listen
        && !fields.has("token")
    {
        doc.error_hint(
            codes::ADMIN_TOKEN,
            key.span.clone(),
            "the admin listener on TCP has no token: whoever reaches it could approve and cancel runs",
            "add `token: { file: secrets/admin-token }`, or use the unix socket alone",
        );
    }
    if let (Some((_, node)), Some(address)) = (listen, admin.listen)
        && address == webhook
        && address.port() != 0
    {
        doc.error(codes::DUPLICATE_NAME, node.span.clone(), "`admin.listen` is the webhook listener's address");
    }
    fields.close();
}
