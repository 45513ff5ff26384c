//! Where secrets are kept. A secret itself never stands in the config.

use super::{Fields, Kind, Node, Reader, codes, is_map};
use crate::config::secret::SecretRef;

pub(super) fn read(reader: &Reader<'_>, node: &Node, what: &str) -> Option<SecretRef> {
    let doc = reader.doc;
    let hint = "say where it is kept: `{ file: secrets/token }`, `{ env: NAME }` or `{ credential: NAME }`";
    if !is_map(node) {
        // The message must not repeat it, nor should a person who reads the terminal see it underlined in full.
        let span = node.span.start..node.span.start;
        doc.error_hint(codes::SECRET, span, format!("{what} is refused: a secret never stands in the config"), hint);
        return None;
    }
    let fields = Fields::open(doc, node, what)?;
    let text = |name| fields.get(name).and_then(|node| doc.text(node, what));
    let file = text("file").map(|path| SecretRef::File(reader.absolute(path)));
    let env = text("env").map(|name| SecretRef::Env(name.to_owned()));
    let credential = fields.get("credential").and_then(|node| {
        let name = doc.text(node, what)?;
        if name.contains('/') || name == ".." {
            doc.error(codes::SECRET, node.span.clone(), "a credential is a name, not a path");
        }
        Some(SecretRef::Credential(name.to_owned()))
    });
    let written = ["file", "env", "credential"].iter().filter(|name| fields.has(name)).count();
    let has_other = matches!(&node.kind, Kind::Map(entries) if entries.len() > written);
    if written > 1 || written == 0 && !has_other {
        doc.error_hint(codes::SECRET, fields.head(), format!("{what} must name one place"), hint);
    }
    fields.close();
    let read = file.or(env).or(credential);
    reader.places.borrow_mut().secrets.extend(read.clone().map(|secret| (secret, node.head())));
    read
}
