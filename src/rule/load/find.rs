//! Finding and reading files.

use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::rule::diagnostic::{Diagnostic, Severity, codes};
use crate::rule::yaml::FILE_BYTES_MAX;

/// How deep folders are searched; bounds the recursion whatever the file system holds.
const FOLDER_DEPTH_MAX: usize = 32;
/// How many files are read.
const FILES_MAX: usize = 20_000;

/// The rule files in folders, and files given by name, each once and in a sorted order.
pub(super) fn rule_files(paths: &[PathBuf], problems: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let mut search = Search { files: Vec::new(), seen: HashSet::new(), problems, full: false };
    for path in paths {
        if path.is_dir() {
            let root = path.canonicalize().unwrap_or_else(|_| path.clone());
            search.folder(path, &root, 0);
        } else {
            search.file(path.clone());
        }
    }
    search.files
}

/// Reads a text file of at most [`FILE_BYTES_MAX`] bytes.
pub(crate) fn read_text(path: &Path) -> Result<Arc<str>, Diagnostic> {
    let unreadable = |error: &std::io::Error| {
        let message = format!("{} could not be read: {error}", path.display());
        Diagnostic::of_file(codes::FILE_UNREADABLE, path, message, None)
    };
    let mut bytes = Vec::new();
    // A pipe or device would block or never end.
    let is_file = fs::metadata(path).map_err(|error| unreadable(&error))?.is_file();
    if !is_file {
        let message = format!("{} is not a regular file", path.display());
        return Err(Diagnostic::of_file(codes::FILE_UNREADABLE, path, message, None));
    }
    let limit = FILE_BYTES_MAX as u64 + 1;
    fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| unreadable(&error))?;
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("{} is larger than {FILE_BYTES_MAX} bytes, the most that is read", path.display());
        let hint = Some("split it into several files".to_owned());
        return Err(Diagnostic::of_file(codes::FILE_TOO_LARGE, path, message, hint));
    }
    String::from_utf8(bytes).map(Arc::from).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("{} is not UTF-8: the first bad byte is at offset {at}", path.display());
        Diagnostic::of_file(codes::NOT_UTF8, path, message, Some("save it as UTF-8".into()))
    })
}

/// The modules of a folder: `NAME.rhai`, by name. A folder that does not exist holds none.
pub(super) fn modules(folder: &Path, problems: &mut Vec<Diagnostic>) -> Vec<(String, PathBuf)> {
    if !folder.exists() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for path in entries(folder, problems) {
        if path.extension().is_none_or(|extension| extension != "rhai") {
            continue;
        }
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if is_name(&name) {
            found.push((name, path));
        } else {
            let message = format!("`{name}` cannot be the name of a module");
            let hint = "it is called as NAME::function: use letters, digits and `_`".to_owned();
            problems.push(Diagnostic::of_file(codes::INVALID_SCRIPT, &path, message, Some(hint)));
        }
    }
    found
}

struct Search<'p> {
    files: Vec<PathBuf>,
    /// Real paths, since links may lead to one file by several names.
    seen: HashSet<PathBuf>,
    problems: &'p mut Vec<Diagnostic>,
    full: bool,
}

impl Search<'_> {
    fn folder(&mut self, folder: &Path, root: &Path, depth: usize) {
        if depth > FOLDER_DEPTH_MAX {
            let message = format!("folders are nested deeper than {FOLDER_DEPTH_MAX} levels");
            self.problems.push(Diagnostic::of_file(codes::TOO_DEEP, folder, message, None));
            return;
        }
        if !folder.canonicalize().is_ok_and(|real| self.seen.insert(real)) {
            return;
        }
        for path in entries(folder, self.problems) {
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            let is_rule_file = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
            if path.is_symlink() && !path.canonicalize().is_ok_and(|real| real.starts_with(root)) {
                if is_rule_file || path.is_dir() {
                    self.skipped(&path);
                }
            } else if path.is_dir() {
                self.folder(&path, root, depth + 1);
            } else if is_rule_file {
                self.file(path);
            }
        }
    }

    fn file(&mut self, path: PathBuf) {
        if self.files.len() >= FILES_MAX {
            if !self.full {
                let message = format!("there are more than {FILES_MAX} rule files");
                self.problems.push(Diagnostic::of_file(codes::TOO_MANY, &path, message, None));
            }
            self.full = true;
            return;
        }
        // A file that does not exist is kept: reading it says so.
        if path.canonicalize().map_or(true, |real| self.seen.insert(real)) {
            self.files.push(path);
        }
    }

    fn skipped(&mut self, path: &Path) {
        let message = format!("{} is a link that leads out of the folder; it was not followed", path.display());
        let hint = "copy the file into the folder".to_owned();
        let mut diagnostic = Diagnostic::of_file(codes::SYMLINK_SKIPPED, path, message, Some(hint));
        diagnostic.severity = Severity::Warning;
        self.problems.push(diagnostic);
    }
}

/// What a folder holds, sorted.
fn entries(folder: &Path, problems: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).and_then(|list| list.map(|entry| entry.map(|entry| entry.path())).collect());
    match listed {
        Ok(paths) => {
            let mut paths: Vec<PathBuf> = paths;
            paths.sort();
            paths
        }
        Err(error) => {
            let message = format!("{} could not be listed: {error}", folder.display());
            problems.push(Diagnostic::of_file(codes::FILE_UNREADABLE, folder, message, None));
            Vec::new()
        }
    }
}
