//! Which file a program's name stands for, and whether it may be run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Reader;
use crate::rule::diagnostic::codes;
use crate::rule::trust::{self, Distrust, Sealed};
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
    /// The scripts that interpreters run, as they are now; `None` for those of the system.
    scripts: HashMap<String, Result<Option<Arc<Sealed>>, Problem>>,
    /// The files of the rules that are run, checked and digested once each.
    sealed: HashMap<PathBuf, Result<Arc<Sealed>, Distrust>>,
}

impl Known {
    /// What these texts are as programs, and as scripts for an interpreter.
    pub(super) fn of<'t>(texts: impl Iterator<Item = &'t str>, base: &Path) -> Self {
        let mut known = Self::default();
        for text in texts.filter(|text| !text.is_empty() && !text.chars().any(char::is_control)) {
            if let Ok(program) = known.program(text, base) {
                known.seal(&program, base);
            }
            // Only a text with a slash is checked as a script; what is wrong with it is said where it is run.
            if text.contains('/') {
                known.script(text, base).ok();
            }
        }
        known
    }

    fn program(&mut self, written: &str, base: &Path) -> Result<PathBuf, Problem> {
        self.programs.entry(written.to_owned()).or_insert_with(|| find(written, base)).clone()
    }

    fn script(&mut self, written: &str, base: &Path) -> Result<Option<Arc<Sealed>>, Problem> {
        if let Some(known) = self.scripts.get(written) {
            return known.clone();
        }
        let path = absolute(base, written);
        let found = if !path.starts_with(base) {
            Ok(None)
        } else if !path.exists() {
            Err(Problem::Missing(path))
        } else {
            let sealed = self.sealed(&path, base);
            sealed.map(Some).map_err(|distrust| Problem::Unsafe(distrust.to_string(), path))
        };
        self.scripts.insert(written.to_owned(), found.clone());
        found
    }

    fn seal(&mut self, program: &Path, base: &Path) -> Option<Arc<Sealed>> {
        if program.starts_with(base) { self.sealed(program, base).ok() } else { None }
    }

    fn sealed(&mut self, path: &Path, base: &Path) -> Result<Arc<Sealed>, Distrust> {
        self.sealed.entry(path.to_owned()).or_insert_with(|| Sealed::of(path, base).map(Arc::new)).clone()
    }
}

impl Programs {
    /// Nothing is known yet.
    pub(super) fn looking_up() -> Self {
        Self::LookedUp(Known::default())
    }

    fn lookup(&mut self, written: &str, base: &Path) -> Result<PathBuf, Problem> {
        match self {
            Self::LookedUp(found) => found.program(written, base),
            Self::Known(known) => known.programs.get(written).cloned().unwrap_or(Err(Problem::Unknown)),
        }
    }

    fn script(&mut self, written: &str, base: &Path) -> Result<Option<Arc<Sealed>>, Problem> {
        match self {
            Self::LookedUp(found) => found.script(written, base),
            Self::Known(known) => known.scripts.get(written).cloned().unwrap_or(Err(Problem::Unknown)),
        }
    }

    fn seal(&mut self, program: &Path, base: &Path) -> Option<Arc<Sealed>> {
        match self {
            Self::LookedUp(found) => found.seal(program, base),
            Self::Known(known) => known.sealed.get(program).cloned()?.ok(),
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

/// Checks a script that an interpreter is told to run; it need not be executable. Gives it as it is now, to be compared
/// before it runs; nothing where it is the system's, or was reported.
pub(super) fn check_script(reader: &Reader<'_>, node: &Node, written: &str) -> Option<Arc<Sealed>> {
    let looked_up = reader.cx.programs.borrow_mut().script(written, &reader.cx.config.base);
    match looked_up {
        Ok(sealed) => sealed,
        Err(problem) => {
            report(reader, node, written, problem);
            None
        }
    }
}

/// A program of the rules as it is now; programs of the system change with upgrades, and are the system's business.
pub(super) fn seal(reader: &Reader<'_>, program: &Path) -> Option<Arc<Sealed>> {
    // What is wrong with it was reported when it was resolved.
    reader.cx.programs.borrow_mut().seal(program, &reader.cx.config.base)
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
