//! `stanch init`: a working folder to begin with. Never overwrites anything.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;

use super::output::{complain, say, say_secret};
use super::{Exit, setup};
use crate::config::Auth;
use crate::report::printable;
use crate::rule::load::load;
use crate::rule::schema;

/// Bytes of the secret: 256 bits, as many as any digest of it has.
const SECRET_BYTES: usize = 32;
/// Where the secret lies.
const SECRET: &str = "secrets/webhook-token";
/// The payload that the last of the next commands sends.
const FIXTURE: &str = "rules/fixtures/disk-full.json";

/// What is written besides the secret; the files of `examples/quickstart`.
const FILES: &[NewFile] = &[
    NewFile {
        path: "stanch.yaml",
        mode: 0o644,
        text: Text::Example(include_str!("../../examples/quickstart/stanch.yaml")),
    },
    NewFile {
        path: "rules/disk-full.yaml",
        mode: 0o644,
        text: Text::Example(include_str!("../../examples/quickstart/rules/disk-full.yaml")),
    },
    NewFile {
        path: FIXTURE,
        mode: 0o644,
        text: Text::Example(include_str!("../../examples/quickstart/rules/fixtures/disk-full.json")),
    },
    NewFile {
        path: "scripts/disk-report.sh",
        mode: 0o755,
        text: Text::Example(include_str!("../../examples/quickstart/scripts/disk-report.sh")),
    },
    NewFile { path: "schema/rules.json", mode: 0o644, text: Text::Made(|| schema::text(&schema::rules())) },
    NewFile { path: "schema/config.json", mode: 0o644, text: Text::Made(|| schema::text(&schema::config())) },
    // Whoever puts the folder under version control does not publish the secret with it.
    NewFile { path: "secrets/.gitignore", mode: 0o644, text: Text::Made(|| "*\n".to_owned()) },
];

/// The folders, with modes that keep others from exchanging what is run.
const FOLDERS: &[(&str, u32)] =
    &[("rules", 0o755), ("rules/fixtures", 0o755), ("schema", 0o755), ("scripts", 0o755), ("secrets", 0o700)];

/// Where the schemas are as seen from a file of an example, and where they are in a new folder.
const SCHEMA_FOLDERS: (&str, &str) = ("../../docs/schema/", "schema/");

struct NewFile {
    path: &'static str,
    mode: u32,
    text: Text,
}

enum Text {
    /// A file of an example, which names the schemas of this project.
    Example(&'static str),
    /// Anything else.
    Made(fn() -> String),
}

impl NewFile {
    fn text(&self) -> String {
        let (from, to) = SCHEMA_FOLDERS;
        match self.text {
            Text::Example(text) => text.replacen(from, to, 1),
            Text::Made(make) => make(),
        }
    }
}

/// Make a working folder: config, secret, one example rule with tests.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The folder; made where it does not exist.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Print the secret too, to enter it in Flashduty.
    #[arg(long)]
    show_secret: bool,
}

impl Init {
    pub(super) fn run(self) -> Exit {
        self.init().err().unwrap_or(Exit::Done)
    }

    fn init(&self) -> Result<(), Exit> {
        let existing = self.existing();
        if !existing.is_empty() {
            complain(&format!(
                "nothing was written, because this would overwrite {} in {}: {}; choose another folder, or move them away",
                if existing.len() == 1 { "a file" } else { "files" },
                shown(&self.dir),
                existing.join(", ")
            ));
            return Err(Exit::No);
        }
        let secret = new_secret().map_err(|error| {
            complain(&format!("cannot make a secret: {error}"));
            Exit::Internal
        })?;
        self.write(&secret).map_err(|(path, error)| {
            complain(&format!("cannot write {}: {error}", shown(&path)));
            Exit::No
        })?;
        let header = self.checked()?;
        self.tell(&header, &secret);
        Ok(())
    }

    /// Which of the files are there already, dangling links included.
    fn existing(&self) -> Vec<&'static str> {
        let paths = FILES.iter().map(|file| file.path).chain([SECRET]);
        paths.filter(|path| self.dir.join(path).symlink_metadata().is_ok()).collect()
    }

    fn write(&self, secret: &str) -> Result<(), (PathBuf, io::Error)> {
        fs::create_dir_all(&self.dir).map_err(|error| (self.dir.clone(), error))?;
        for (folder, mode) in FOLDERS {
            let path = self.dir.join(folder);
            make_folder(&path, *mode).map_err(|error| (path, error))?;
        }
        for file in FILES {
            let path = self.dir.join(file.path);
            make_file(&path, file.mode, &file.text()).map_err(|error| (path, error))?;
        }
        let path = self.dir.join(SECRET);
        make_file(&path, 0o600, &format!("{secret}\n")).map_err(|error| (path, error))
    }

    /// Reads what was written as `serve` would, so that what is wrong with the place is said now. Returns the name of
    /// the header.
    fn checked(&self) -> Result<String, Exit> {
        let config = setup::config(&self.dir.join("stanch.yaml"))?;
        let loaded = load(&config, 1);
        setup::show(&loaded.diagnostics, &loaded.sources);
        if loaded.has_errors() {
            complain("the folder was written, but its rules cannot be used where it is; see above");
            return Err(Exit::No);
        }
        let header = config.sources.iter().find_map(|source| match &source.auth {
            Auth::Header { header, .. } => Some(as_written(header)),
            Auth::None => None,
        });
        Ok(header.unwrap_or_default())
    }

    fn tell(&self, header: &str, secret: &str) {
        let (bold, reset) = (anstyle::Style::new().bold(), anstyle::Reset);
        let dir = shown(&self.dir);
        say(&format!("{bold}Made a working folder in {dir}{reset}"));
        say("  stanch.yaml                    the config, with comments");
        say("  rules/disk-full.yaml           one rule with its tests; it only looks");
        say("  rules/fixtures/disk-full.json  the push that they use");
        say("  scripts/disk-report.sh         what the rule runs");
        say("  schema/                        what editors complete and explain by");
        say("  secrets/webhook-token          the secret, for your eyes only (mode 0600)");
        say("");
        say(&format!("{bold}Next{reset}"));
        if self.dir != Path::new(".") {
            say(&format!("  cd {}", quoted(&self.dir)));
        }
        say("  stanch check");
        say("  stanch serve");
        say(&format!("  stanch send {FIXTURE}      # in another terminal"));
        say("");
        say(&format!("{bold}In Flashduty{reset}, give the webhook this custom header"));
        say(&format!("  name   {header}"));
        if self.show_secret {
            say_secret(&format!("  value  {secret}"));
        } else {
            say(&format!("  value  the content of {}", shown(&self.dir.join(SECRET))));
        }
    }
}

fn new_secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Makes a folder, or takes the one that is there as it is.
fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    match fs::create_dir(path) {
        // Set expressly: a generous umask would let the group exchange scripts.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn make_file(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    // `create_new` follows no link and takes nobody's file; the mode holds before the first byte is in it.
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A header's name as people write it; the config keeps it in lower case, which is how it is compared.
fn as_written(header: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    header.split('-').map(capital).collect::<Vec<_>>().join("-")
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    let text = shown(path);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if text.chars().all(is_plain) && !text.starts_with('-') {
        return text;
    }
    format!("-- '{}'", text.replace('\'', r"'\''"))
}
