//! `run` and `shell`: steps that start a process.

use super::{NAMES_MAX, Reader, argv, inline_secret, program, script};
use crate::rule::diagnostic::codes;
use crate::rule::step::{ProcessSpec, RunSpec, ShellSpec, Stdin};
use crate::rule::template::{Template, TemplateKind};
use crate::rule::yaml::fields::Fields;
use crate::rule::yaml::{Kind, Node};

/// How many arguments a program may get; the kernel's limit is on their bytes.
const ARGV_MAX: usize = 1024;

/// Names that change what a program, its loader or its shell does before it does what the step wants.
const ENV_REFUSED: &[&str] = &[
    "PATH",
    "IFS",
    "ENV",
    "BASH_ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "CDPATH",
    "GLOBIGNORE",
    "PROMPT_COMMAND",
    "PYTHONSTARTUP",
    "PERL5OPT",
    "PERL5DB",
    "RUBYOPT",
    "NODE_OPTIONS",
    "JAVA_TOOL_OPTIONS",
];
/// The same, by how they begin.
const ENV_REFUSED_PREFIXES: &[&str] = &["LD_", "BASH_FUNC", "STANCH_"];

/// Reads `run`.
pub(super) fn run(reader: &Reader<'_>, fields: &Fields<'_>, node: &Node) -> Option<RunSpec> {
    let process = process(reader, fields);
    let (nodes, argv) = arguments(reader, node)?;
    let (first_node, first) = (nodes.first()?, argv.first()?);
    let program = program::resolve(reader, first_node, first.source());
    let mut files = argv::check(reader, nodes, &argv, argv::Runs::Here);
    files.extend(program::seal(reader, &program));
    Some(RunSpec { program, argv, files, process: process? })
}

/// The program and its arguments, and where they are written. The program itself is literal, so that no event chooses
/// what is run.
pub(super) fn arguments<'n>(reader: &Reader<'_>, node: &'n Node) -> Option<(&'n [Node], Vec<Template>)> {
    let doc = reader.doc;
    if let Kind::Text { .. } = node.kind {
        // One text in brackets would be a program with spaces in its name.
        let hint = "each word is an element, and none is read by a shell: `run: [./scripts/heal.sh, --host, db-07]`";
        doc.error_hint(codes::WRONG_TYPE, node.span.clone(), "`run` must be a list, not text", hint);
        return None;
    }
    let nodes = doc.list(node, "`run`", ARGV_MAX)?;
    let read: Vec<Option<Template>> =
        nodes.iter().map(|node| script::argument(reader, node, "an argument of `run`")).collect();
    let argv: Vec<Template> = read.into_iter().collect::<Option<_>>()?;
    let (first_node, first) = (nodes.first()?, argv.first()?);
    if !first.is_constant() {
        doc.error_hint(
            codes::TEMPLATE_NOT_LITERAL,
            first_node.span.clone(),
            "the program to run must be literal",
            "let a script of yours choose, with the value as an argument",
        );
        return None;
    }
    if first.source().trim().is_empty() {
        doc.error(codes::EMPTY, first_node.span.clone(), "the program to run is empty");
        return None;
    }
    Some((nodes, argv))
}

/// Reads `shell`.
pub(super) fn shell(reader: &Reader<'_>, fields: &Fields<'_>, node: &Node) -> Option<ShellSpec> {
    let process = process(reader, fields);
    Some(ShellSpec { script: script_text(reader, node)?, process: process? })
}

/// Text for a shell, in which no template may stand.
pub(super) fn script_text(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.doc.text(node, "`shell`")?;
    if !reader.refuse_unless_authored(node, text, "`shell`") {
        return None;
    }
    if let Some(at) = ["{{", "{%"].iter().filter_map(|mark| text.find(mark)).min() {
        let span = reader.doc.inside(node, at);
        reader.doc.error_hint(
            codes::TEMPLATE_IN_SHELL,
            span.start..reader.doc.floor(span.start + 2),
            "templates are refused in shell text, where a value would be read as code",
            "use \"$STANCH_TARGET\" and its like, or declare `env:` and use \"$NAME\"",
        );
        return None;
    }
    inline_secret::check_text(reader, node, text);
    Some(text.to_owned())
}

/// The keys that `run` and `shell` share.
fn process(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<ProcessSpec> {
    let doc = reader.doc;
    let env = env(reader, fields);
    let stdin = stdin(reader, fields);
    let base = &reader.cx.config.base;
    let cwd = fields.get("cwd").and_then(|node| Some((node, doc.text(node, "`cwd`")?)));
    if let Some((node, text)) = cwd
        && text.contains("{{")
    {
        doc.error(codes::TEMPLATE_NOT_LITERAL, node.span.clone(), "`cwd` must be literal");
    }
    if let Some((node, text)) = cwd {
        reader.refuse_unless_authored(node, text, "`cwd`");
    }
    let user = fields.get("user").and_then(|node| {
        let name = doc.text(node, "`user`")?;
        reader.refuse_unless_authored(node, name, "`user`");
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        if !is_name || name.starts_with('-') {
            doc.error(codes::INVALID_VALUE, node.span.clone(), "`user` must be the literal name of an account");
        }
        Some(name.to_owned())
    });
    let exit_codes = exit_codes(reader, fields);
    let allow_sudo = reader.flag(fields, "allow_sudo");
    let cwd = cwd.map_or_else(|| base.clone(), |(_, text)| base.join(text));
    Some(ProcessSpec { env, stdin: stdin?, cwd, user, exit_codes: exit_codes?, allow_sudo })
}

/// `exit_codes`, by default 0 alone.
pub(super) fn exit_codes(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<Vec<i32>> {
    let Some(node) = fields.get("exit_codes") else { return Some(vec![0]) };
    let codes = reader.doc.list(node, "`exit_codes`", NAMES_MAX)?.iter();
    let codes = codes.filter_map(|node| reader.doc.int(node, "an exit code", 0..=255));
    Some(codes.filter_map(|code| i32::try_from(code).ok()).collect())
}

/// `stdin`, by default the event.
pub(super) fn stdin(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<Stdin> {
    let Some(node) = fields.get("stdin") else { return Some(Stdin::Event) };
    match &node.kind {
        Kind::Text { text, .. } if text == "event" => Some(Stdin::Event),
        Kind::Text { text, .. } if text == "none" => Some(Stdin::None),
        _ => {
            let text = reader.doc.text(node, "`stdin`")?;
            script::parse(reader, node, text, "`stdin`", TemplateKind::Text).map(Stdin::Text)
        }
    }
}

/// `env`.
pub(super) fn env(reader: &Reader<'_>, fields: &Fields<'_>) -> Vec<(String, Template)> {
    let mut read = Vec::new();
    let Some(node) = fields.get("env") else { return read };
    for (name, key, value) in reader.doc.entries(node, "`env`").unwrap_or_default() {
        reader.refuse_unless_authored(key, name, "the name of a variable");
        if let Some(problem) = env_name_problem(name) {
            let message = format!("`{name}` {problem}");
            reader.doc.error(codes::ENV_NAME, key.span.clone(), message);
        }
        if let Some(template) = script::argument(reader, value, &format!("`env.{name}`")) {
            inline_secret::check(reader, value, name, &template);
            read.push((name.to_owned(), template));
        }
    }
    read
}

fn env_name_problem(name: &str) -> Option<&'static str> {
    let mut bytes = name.bytes();
    let starts = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    if !starts || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Some("cannot be the name of an environment variable: it must be [A-Za-z_][A-Za-z0-9_]*");
    }
    if name.starts_with("STANCH_") {
        return Some("is refused: names that begin with STANCH_ are set by the engine");
    }
    if ENV_REFUSED.contains(&name) || ENV_REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Some("is refused: it changes what is run, not what it is told");
    }
    None
}
