//! Which file a program's name stands for, and whether it may be run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Reader;
use crate::rule::diagnostic::codes;
use crate::rule::trust;
use crate::rule::yaml::Node;

/// Where bare names are looked for: the fixed `PATH` of every step.
pub(super) const SEARCH: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What is known of programs, by how they are written.
#[derive(Debug)]
pub(super) enum Programs {
    /// Each is looked up once, when it is first asked for.
    LookedUp(Known),
    /// Nothing further is looked up.
    Known(Arc<Known>),
}

/// What was found out. Who reads later is given it complete, and so looks at no file.
#[derive(Debug, Default)]
pub(super) struct Known {
    programs: HashMap<String, Result<PathBuf, Problem>>,
    scripts: HashMap<String, Option<Problem>>,
}

impl Known {
    /// What these texts are as programs, and as scripts for an interpreter.
    pub(super) fn of<'t>(texts: impl Iterator<Item = &'t str>, base: &Path) -> Self {
        let mut known = Self::default();
        for text in texts.filter(|text| !text.is_empty() && !text.chars().any(char::is_control)) {
            known.programs.insert(text.to_owned(), find(text, base));
            known.scripts.insert(text.to_owned(), script_problem(text, base));
        }
        known
    }
}

impl Programs {
    /// Nothing is known yet.
    pub(super) fn looking_up() -> Self {
        Self::LookedUp(Known::default())
    }

    fn lookup(&mut self, written: &str, base: &Path) -> Result<PathBuf, Problem> {
        match self {
            Self::LookedUp(found) => {
                found.programs.entry(written.to_owned()).or_insert_with(|| find(written, base)).clone()
            }
            Self::Known(known) => known.programs.get(written).cloned().unwrap_or(Err(Problem::Unknown)),
        }
    }

    fn script(&mut self, written: &str, base: &Path) -> Option<Problem> {
        match self {
            Self::LookedUp(found) => {
                found.scripts.entry(written.to_owned()).or_insert_with(|| script_problem(written, base)).clone()
            }
            Self::Known(known) => known.scripts.get(written).cloned().unwrap_or(Some(Problem::Unknown)),
        }
    }
}

/// What is wrong with a program.
#[derive(Debug, Clone)]
pub(super) enum Problem {
    /// A file of the rules does not exist.
    Missing(PathBuf),
    /// A program of the system is not installed here. The rules may be meant for another machine.
    NotHere(PathBuf),
    /// It cannot be executed.
    NotExecutable(PathBuf),
    /// Others could change it.
    Unsafe(String, PathBuf),
    /// It was made by a script, so nothing could be known of it when the rules were loaded.
    Unknown,
}

/// The absolute path of a program, reporting what is wrong with it.
pub(super) fn resolve(reader: &Reader<'_>, node: &Node, written: &str) -> PathBuf {
    let found = reader.cx.programs.borrow_mut().lookup(written, &reader.cx.config.base);
    match found {
        Ok(path) => path,
        Err(problem) => report(reader, node, written, problem),
    }
}

/// Checks a script that an interpreter is told to run; it need not be executable.
pub(super) fn check_script(reader: &Reader<'_>, node: &Node, written: &str) {
    let problem = reader.cx.programs.borrow_mut().script(written, &reader.cx.config.base);
    if let Some(problem) = problem {
        report(reader, node, written, problem);
    }
}

fn script_problem(written: &str, base: &Path) -> Option<Problem> {
    let path = absolute(base, written);
    if !path.starts_with(base) {
        return None;
    }
    if !path.exists() {
        return Some(Problem::Missing(path));
    }
    trust::check(&path, base).err().map(|distrust| Problem::Unsafe(distrust.to_string(), path))
}

fn find(written: &str, base: &Path) -> Result<PathBuf, Problem> {
    if !written.contains('/') {
        let mut candidates = SEARCH.iter().map(|folder| Path::new(folder).join(written));
        // Where it is missing, the most likely place stands in, so that the step fails by name.
        return candidates
            .find(|path| trust::is_executable(path))
            .ok_or_else(|| Problem::NotHere(Path::new("/usr/bin").join(written)));
    }
    let path = absolute(base, written);
    let ours = !written.starts_with('/') || path.starts_with(base);
    if !path.exists() {
        return Err(if ours { Problem::Missing(path) } else { Problem::NotHere(path) });
    }
    if !trust::is_executable(&path) {
        return Err(Problem::NotExecutable(path));
    }
    // Programs of the system are the system's business.
    match trust::check(&path, base) {
        Err(distrust) if ours => Err(Problem::Unsafe(distrust.to_string(), path)),
        _ => Ok(path),
    }
}

/// `./scripts/x.sh` at the base, without the `./`.
fn absolute(base: &Path, written: &str) -> PathBuf {
    base.join(written).components().collect()
}

fn report(reader: &Reader<'_>, node: &Node, written: &str, problem: Problem) -> PathBuf {
    let (doc, span) = (reader.doc, node.span.clone());
    match problem {
        Problem::Unknown => {
            let message = format!("`{written}` does not stand in a script as it is, so it could not be checked");
            let hint = "write the program as one text, and what changes as arguments";
            doc.error_hint(codes::TEMPLATE_NOT_LITERAL, span, message, hint);
            PathBuf::from(written)
        }
        Problem::Missing(path) => {
            let message = format!("`{written}` does not exist ({})", path.display());
            doc.error_hint(codes::PROGRAM_MISSING, span, message, "relative paths begin at the config file's folder");
            path
        }
        Problem::NotHere(path) => {
            let message = format!("`{written}` is not installed on this machine");
            let hint = format!("looked in {}", SEARCH.join(":"));
            doc.warn(codes::PROGRAM_NOT_HERE, span, message, hint);
            path
        }
        Problem::NotExecutable(path) => {
            let hint = format!("chmod +x {}", path.display());
            doc.error_hint(codes::PROGRAM_UNSAFE, span, format!("`{written}` is not an executable file"), hint);
            path
        }
        Problem::Unsafe(why, path) => {
            doc.error_hint(
                codes::PROGRAM_UNSAFE,
                span,
                format!("`{written}` is not safe to run: {why}"),
                "it, and every folder above it, must belong to root or to the engine's user and be writable by its owner alone",
            );
            path
        }
    }
}
