//! The scripts of the rule library: they refuse what another shell could read as code, look before they act, do nothing
//! more when run twice, and say which program they miss. The programs that they call are stand-ins that write down how
//! they were called.

mod clusters;
mod databases;
mod hosts;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::program::{both, program, stderr, stdout};

/// Programs of every system that scripts may take for granted.
const BASIC: &[&str] = &[
    "sh", "cat", "dirname", "sed", "uname", "awk", "df", "find", "mkdir", "cksum", "cut", "grep", "ls", "env", "touch",
];
/// The shells that scripts are tried with: Debian's own, and one that is stricter about pipelines.
const SHELLS: &[&[&str]] = &[&["/bin/sh"], &["/bin/bash", "-eu", "-o", "pipefail"]];

/// A folder that is the whole `PATH` of a script: the basic programs, and stand-ins.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { folder: tempfile::tempdir().unwrap() };
        for name in BASIC {
            let from = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
            let from = from.iter().find(|path| path.exists()).unwrap_or_else(|| panic!("no {name} here"));
            symlink(from, stage.path(name)).unwrap();
        }
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A stand-in. It writes its name and arguments down, then does what `text` says; `$here` is the folder.
    fn fake(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        // Such a program can be one of the basic ones.
        fs::remove_file(&path).ok();
        let here = self.folder.path().display();
        let log = format!("#!/bin/sh\nhere={here}\necho \"{name} $*\" >> \"$here/calls\"\n{text}\n");
        fs::write(&path, log).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// A file that stand-ins look at.
    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    /// A copy of a script, and of `lib.sh`, in which one path lies in the folder.
    fn with_script_that_reads(self, name: &str, path: &str, here: &str) -> Self {
        fs::create_dir_all(self.path("scripts")).unwrap();
        for name in [name, "lib.sh"] {
            let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)).unwrap();
            let text = text.replace(path, self.path(here).to_str().unwrap());
            fs::write(self.path("scripts").join(name), text).unwrap();
        }
        self
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The calls that contain `part`.
    fn calls(&self, part: &str) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    /// Runs a script of the library by a shell, in the folder.
    fn run_by(&self, shell: &[&str], name: &str, arguments: &[&str]) -> Output {
        self.command(shell, name, arguments).output().unwrap()
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Output {
        self.run_by(SHELLS[0], name, arguments)
    }

    fn command(&self, shell: &[&str], name: &str, arguments: &[&str]) -> Command {
        let copy = self.path("scripts").join(name);
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name);
        let path = if copy.exists() { copy } else { original };
        let mut command = program(Path::new(shell[0]));
        command.args(&shell[1..]).arg(path).args(arguments);
        command.env("PATH", self.folder.path()).env("HOME", self.folder.path()).current_dir(self.folder.path());
        command
    }
}

/// Runs a script twice on a stage that `set` makes, with each shell: both succeed, the calls with `acting` in them are made
/// once, and the second run says `idle`.
fn twice(set: impl Fn() -> Stage, name: &str, arguments: &[&str], acting: &str, idle: &str) {
    for shell in SHELLS {
        let stage = set();
        let first = stage.run_by(shell, name, arguments);
        assert!(first.status.success(), "{shell:?} {name}: {}", both(&first));
        assert_eq!(stage.calls(acting).len(), 1, "{shell:?} {name} acts: {:?}", stage.calls(""));
        let second = stage.run_by(shell, name, arguments);
        assert!(second.status.success(), "{shell:?} {name} again: {}", both(&second));
        assert!(stdout(&second).contains(idle), "{shell:?} {name} again: {}", both(&second));
        assert_eq!(stage.calls(acting).len(), 1, "{shell:?} {name} acts again: {:?}", stage.calls(""));
    }
}

/// Runs a script that must refuse, without a call that has `acting` in it.
fn refuses(stage: &Stage, name: &str, arguments: &[&str], why: &str, acting: &str) {
    for shell in SHELLS {
        let output = stage.run_by(shell, name, arguments);
        assert!(!output.status.success(), "{shell:?} {name}: {}", both(&output));
        assert!(both(&output).contains(why), "{shell:?} {name}: {}", both(&output));
        assert_eq!(stage.calls(acting), Vec::<String>::new(), "{shell:?} {name}");
    }
}

/// The scripts with arguments that they accept.
const ACCEPTED: &[(&str, &[&str])] = &[
    ("certificate-valid.sh", &["--domain", "a.example", "--days", "14"]),
    ("clock-within.sh", &["--host", "localhost", "--milliseconds", "100"]),
    ("connections-below.sh", &["--host", "db-11", "--percent", "85"]),
    ("cordon-node.sh", &["--context", "nj", "--node", "n1", "--percent", "10"]),
    ("delete-zombie-pod.sh", &["--context", "nj", "--namespace", "shop", "--pod", "p"]),
    ("disk-below.sh", &["--host", "localhost", "--mount", "/", "--percent", "85"]),
    ("end-idle-transactions.sh", &["--host", "db-11", "--user", "orders", "--seconds", "300"]),
    ("end-long-queries.sh", &["--host", "db-12", "--seconds", "300"]),
    ("free-disk-space.sh", &["--host", "localhost", "--mount", "/nowhere"]),
    ("hand-over.sh", &["--about", "web-03", "--reason", "it is down"]),
    ("host-answers.sh", &["--host", "web-09"]),
    ("memory-below.sh", &["--host", "localhost", "--service", "x", "--mebibytes", "2048"]),
    ("node-cordoned.sh", &["--context", "nj", "--node", "n1"]),
    ("pod-gone.sh", &["--context", "nj", "--namespace", "shop", "--pod", "p"]),
    ("renew-certificate.sh", &["--host", "localhost", "--domain", "a.example", "--service", "nginx", "--days", "14"]),
    ("replica-lag-below.sh", &["--host", "db-12", "--seconds", "30"]),
    (
        "reset-host.sh",
        &[
            "--host",
            "web-09",
            "--bmc",
            "b",
            "--user",
            "u",
            "--secret",
            "password",
            "--state",
            "resets",
            "--minutes",
            "30",
        ],
    ),
    ("resolves.sh", &["--host", "localhost", "--domain", "a.internal"]),
    ("restart-leaking-service.sh", &["--host", "localhost", "--service", "x", "--mebibytes", "2048"]),
    ("restart-resolver.sh", &["--host", "localhost", "--domain", "a.internal"]),
    ("restart-service.sh", &["--host", "localhost", "--service", "x"]),
    ("rotate-logs.sh", &["--host", "localhost", "--mount", "/var/log", "--percent", "85"]),
    ("scale-up.sh", &["--context", "nj", "--namespace", "orders", "--deployment", "w", "--replicas", "8"]),
    ("service-active.sh", &["--host", "localhost", "--service", "x"]),
    ("sync-clock.sh", &["--host", "localhost", "--milliseconds", "100"]),
];

/// The scripts of the library, `lib.sh` aside.
fn scripts(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let is_script =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "sh") && !path.ends_with("lib.sh");
    entries.map(|entry| entry.unwrap().path()).filter(is_script).collect()
}

/// Those of the examples too.
fn all_scripts() -> Vec<PathBuf> {
    let examples = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap();
    let mut found = scripts("scripts");
    for folder in examples.map(|entry| entry.unwrap().path().join("scripts")).filter(|folder| folder.is_dir()) {
        found.extend(scripts(folder.to_str().unwrap()));
    }
    assert!(found.len() > ACCEPTED.len(), "{found:?}");
    found
}

#[test]
fn every_script_is_tried() {
    let mut names: Vec<String> =
        scripts("scripts").iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ACCEPTED.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
}

#[test]
fn every_option_refuses_what_another_shell_could_read_as_code() {
    // Whatever a script would call first would be written down.
    let mut stage = Stage::new();
    for name in ["ssh", "kubectl", "psql", "openssl", "ssh-keyscan", "ipmitool", "systemctl", "logrotate", "chronyc"] {
        stage = stage.fake(name, "");
    }
    let stage = stage.with("password", "x");
    let hostile = [
        "-oProxyCommand=id",
        "--all",
        "a;id",
        "a b",
        "$(id)",
        "`id`",
        "",
        "a\nb",
        "a'b",
        "a\"b",
        "*",
        "../x",
        "a\tb",
        "%0a",
    ];
    for (name, arguments) in ACCEPTED {
        for at in (0..arguments.len()).step_by(2) {
            // Free text is only ever one argument of a program here.
            if ["--about", "--reason"].contains(&arguments[at]) {
                continue;
            }
            for value in hostile {
                let mut arguments = arguments.to_vec();
                arguments[at + 1] = value;
                let output = stage.run(name, &arguments);
                assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}: {}", both(&output));
            }
        }
    }
    assert_eq!(stage.calls(""), Vec::<String>::new());
}

#[test]
fn every_option_is_needed_and_no_other_is_known() {
    let stage = Stage::new().with("password", "x");
    for (name, arguments) in ACCEPTED {
        for at in (0..arguments.len()).step_by(2) {
            let mut fewer = arguments.to_vec();
            let option = fewer.remove(at);
            fewer.remove(at);
            let output = stage.run(name, &fewer);
            assert_eq!(output.status.code(), Some(2), "{name} {fewer:?}: {}", both(&output));
            assert!(stderr(&output).contains(&format!("{option} is required")), "{name}: {}", both(&output));
        }
        for more in [&["--unknown", "x"][..], &["x"], &["--"], &["--host"]] {
            let output = stage.run(name, &[arguments, more].concat());
            assert_eq!(output.status.code(), Some(2), "{name} {more:?}: {}", both(&output));
        }
    }
    for number in ["-1", "8;id", "08", "1e3", "9999999999", "0x10"] {
        let output = stage.run("disk-below.sh", &["--host", "a", "--mount", "/", "--percent", number]);
        assert_eq!(output.status.code(), Some(2), "{number}: {}", both(&output));
    }
}

#[test]
fn a_program_that_is_missing_is_named() {
    let stage = Stage::new().with("password", "x").fake("sleep", "");
    for (name, missing) in [
        ("certificate-valid.sh", "openssl"),
        ("clock-within.sh", "chronyc"),
        ("connections-below.sh", "psql"),
        ("cordon-node.sh", "kubectl"),
        ("delete-zombie-pod.sh", "kubectl"),
        ("end-idle-transactions.sh", "psql"),
        ("end-long-queries.sh", "psql"),
        ("host-answers.sh", "ssh-keyscan"),
        ("memory-below.sh", "systemctl"),
        ("node-cordoned.sh", "kubectl"),
        ("pod-gone.sh", "kubectl"),
        ("renew-certificate.sh", "openssl"),
        ("replica-lag-below.sh", "psql"),
        ("reset-host.sh", "ipmitool"),
        ("resolves.sh", "getent"),
        ("restart-leaking-service.sh", "systemctl"),
        ("restart-resolver.sh", "getent"),
        ("restart-service.sh", "systemctl"),
        ("rotate-logs.sh", "logrotate"),
        ("scale-up.sh", "kubectl"),
        ("service-active.sh", "systemctl"),
        ("sync-clock.sh", "chronyc"),
    ] {
        let (_, arguments) = ACCEPTED.iter().find(|(known, _)| *known == name).unwrap();
        let output = stage.run(name, arguments);
        assert_eq!(output.status.code(), Some(127), "{name}: {}", both(&output));
        assert!(stderr(&output).contains(&format!("{missing} is not installed on ")), "{name}: {}", both(&output));
    }
}

#[test]
fn another_host_is_asked_in_words_that_its_shell_cannot_split() {
    let stage = Stage::new().fake("ssh", "printf '<%s>' \"$@\"; cat > \"$here/sent\"");
    let output = stage.run("service-active.sh", &["--host", "web-03", "--service", "orders-api"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let asked = stdout(&output);
    assert!(asked.contains("<BatchMode=yes>") && asked.contains("<StrictHostKeyChecking=yes>"), "{asked}");
    assert!(asked.ends_with("<--><web-03><sh><-eu><-s><--><orders-api>"), "{asked}");
    let sent = fs::read_to_string(stage.path("sent")).unwrap();
    assert!(sent.trim_end().ends_with("main \"$@\" </dev/null"), "{sent}");
}

#[test]
fn what_arrives_only_in_part_is_not_run() {
    let stage = Stage::new().fake("systemctl", "[ \"$1\" != is-active ]").fake("ssh", "cat > \"$here/sent\"");
    stage.run("restart-service.sh", &["--host", "web-03", "--service", "x"]);
    let sent = fs::read_to_string(stage.path("sent")).unwrap();
    let at = sent.find("printf 'restarted").unwrap();
    let mut command = program(Path::new("/bin/sh"));
    command.args(["-euc", &sent[..at], "sh", "x"]).env("PATH", stage.folder.path());
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{}", both(&output));
    assert_eq!(stage.calls("systemctl"), Vec::<String>::new(), "nothing runs before all of it is there");
}

#[test]
fn every_script_is_executable_and_stops_at_the_first_error() {
    for path in all_scripts() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("#!/bin/sh\n") && text.contains("\nset -eu\n"), "{}", path.display());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_ne!(mode & 0o100, 0, "{} is executable", path.display());
    }
}

#[test]
fn shellcheck_finds_nothing_in_any_script() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = program(Path::new("/usr/bin/shellcheck"));
    command.arg("-x").current_dir(root).arg("scripts/lib.sh").arg("tests/setup.sh").args(all_scripts());
    let output = command.output().unwrap_or_else(|error| panic!("shellcheck: {error}; tests/setup.sh installs it"));
    assert!(output.status.success(), "{}", both(&output));
}
