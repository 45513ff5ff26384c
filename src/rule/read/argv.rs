//! Templates in an argv: refused where an interpreter would read the value as code, pointed out where a program
//! could take it for an option.
//!
//! The table names what is common on a bastion. It cannot be complete: a script of one's own that evaluates its
//! arguments is beyond it.

mod table;

use std::sync::Arc;

use super::{Reader, inline_secret, program};
use crate::rule::diagnostic::codes;
use crate::rule::template::Template;
use crate::rule::trust::Sealed;
use crate::rule::yaml::Node;
use table::{FIND_EXEC, INTERPRETERS, Interpreter, Operand, WRAPPERS, Wrapper};

/// Where a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    /// On this machine, so that a script it names can be looked at.
    Here,
    /// On another one.
    Elsewhere,
}

/// Checks the arguments of a step; `nodes` are where they are written. Gives the scripts of the rules that it names.
pub(super) fn check(reader: &Reader<'_>, nodes: &[Node], argv: &[Template], runs: Runs) -> Vec<Arc<Sealed>> {
    let args: Vec<Arg<'_>> = nodes
        .iter()
        .zip(argv)
        .map(|(node, template)| Arg { node, text: template.source(), literal: template.is_constant() })
        .collect();
    let mut check = Check { reader, runs, returned: reader.cx.is_returned, refused: false, scripts: Vec::new() };
    check.command(&args);
    args.iter().filter(|arg| arg.literal).for_each(|arg| inline_secret::check_text(reader, arg.node, arg.text));
    for pair in args.windows(2) {
        if let [option, value] = pair
            && value.literal
        {
            inline_secret::check_option(reader, value.node, option.text, value.text);
        }
    }
    if !check.refused {
        warn_of_options(reader, &args);
    }
    check.scripts
}

#[derive(Clone, Copy)]
struct Arg<'a> {
    node: &'a Node,
    text: &'a str,
    literal: bool,
}

struct Check<'r> {
    reader: &'r Reader<'r>,
    runs: Runs,
    /// Whether the arguments are finished texts, so that one that is not literal is what a program will really see.
    returned: bool,
    refused: bool,
    scripts: Vec<Arc<Sealed>>,
}

impl Check<'_> {
    /// Checks a command: a program and its arguments.
    fn command(&mut self, args: &[Arg<'_>]) {
        let Some((first, rest)) = args.split_first() else { return };
        if !first.literal {
            self.refuse(*first, "its value would be run as a program");
            return;
        }
        let name = base_name(first.text);
        if let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.name == name) {
            self.wrapped(wrapper, rest);
        } else if let Some(interpreter) = interpreter(name) {
            self.interpreted(interpreter, name, rest);
        } else if name == "find" {
            self.find(rest);
        } else {
            // Behind `docker exec`, `kubectl exec … --` and the like a shell is a shell too.
            for (at, arg) in rest.iter().enumerate() {
                if let (true, Some(inner)) = (arg.literal, interpreter(base_name(arg.text)))
                    && inner.code_letters == "c"
                    && let Some(behind) = rest.get(at + 1..)
                {
                    self.interpreted(inner, base_name(arg.text), behind);
                    return;
                }
            }
        }
    }

    fn wrapped(&mut self, wrapper: &Wrapper, args: &[Arg<'_>]) {
        let mut operands = wrapper.operands;
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            let text = arg.text;
            if wrapper.name == "env" && (text.starts_with("-S") || text.starts_with("--split-string")) {
                for arg in args.iter().skip(at).filter(|arg| !arg.literal) {
                    self.refuse(*arg, "`env -S` would split its value into a command");
                }
                return;
            }
            if arg.literal && text == "--" {
                at += 1;
                break;
            }
            if arg.literal && text.starts_with('-') && text.len() > 1 {
                let takes_next =
                    !text.starts_with("--") && text.chars().last().is_some_and(|last| wrapper.valued.contains(last));
                at += if takes_next { 2 } else { 1 };
            } else if wrapper.name == "env" && self.is_assignment(arg) {
                at += 1;
            } else if operands > 0 {
                operands -= 1;
                at += 1;
            } else {
                break;
            }
        }
        self.command(args.get(at..).unwrap_or_default());
    }

    /// Whether `env` sets a variable by it whose name no event can choose.
    fn is_assignment(&self, arg: &Arg<'_>) -> bool {
        let names = arg.text.split_once('=').is_some_and(|(name, _)| !name.contains("{{"));
        names && (arg.literal || !self.returned)
    }

    /// Whether a value that a script put together would be read as an option here.
    fn is_made_option(&self, arg: &Arg<'_>) -> bool {
        self.returned && !arg.literal && arg.text.starts_with('-')
    }

    fn interpreted(&mut self, interpreter: &Interpreter, name: &str, args: &[Arg<'_>]) {
        if interpreter.operand == Operand::AllCode {
            for arg in args.iter().filter(|arg| !arg.literal) {
                self.refuse(*arg, &format!("`{name}` hands its arguments to a shell or runs what they name"));
            }
            return;
        }
        let mut code_given = false;
        let mut operand_seen = false;
        let mut options_ended = false;
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            at += 1;
            if !options_ended && arg.literal && arg.text == "--" {
                options_ended = true;
            } else if !options_ended && self.is_made_option(arg) {
                self.refuse(*arg, &format!("`{name}` would take its value for an option"));
            } else if !options_ended && arg.text.starts_with('-') && arg.text.len() > 1 {
                let Some(joined) = code_option(interpreter, arg.text) else {
                    at += values_taken(interpreter, arg.text);
                    continue;
                };
                code_given = true;
                let code = if joined { Some(arg) } else { args.get(at) };
                at += usize::from(!joined);
                if let Some(code) = code.filter(|code| !code.literal) {
                    self.refuse(*code, &format!("`{name}` would read its value as code"));
                }
            } else if interpreter.operand == Operand::Script {
                if !code_given && !arg.literal {
                    self.refuse(*arg, &format!("`{name}` would run the script that its value names"));
                } else if self.runs == Runs::Here && !code_given && arg.text.contains('/') {
                    self.scripts.extend(program::check_script(self.reader, arg.node, arg.text));
                }
                // What stands behind the script, or behind the code, is data for it.
                return;
            } else {
                // The others take options behind operands too.
                if interpreter.operand == Operand::Code && !operand_seen && !code_given && !arg.literal {
                    self.refuse(*arg, &format!("`{name}` would read its value as code"));
                }
                operand_seen = true;
            }
        }
    }

    fn find(&mut self, args: &[Arg<'_>]) {
        let mut inside = false;
        for arg in args {
            if arg.literal && FIND_EXEC.contains(&arg.text) {
                inside = true;
            } else if inside && arg.literal && matches!(arg.text, ";" | "+") {
                inside = false;
            } else if self.is_made_option(arg) {
                self.refuse(*arg, "`find` would take its value for an option");
            } else if inside && !arg.literal {
                self.refuse(*arg, "`find` would run it as part of a command");
            }
        }
    }

    fn refuse(&mut self, arg: Arg<'_>, why: &str) {
        self.refused = true;
        self.reader.doc.error_hint(
            codes::TEMPLATE_AS_CODE,
            arg.node.span.clone(),
            format!("a value from the event is refused here: {why}"),
            "write a script of your own, and give it the value as an argument or as an environment variable",
        );
    }
}

fn base_name(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

/// The interpreter of this name; `python3.12` is python.
fn interpreter(name: &str) -> Option<&'static Interpreter> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.iter().find(|known| known.names.iter().any(|known| *known == name || *known == stem))
}

/// Whether an option's value is code: `Some(true)` where it is joined to the option.
fn code_option(interpreter: &Interpreter, text: &str) -> Option<bool> {
    if let Some(long) = interpreter.code_options.iter().find(|long| text.starts_with(**long)) {
        return Some(text.len() > long.len());
    }
    if text.starts_with("--") {
        return None;
    }
    let letters = text.get(1..).unwrap_or_default();
    for (at, letter) in letters.char_indices() {
        if interpreter.code_letters.contains(letter) {
            // `-ec` is a cluster; behind the code letter anything else is the code itself.
            let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            let is_shell = interpreter.code_letters == "c" && rest.bytes().all(|byte| byte.is_ascii_alphabetic());
            return Some(!rest.is_empty() && !is_shell);
        }
        if !letter.is_ascii_alphabetic() {
            return None;
        }
    }
    None
}

/// How many arguments behind an option are its values.
fn values_taken(interpreter: &Interpreter, text: &str) -> usize {
    if matches!(text, "--arg" | "--argjson") {
        return 2;
    }
    let is_valued = |last: char| interpreter.valued.contains(last);
    usize::from(!text.starts_with("--") && text.chars().last().is_some_and(is_valued))
}

/// An argument that begins with a value could begin with `-`. The value of an option stands behind one.
fn warn_of_options(reader: &Reader<'_>, args: &[Arg<'_>]) {
    for (before, arg) in args.iter().zip(args.iter().skip(1)) {
        if before.literal && before.text == "--" || arg.literal && arg.text == "--" {
            return;
        }
        let behind_option = before.literal && before.text.starts_with('-') && !before.text.contains('=');
        if !arg.literal && arg.text.trim_start().starts_with("{{") && !behind_option {
            reader.doc.warn(
                codes::TEMPLATE_AS_OPTION,
                arg.node.span.clone(),
                "a value that begins with `-` could be taken for an option",
                "put `--` before it, where the program knows that, or behind an option: `--host=…`",
            );
        }
    }
}
