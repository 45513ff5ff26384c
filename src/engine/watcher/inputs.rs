//! The files that a configuration is read from, and whether they are still the same.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use crate::config::Config;
use crate::config::secret::SecretRef;

/// How many entries of folders are looked at; more than the rules and scripts that are read at most.
const ENTRIES_MAX: usize = 100_000;
/// How deep folders are looked through, as deep as rules are searched for.
const DEPTH_MAX: usize = 32;
/// How many links a path is followed through, as many as the kernel follows.
const LINKS_MAX: usize = 40;

/// Tells one state of the inputs from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// The state of the config file alone, taken before it is read: what it names is known only afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Option<Mark>);

impl Stamp {
    /// The state of a config file now.
    pub fn of(config_file: &Path) -> Self {
        Self(Mark::of(config_file))
    }
}

/// A folder that is watched: by its name, and as the folder that it is, since another may take its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    device: u64,
    inode: u64,
}

/// What the state of a file is told by: whoever changes it changes one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark([i128; 8]);

impl Mark {
    fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|file| Self::from_metadata(&file))
    }

    fn from_metadata(file: &Metadata) -> Self {
        Self([
            file.dev().into(),
            file.ino().into(),
            file.size().into(),
            file.mode().into(),
            file.uid().into(),
            file.gid().into(),
            nanos(file.mtime(), file.mtime_nsec()),
            nanos(file.ctime(), file.ctime_nsec()),
        ])
    }
}

fn nanos(seconds: i64, nanos: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanos)
}

/// What a configuration is read from: the config, rules, scripts, certificates, and the files of secrets.
#[derive(Debug, Default)]
pub struct Inputs {
    files: BTreeMap<PathBuf, Option<Mark>>,
    pub(super) folders: BTreeSet<Folder>,
    /// Folders looked through, by what they are: links may lead to one by several names, or in a circle.
    seen: HashSet<(u64, u64)>,
    entries: usize,
}

impl Inputs {
    /// Looks at everything that `config` was read from.
    pub(in crate::engine) fn look(config: &Config) -> Self {
        Self::after(Stamp::of(&config.file), config)
    }

    /// The same with what tests read: fixtures, and the files and folders that are tested instead of the rules folder.
    pub(crate) fn of_tests(config: &Config, paths: &[PathBuf]) -> Self {
        let mut inputs = Self::look(config);
        let is_read =
            |path: &Path, _: &Metadata| extension(path).is_some_and(|it| matches!(it, "yaml" | "yml" | "json"));
        // Each folder is looked through for fixtures too now.
        inputs.seen.clear();
        for path in std::iter::once(&config.rules).chain(paths) {
            if path.is_dir() {
                inputs.tree(path, &config.data, &is_read, 0);
            } else {
                inputs.file(path);
            }
        }
        inputs
    }

    /// The same, with the state in which the config file was before it was read.
    pub fn after(stamp: Stamp, config: &Config) -> Self {
        let mut inputs = Self::default();
        inputs.links_to(&config.file);
        inputs.files.insert(config.file.clone(), stamp.0);
        let is_rule_file = |path: &Path, _: &Metadata| extension(path).is_some_and(|it| it == "yaml" || it == "yml");
        inputs.tree(&config.rules, &config.data, &is_rule_file, 0);
        // What steps run is checked when rules are loaded, so a program counts as much as a module.
        let is_script =
            |path: &Path, file: &Metadata| extension(path).is_some_and(|it| it == "rhai") || file.mode() & 0o111 != 0;
        inputs.tree(&config.scripts, &config.data, &is_script, 0);
        for secret in config.secrets() {
            match secret {
                SecretRef::File(path) => inputs.file(path),
                SecretRef::Credential(_) | SecretRef::Env(_) => {}
            }
        }
        if let Some(tls) = &config.tls {
            inputs.file(&tls.cert);
            inputs.file(&tls.key);
        }
        inputs
    }

    /// What tells this state from another.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hasher = blake3::Hasher::new();
        for (path, mark) in &self.files {
            let path = path.as_os_str().as_encoded_bytes();
            hasher.update(&(path.len() as u64).to_le_bytes());
            hasher.update(path);
            match mark {
                None => {
                    hasher.update(&[0]);
                }
                Some(Mark(numbers)) => {
                    hasher.update(&[1]);
                    for number in numbers {
                        hasher.update(&number.to_le_bytes());
                    }
                }
            }
        }
        Fingerprint(*hasher.finalize().as_bytes())
    }

    fn file(&mut self, path: &Path) {
        self.links_to(path);
        self.files.insert(path.to_owned(), Mark::of(path));
    }

    fn tree(&mut self, folder: &Path, data: &Path, wanted: &dyn Fn(&Path, &Metadata) -> bool, depth: usize) {
        // The journal is written all the time, wherever it lies.
        if depth > DEPTH_MAX || folder == data {
            return;
        }
        if depth == 0 {
            // Its name lies in the folder above, and may be given to another folder.
            self.links_to(folder);
        }
        let Ok(metadata) = fs::metadata(folder) else { return };
        if !metadata.is_dir() {
            return;
        }
        self.folders.insert(Folder { path: folder.to_owned(), device: metadata.dev(), inode: metadata.ino() });
        if !self.seen.insert((metadata.dev(), metadata.ino())) {
            return;
        }
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return;
            }
            let path = entry.path();
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            match fs::metadata(&path) {
                Ok(file) if file.is_dir() => self.tree(&path, data, wanted, depth + 1),
                Ok(file) if wanted(&path, &file) => {
                    let mark = Mark::from_metadata(&file);
                    self.link(&path);
                    self.files.insert(path, Some(mark));
                }
                // A link that leads nowhere may lead somewhere later.
                Err(_) if extension(&path).is_some() => drop(self.files.insert(path, None)),
                _ => {}
            }
        }
    }

    /// The links on the way of what lies in a folder that is watched.
    fn link(&mut self, path: &Path) {
        if path.is_symlink() {
            self.links_to(path);
        }
    }

    /// Watches the folder in which `path` lies, and that of every link on the way to it.
    fn links_to(&mut self, path: &Path) {
        let mut left = LINKS_MAX;
        let mut pending = vec![path.to_owned()];
        while let Some(path) = pending.pop() {
            self.parent(&path);
            let mut prefix = PathBuf::new();
            for part in path.components() {
                prefix.push(part);
                if matches!(part, Component::RootDir | Component::CurDir | Component::ParentDir) || left == 0 {
                    continue;
                }
                let Ok(target) = fs::read_link(&prefix) else { continue };
                left -= 1;
                self.parent(&prefix);
                let base = prefix.parent().unwrap_or(Path::new("/"));
                pending.push(base.join(target));
            }
        }
    }

    fn parent(&mut self, path: &Path) {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) => Path::new("."),
            None => return,
        };
        if let Ok(metadata) = fs::metadata(folder) {
            self.folders.insert(Folder { path: folder.to_owned(), device: metadata.dev(), inode: metadata.ino() });
        }
    }
}

fn extension(path: &Path) -> Option<&str> {
    path.extension().and_then(|extension| extension.to_str())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            for folder in ["rules/deep", "scripts", "data", "secrets"] {
                fs::create_dir_all(place.0.path().join(folder)).unwrap();
            }
            let sources = "sources: [ { name: a, path: /a, \
                           auth: { header: X-Stanch-Token, secret: { file: secrets/token } } } ]\n";
            place.write("stanch.yaml", sources);
            place.write("secrets/token", "0123456789abcdef0123456789abcdef");
            place
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.path().join(name), text).unwrap();
        }

        fn config(&self) -> Config {
            let Ok(loaded) = crate::config::load::load(&self.0.path().join("stanch.yaml")) else { panic!("a config") };
            loaded.config
        }

        fn look(&self) -> Fingerprint {
            Inputs::look(&self.config()).fingerprint()
        }
    }

    #[test]
    fn what_is_read_tells_and_what_is_not_read_does_not() {
        let place = Place::new();
        let mut before = place.look();
        let mut tells = |expected: bool, what: &str| {
            let now = place.look();
            assert_eq!(now != before, expected, "{what}");
            before = now;
        };
        tells(false, "nothing");
        for name in ["rules/a.yaml", "rules/deep/b.yml", "scripts/gate.rhai", "stanch.yaml", "secrets/token"] {
            let text = fs::read_to_string(place.0.path().join(name)).unwrap_or_default();
            place.write(name, &format!("{text}\n"));
            tells(true, name);
        }
        fs::rename(place.0.path().join("rules/a.yaml"), place.0.path().join("rules/c.yaml")).unwrap();
        tells(true, "another name");
        for name in ["rules/fixture.json", "rules/.a.yaml.swp", "scripts/state.txt", "data/journal.db", "other.yaml"] {
            place.write(name, "x");
            tells(false, name);
        }
        fs::remove_file(place.0.path().join("rules/c.yaml")).unwrap();
        tells(true, "gone");
    }

    #[test]
    fn a_swapped_link_tells_and_the_folder_that_it_lies_in_is_watched() {
        let place = Place::new();
        let root = place.0.path();
        for version in ["one", "two"] {
            fs::create_dir_all(root.join(version)).unwrap();
            place.write(&format!("{version}/rules.yaml"), "rules: []");
        }
        // As a mounted ConfigMap has it: `rules.yaml -> ..data/rules.yaml`, `..data -> one`.
        symlink("../one", root.join("rules/..data")).unwrap();
        symlink("..data/rules.yaml", root.join("rules/rules.yaml")).unwrap();
        let inputs = Inputs::look(&place.config());
        assert!(inputs.folders.iter().any(|folder| folder.path.ends_with("rules")));
        assert!(inputs.folders.iter().any(|folder| folder.path.ends_with("rules/..data")), "{:?}", inputs.folders);
        symlink("../two", root.join("rules/new")).unwrap();
        fs::rename(root.join("rules/new"), root.join("rules/..data")).unwrap();
        assert_ne!(Inputs::look(&place.config()).fingerprint(), inputs.fingerprint());
    }

    #[test]
    fn links_in_a_circle_end() {
        let place = Place::new();
        symlink("../rules", place.0.path().join("rules/again")).unwrap();
        symlink("b.yaml", place.0.path().join("rules/a.yaml")).unwrap();
        symlink("a.yaml", place.0.path().join("rules/b.yaml")).unwrap();
        assert_eq!(place.look(), place.look());
    }
}
