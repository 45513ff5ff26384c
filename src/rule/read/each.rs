//! `each`: the same steps for every item of a list.

use super::{Reader, Scope, body, script};
use crate::plan::EACH_ITEMS_MAX;
use crate::rule::diagnostic::codes;
use crate::rule::sandbox::NAMES;
use crate::rule::step::{EachSpec, Items};
use crate::rule::template::Template;
use crate::rule::yaml::fields::Fields;
use crate::rule::yaml::{Kind, Node};

/// How many items may be worked on at a time. Each costs processes here, and connections that start at the same moment.
pub(crate) const EACH_BATCH_MAX: usize = 64;
/// What an item is called unless `as` says otherwise.
const ITEM: &str = "item";

/// Reads `each`, whose key stands at `key`.
pub(super) fn read(reader: &Reader<'_>, key: &Node, node: &Node) -> Option<EachSpec> {
    let doc = reader.doc;
    if !reader.scope.each {
        doc.error_hint(
            codes::INVALID_VALUE,
            key.span.clone(),
            "an `each` can stand in the `steps` of a rule alone, and not in another `each`",
            "guards count what `steps` act upon before anything starts; elsewhere write the steps one by one",
        );
    }
    let fields = Fields::open(doc, node, "`each`")?;
    let items =
        fields.require("in", "say what gives the list: `in: fields.hosts`").and_then(|node| items(reader, node));
    let name = fields.get("as").map_or(Some(ITEM), |node| name(reader, node));
    let batch = fields.get("batch").map_or(Some(1), |node| count(reader, node, "`batch`", 1, EACH_BATCH_MAX));
    let tolerance =
        fields.get("tolerance").map_or(Some(0), |node| count(reader, node, "`tolerance`", 0, EACH_ITEMS_MAX));
    let scope = Scope { item: Some(name.unwrap_or(ITEM)), each: false, ..reader.scope };
    let inside = Reader { scope, ..*reader };
    let steps = fields
        .require("steps", "say what is done with each: `steps: [ { ssh: { host: \"{{ item }}\", run: [uptime] } } ]`")
        .map(|node| body::steps(&inside, node, "`each.steps`"));
    fields.close();
    Some(EachSpec { items: items?, name: name?.to_owned(), batch: batch?, tolerance: tolerance?, steps: steps? })
}

fn count(reader: &Reader<'_>, node: &Node, what: &str, least: i64, most: usize) -> Option<usize> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    reader.doc.int(node, what, least..=most).and_then(|count| usize::try_from(count).ok())
}

/// A script, or the items themselves. Neither may ask for steps: what a run acts upon is known before it starts.
fn items(reader: &Reader<'_>, node: &Node) -> Option<Items> {
    let before = Reader { scope: Scope::default(), ..*reader };
    if let Kind::List(_) = node.kind {
        let nodes = reader.doc.list(node, "`in`", EACH_ITEMS_MAX)?;
        let read: Vec<Option<Template>> =
            nodes.iter().map(|node| script::argument(&before, node, "an item of `in`")).collect();
        return read.into_iter().collect::<Option<_>>().map(Items::Written);
    }
    if let Kind::Text { text, .. } = &node.kind
        && text.contains("{{")
    {
        let message = "`in` is a script, not a template";
        reader.doc.error_hint(codes::INVALID_SCRIPT, node.head(), message, "write the path alone: `in: fields.hosts`");
        return None;
    }
    script::condition(&before, node, "`in`").map(Items::Script)
}

fn name<'n>(reader: &Reader<'_>, node: &'n Node) -> Option<&'n str> {
    let name = reader.doc.text(node, "`as`")?;
    if !reader.refuse_unless_authored(node, name, "`as`") {
        return None;
    }
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain && rhai::is_valid_identifier(name) && !NAMES.contains(&name) {
        return Some(name);
    }
    let message = format!("`as`: `{name}` cannot be the name of an item");
    let hint = "lower-case letters, digits and `_`, and not a name that means something already: `as: host`";
    reader.doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, hint);
    None
}
