//! Templates in an argv: refused where an interpreter would read the value as code, pointed out where a program
//! could take it for an option.
//!
//! The table names what is common on a bastion. It cannot be complete: a script of one's own that evaluates its
//! arguments is beyond it.

use super::{Reader, program};
use crate::rule::diagnostic::codes;
use crate::rule::template::Template;
use crate::rule::yaml::Node;

/// How an interpreter is told what to run.
struct Interpreter {
    names: &'static [&'static str],
    /// One-letter options whose value is code, also in a cluster such as `-ec`.
    code_letters: &'static str,
    /// Long options whose value is code.
    code_options: &'static [&'static str],
    /// What its first operand is.
    operand: Operand,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// A script's path.
    Script,
    /// Code, unless an option gave it.
    Code,
    /// Every operand is, or may be, code.
    AllCode,
    /// Data.
    Data,
}

const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        names: &["sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "csh", "tcsh"],
        code_letters: "c",
        code_options: &["--command", "--init-command", "--rcfile", "--init-file"],
        operand: Operand::Script,
    },
    Interpreter { names: &["python", "pypy"], code_letters: "cm", code_options: &[], operand: Operand::Script },
    Interpreter { names: &["perl"], code_letters: "eEMm", code_options: &[], operand: Operand::Script },
    Interpreter { names: &["ruby"], code_letters: "er", code_options: &[], operand: Operand::Script },
    Interpreter {
        names: &["node", "nodejs", "deno", "bun"],
        code_letters: "epr",
        code_options: &["--eval", "--print", "--require", "--import"],
        operand: Operand::Script,
    },
    Interpreter { names: &["php"], code_letters: "rBRE", code_options: &["--run"], operand: Operand::Script },
    Interpreter { names: &["lua", "Rscript"], code_letters: "e", code_options: &[], operand: Operand::Script },
    Interpreter {
        names: &["awk", "gawk", "mawk", "nawk"],
        code_letters: "fe",
        code_options: &["--file", "--source"],
        operand: Operand::Code,
    },
    Interpreter {
        names: &["sed", "gsed"],
        code_letters: "ef",
        code_options: &["--expression", "--file"],
        operand: Operand::Code,
    },
    Interpreter { names: &["jq", "yq"], code_letters: "f", code_options: &["--from-file"], operand: Operand::Code },
    Interpreter { names: &["psql"], code_letters: "c", code_options: &["--command"], operand: Operand::Data },
    Interpreter {
        names: &["mysql", "mariadb"],
        code_letters: "e",
        code_options: &["--execute"],
        operand: Operand::Data,
    },
    Interpreter { names: &["su", "runuser"], code_letters: "c", code_options: &["--command"], operand: Operand::Data },
    // The far shell, or one started by these, reads all of it.
    Interpreter {
        names: &["ssh", "npx", "bunx", "uvx", "pipx", "watch", "parallel", "eval", "at", "batch", "script"],
        code_letters: "",
        code_options: &[],
        operand: Operand::AllCode,
    },
];

/// A program that runs the command that follows its own options.
struct Wrapper {
    name: &'static str,
    /// One-letter options that take the next argument as their value.
    valued: &'static str,
    /// Operands before the command.
    operands: usize,
}

const WRAPPERS: &[Wrapper] = &[
    Wrapper { name: "env", valued: "uC", operands: 0 },
    Wrapper { name: "sudo", valued: "ughpCrtTURD", operands: 0 },
    Wrapper { name: "doas", valued: "uC", operands: 0 },
    Wrapper { name: "nice", valued: "n", operands: 0 },
    Wrapper { name: "ionice", valued: "cnpPu", operands: 0 },
    Wrapper { name: "timeout", valued: "sk", operands: 1 },
    Wrapper { name: "stdbuf", valued: "ioe", operands: 0 },
    Wrapper { name: "nohup", valued: "", operands: 0 },
    Wrapper { name: "setsid", valued: "", operands: 0 },
    Wrapper { name: "time", valued: "fo", operands: 0 },
    Wrapper { name: "flock", valued: "wE", operands: 1 },
    Wrapper { name: "chroot", valued: "", operands: 1 },
    Wrapper { name: "busybox", valued: "", operands: 0 },
    Wrapper { name: "xargs", valued: "InPLdEsa", operands: 0 },
];

/// Options of `find` after which a command stands, up to `;` or `+`.
const FIND_EXEC: &[&str] = &["-exec", "-execdir", "-ok", "-okdir"];

/// Checks the arguments of a step; `nodes` are where they are written.
pub(super) fn check(reader: &Reader<'_>, nodes: &[Node], argv: &[Template]) {
    let args: Vec<Arg<'_>> = nodes
        .iter()
        .zip(argv)
        .map(|(node, template)| Arg { node, text: template.source(), literal: template.is_literal() })
        .collect();
    let mut check = Check { reader, refused: false };
    check.command(&args);
    if check.refused {
        return;
    }
    warn_of_options(reader, &args);
}

#[derive(Clone, Copy)]
struct Arg<'a> {
    node: &'a Node,
    text: &'a str,
    literal: bool,
}

struct Check<'r> {
    reader: &'r Reader<'r>,
    refused: bool,
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
            } else if wrapper.name == "env" && text.split_once('=').is_some_and(|(name, _)| !name.contains("{{")) {
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

    fn interpreted(&mut self, interpreter: &Interpreter, name: &str, args: &[Arg<'_>]) {
        if interpreter.operand == Operand::AllCode {
            for arg in args.iter().filter(|arg| !arg.literal) {
                self.refuse(*arg, &format!("`{name}` hands its arguments to a shell or runs what they name"));
            }
            return;
        }
        let mut code_given = false;
        let mut options_ended = false;
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            at += 1;
            if !options_ended && arg.literal && arg.text == "--" {
                options_ended = true;
                continue;
            }
            if !options_ended && arg.text.starts_with('-') && arg.text.len() > 1 {
                if let Some(joined) = code_option(interpreter, arg.text) {
                    code_given = true;
                    if joined && !arg.literal {
                        self.refuse(*arg, &format!("`{name}` would read its value as code"));
                    } else if let (false, Some(code)) = (joined, args.get(at)) {
                        at += 1;
                        if !code.literal {
                            self.refuse(*code, &format!("`{name}` would read its value as code"));
                        }
                    }
                }
                continue;
            }
            // The first operand; the ones behind it are data.
            match (interpreter.operand, code_given) {
                (Operand::Script | Operand::Code, false) if !arg.literal => {
                    self.refuse(*arg, &format!("`{name}` would read its value as code, or run the script it names"));
                }
                (Operand::Script, false) if arg.text.contains('/') => {
                    program::check_script(self.reader, arg.node, arg.text);
                }
                _ => {}
            }
            // Options with values of their own may hide the script, so a template right behind is looked at too.
            if interpreter.operand != Operand::Data {
                break;
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
            format!("a template is refused here: {why}"),
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
