//! What the package is made of: that all of it exists and is found, and what its scripts do to a system. `make try-deb` does
//! the whole of it on a fresh Debian.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// What is packed, to where, with which mode, as Cargo.toml lists it.
fn assets() -> Vec<[String; 3]> {
    let manifest = read("Cargo.toml");
    let list = manifest.split_once("\nassets = [").unwrap().1.split_once("\n]").unwrap().0;
    let lines = list.lines().map(str::trim).filter(|line| line.starts_with('['));
    lines.map(|line| serde_json::from_str(line.trim_end_matches(',')).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// Every file of the project, by its path in it.
fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> =
        ["rules", "scripts", "docs", "examples", "packaging"].map(|name| root().join(name)).into();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn everything_that_is_packed_is_there_and_every_rule_and_script_is_packed_once() {
    let made = read("Makefile");
    let files = files();
    let assets: Vec<_> = assets();
    assert!(assets.len() > 10);
    let glob =
        |pattern: &str| globset::GlobBuilder::new(pattern).literal_separator(true).build().unwrap().compile_matcher();
    for [from, _, mode] in &assets {
        assert!(["644", "755"].contains(&mode.as_str()), "{from}");
        match from.strip_prefix("target/release/") {
            Some("stanch") => {}
            Some(file) => assert!(made.contains(&format!("$(TARGET)/release/{file}")), "nobody makes {from}"),
            None if from.contains(['*', '[']) => {
                let pattern = glob(from);
                assert!(files.iter().any(|file| pattern.is_match(file)), "{from}");
            }
            None => assert!(root().join(from).is_file(), "{from}"),
        }
    }
    for file in files.iter().filter(|file| file.starts_with("rules/") || file.starts_with("scripts/")) {
        let packed: Vec<_> = assets.iter().filter(|[from, ..]| glob(from).is_match(file)).collect();
        assert_eq!(packed.len(), 1, "{file}: {packed:?}");
        // What is sourced or read is not executable, what rules run is.
        let is_run = fs::metadata(root().join(file)).unwrap().permissions().mode() & 0o111 != 0;
        let is_run = is_run && fs::read_to_string(root().join(file)).unwrap().starts_with("#!");
        assert_eq!(packed[0][2] == "755", is_run, "{file}");
    }
}

#[test]
fn the_paths_that_documents_name_are_those_of_the_package() {
    let mut installed = BTreeSet::new();
    for [from, to, _] in assets() {
        let name = from.rsplit('/').next().unwrap();
        installed
            .insert(format!("/{}", if to.ends_with('/') && !name.contains('*') { format!("{to}{name}") } else { to }));
    }
    let is_packed = |path: &str| {
        let path = path.trim_end_matches('/');
        installed.iter().any(|known| {
            known.trim_end_matches('/') == path
                || known.ends_with('/') && path.starts_with(known.as_str())
                || known.starts_with(&format!("{path}/"))
        })
    };
    let mut seen = 0;
    for file in files().into_iter().chain(["src/rule/schema/tests.rs".to_owned()]) {
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        for (at, _) in text.match_indices("/usr/share/") {
            let path: String =
                text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || "/-_.".contains(*c)).collect();
            let path = path.trim_end_matches('.');
            if path.contains("stanch") {
                seen += 1;
                assert!(is_packed(path), "{file}: {path} is not in the package");
            }
        }
    }
    assert!(seen > 10, "only {seen} were found");
}

/// A folder in which a maintainer script takes the place of `/`, with stand-ins for what changes accounts.
struct Fake(tempfile::TempDir);

impl Fake {
    fn new() -> Self {
        let fake = Self(tempfile::tempdir().unwrap());
        for name in ["bin", "etc", "var/lib/stanch"] {
            fs::create_dir_all(fake.path(name)).unwrap();
        }
        for (name, text) in [("getent", "exit 2"), ("adduser", "echo \"$*\" >> \"$FAKE/accounts\"")] {
            let path = fake.path("bin").join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fake
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a script by dash, as dpkg does, with its paths led here.
    fn run(&self, script: &str, args: &[&str]) -> String {
        let here = self.0.path().to_str().unwrap();
        let text = read(&format!("packaging/debian/{script}")).replace("/etc/stanch", &format!("{here}/etc/stanch"));
        let text = text.replace("/var/lib/stanch", &format!("{here}/var/lib/stanch"));
        let path = std::env::join_paths([self.path("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
        let mut command = Command::new("/bin/dash");
        let output =
            command.arg("-c").arg(text).arg(script).args(args).env_clear().env("PATH", path).env("FAKE", here).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{script} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }
}

#[test]
fn the_package_makes_account_and_secret_once_and_takes_away_what_is_its_own() {
    let fake = Fake::new();
    let said = fake.run("postinst", &["configure", ""]);
    assert!(said.contains("X-Stanch-Token"), "{said}");
    let secret = fs::read_to_string(fake.path("etc/stanch/secrets/webhook-token")).unwrap();
    assert!(secret.len() >= 32 && secret.chars().all(|c| c.is_ascii_alphanumeric() || c == '/'), "{secret}");
    assert!(!said.contains(&secret), "it is not shown");
    assert_eq!((fake.mode("etc/stanch/secrets"), fake.mode("etc/stanch/secrets/webhook-token")), (0o700, 0o600));
    assert_eq!(fake.mode("etc/stanch/rules"), 0o755);
    let accounts = fs::read_to_string(fake.path("accounts")).unwrap();
    assert!(accounts.contains("--system") && accounts.trim_end().ends_with(" stanch"), "{accounts}");

    fake.run("postinst", &["configure", "0.1.0-1"]);
    assert_eq!(
        fs::read_to_string(fake.path("etc/stanch/secrets/webhook-token")).unwrap(),
        secret,
        "an upgrade keeps it"
    );

    fs::write(fake.path("var/lib/stanch/journal.db"), "").unwrap();
    fs::write(fake.path("etc/stanch/rules/mine.yaml"), "").unwrap();
    fake.run("postrm", &["remove"]);
    assert!(fake.path("var/lib/stanch/journal.db").exists() && fake.path("etc/stanch/secrets/webhook-token").exists());
    fake.run("postrm", &["purge"]);
    assert!(!fake.path("var/lib/stanch").exists() && !fake.path("etc/stanch/secrets").exists());
    assert!(!fake.path("etc/stanch/scripts").exists() && fake.path("etc/stanch/rules/mine.yaml").exists());
    fs::remove_file(fake.path("etc/stanch/rules/mine.yaml")).unwrap();
    fake.run("postrm", &["purge"]);
    assert!(!fake.path("etc/stanch").exists());
}

#[test]
fn the_unit_names_what_the_package_brings_and_the_config_says() {
    let unit = read("packaging/systemd/stanch.service");
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
        line.unwrap_or_else(|| panic!("no {key}")).to_owned()
    };
    assert_eq!(value("ExecStart"), "/usr/bin/stanch serve -c /etc/stanch/stanch.yaml");
    let config = read("packaging/etc/stanch.yaml");
    for named in [
        format!("data: /var/lib/{}", value("StateDirectory")),
        format!("socket: /run/{}/stanch.sock", value("RuntimeDirectory")),
        format!("credential: {}", value("LoadCredential").split_once(':').unwrap().0),
    ] {
        assert!(config.contains(&named), "the config lacks {named}");
    }
    let made = read("packaging/debian/postinst");
    assert!(made.contains(value("LoadCredential").split_once(':').unwrap().1), "the package makes no such secret");
    assert!(made.contains(&format!("--group --home {}", value("WorkingDirectory"))));
    assert_eq!(value("User"), value("Group"));
}

#[test]
fn the_changelog_of_the_package_begins_with_this_version() {
    let first = format!("stanch ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(read("packaging/debian/changelog").starts_with(&first), "raise it together with the version in Cargo.toml");
}

#[test]
fn the_way_that_is_tried_is_the_way_that_is_told() {
    let tried = read("packaging/try-package.sh");
    let told = read("docs/install.md");
    let commands: Vec<&str> = told
        .split("```text\n")
        .skip(1)
        .flat_map(|rest| rest.split("```").next().unwrap().lines())
        .filter(|line| line.starts_with("stanch ") || line.starts_with("cp "))
        .collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        let command = command.replace(" --event EVENT", " --event $event");
        assert!(tried.contains(&command), "packaging/try-package.sh does not try `{command}`");
    }
    let checked = Command::new("shellcheck").arg(root().join("packaging/try-package.sh")).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
