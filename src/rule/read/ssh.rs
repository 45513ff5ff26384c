//! `ssh`: a step on another host.

use super::{Reader, argv, process, script};
use crate::rule::destination;
use crate::rule::diagnostic::codes;
use crate::rule::step::{RemoteSpec, SshSpec};
use crate::rule::template::Template;
use crate::rule::yaml::Node;
use crate::rule::yaml::fields::Fields;

/// Reads `ssh`.
pub(super) fn read(reader: &Reader<'_>, node: &Node) -> Option<SshSpec> {
    let fields = Fields::open(reader.doc, node, "`ssh`")?;
    let host = fields
        .require("host", "say where: `host: \"{{ target }}\"`")
        .and_then(|node| checked(reader, node, "`host`", destination::host));
    let user = fields.get("user").and_then(|node| checked(reader, node, "`user`", destination::user));
    let port = fields.get("port").and_then(|node| checked(reader, node, "`port`", destination::port));
    let env = process::env(reader, &fields);
    let stdin = process::stdin(reader, &fields);
    let exit_codes = process::exit_codes(reader, &fields);
    let command = command(reader, &fields);
    fields.close();
    Some(SshSpec { host: host?, user, port, command: command?, env, stdin: stdin?, exit_codes: exit_codes? })
}

/// A template; a literal must be what it has to be in the end.
fn checked<T>(reader: &Reader<'_>, node: &Node, what: &str, check: fn(&str) -> Result<T, String>) -> Option<Template> {
    let template = script::argument(reader, node, what)?;
    if template.is_literal()
        && let Err(fault) = check(template.source())
    {
        let message = format!("{what}: `{}` {fault}", template.source());
        reader.doc.error(codes::INVALID_VALUE, node.span.clone(), message);
        return None;
    }
    Some(template)
}

fn command(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<RemoteSpec> {
    let doc = reader.doc;
    match (fields.entry("run"), fields.entry("shell")) {
        (Some((_, node)), None) => {
            let (nodes, argv) = process::arguments(reader, node)?;
            if let Some((first, node)) = argv.first().zip(nodes.first())
                && first.source().starts_with('-')
            {
                let message = "the program to run begins with `-`, which the shell there would take for an option";
                doc.error(codes::INVALID_VALUE, node.span.clone(), message);
            }
            let here = argv::check(reader, nodes, &argv, argv::Runs::Elsewhere);
            debug_assert!(here.is_empty(), "no file here is a script there");
            Some(RemoteSpec::Run(argv))
        }
        (None, Some((_, node))) => process::script_text(reader, node).map(RemoteSpec::Shell),
        (Some(_), Some((key, _))) => {
            let message = "`ssh` has either `run` or `shell`";
            doc.error_hint(codes::STEP_KIND, key.span.clone(), message, "make it two steps");
            None
        }
        (None, None) => {
            if !fields.has("run") && !fields.has("shell") {
                let hint = "give it `run: [systemctl, restart, nginx]`, or text for a shell under `shell`";
                doc.error_hint(codes::STEP_KIND, fields.head(), "`ssh` says not what to do there", hint);
            }
            None
        }
    }
}
