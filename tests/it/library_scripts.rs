//! The scripts of the rule library: they refuse what another shell could read as code, look before they act, do nothing
//! more when run twice, and say which program they miss. The programs that they call are stand-ins that write down how
//! they were called.

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
fn a_service_is_restarted_once() {
    let set = || {
        Stage::new()
            .fake("systemctl", "case $1 in is-active) [ -e \"$here/up\" ] ;; restart) : > \"$here/up\" ;; esac")
            .fake("journalctl", "echo last words")
    };
    let arguments = ["--host", "localhost", "--service", "orders-api"];
    twice(set, "restart-service.sh", &arguments, "systemctl restart -- orders-api", "nothing to do");
    assert!(stdout(&set().run("restart-service.sh", &arguments)).contains("last words"));
}

#[test]
fn a_leaking_service_is_restarted_once_after_a_pause_of_its_host() {
    let set = || {
        let systemctl = "case $1 in restart) : > \"$here/small\" ;; show) if [ -e \"$here/small\" ]; then echo 104857600; else \
                         echo 3221225472; fi ;; esac";
        Stage::new().fake("systemctl", systemctl).fake("sleep", "")
    };
    let arguments = ["--host", "localhost", "--service", "w", "--mebibytes", "2048", "--jitter", "120"];
    twice(set, "restart-leaking-service.sh", &arguments, "systemctl restart -- w", "nothing to do");
    let stage = set();
    for _ in 0..2 {
        stage.run("restart-leaking-service.sh", &arguments);
    }
    let pauses = stage.calls("sleep ");
    assert_eq!(pauses[0], pauses[1], "the pause is the host's own");
    let pause: u32 = pauses[0].trim_start_matches("sleep ").parse().unwrap();
    assert!(pause <= 120, "{pause}");
    // A service whose memory nobody counts is not restarted on a guess.
    let unknown = Stage::new().fake("systemctl", "[ \"$1\" = show ] && echo '[not set]'").fake("sleep", "");
    refuses(&unknown, "restart-leaking-service.sh", &arguments, "is not known", "systemctl restart");
}

#[test]
fn memory_is_below_a_limit_only_of_a_service_that_is_up() {
    let arguments = ["--host", "localhost", "--service", "w", "--mebibytes", "2048"];
    let below = |text: &str| Stage::new().fake("systemctl", text).run("memory-below.sh", &arguments).status.success();
    assert!(below("[ \"$1\" != show ] || echo 1048576"));
    assert!(!below("[ \"$1\" != show ] || echo 4294967296"));
    assert!(!below("[ \"$1\" != show ] || echo '[not set]'"));
    assert!(!below("if [ \"$1\" = show ]; then echo 0; else exit 3; fi"));
}

#[test]
fn a_certificate_is_renewed_only_while_its_file_is_old_and_the_server_is_told_in_any_case() {
    let name = "renew-certificate.sh";
    let arguments = ["--host", "localhost", "--domain", "a.example", "--service", "nginx", "--days", "14"];
    let set = || {
        Stage::new()
            .fake("openssl", "[ -e \"$here/renewed\" ]")
            .fake("certbot", ": > \"$here/renewed\"")
            .fake("systemctl", "")
            .with_script_that_reads(name, "/etc/letsencrypt/live", "live")
    };
    refuses(&set(), name, &arguments, "certbot does not keep this certificate here", "certbot");
    refuses(&set(), name, &arguments, "certbot does not keep this certificate here", "systemctl");
    let kept = || {
        let stage = set();
        fs::create_dir_all(stage.path("live/a.example")).unwrap();
        stage.with("live/a.example/cert.pem", "")
    };
    twice(kept, name, &arguments, "certbot renew --non-interactive", "it is not renewed");
    let stage = kept().with("renewed", "");
    assert!(stage.run(name, &arguments).status.success());
    assert_eq!(stage.calls("systemctl reload -- nginx").len(), 1, "the server is told in any case");
}

#[test]
fn a_certificate_is_valid_only_if_the_server_presents_one_that_is() {
    let arguments = ["--domain", "a.example", "--days", "14"];
    let valid = |text: &str| {
        let stage = Stage::new().fake("openssl", text);
        let output = stage.run("certificate-valid.sh", &arguments);
        assert!(stage.calls("-checkend 1209600").len() == 1, "{:?}", stage.calls(""));
        output.status.success()
    };
    assert!(valid("[ \"$1\" = s_client ] && { echo CERT; exit 0; }; grep -q CERT"));
    assert!(!valid("[ \"$1\" = s_client ] && exit 1; grep -q CERT"));
}

#[test]
fn logs_are_rotated_once() {
    let set = || {
        Stage::new()
            .fake("df", "echo head; if [ -e \"$here/rotated\" ]; then echo '/dev/x 9 9 9 40% /var/log'; else echo '/dev/x 9 9 9 93% /var/log'; fi")
            .fake("find", "")
            .fake("logrotate", ": > \"$here/rotated\"")
    };
    let arguments = ["--host", "localhost", "--mount", "/var/log", "--percent", "85"];
    twice(set, "rotate-logs.sh", &arguments, "logrotate --force /etc/logrotate.conf", "nothing to do");
}

#[test]
fn a_disk_is_below_a_limit_only_if_a_number_says_so() {
    let below = |used: &str| {
        let stage = Stage::new().fake("df", &format!("echo head; echo '/dev/x 100 50 50 {used} /'"));
        let output = stage.run("disk-below.sh", &["--host", "localhost", "--mount", "/", "--percent", "80"]);
        output.status.success()
    };
    assert!(below("79%"));
    assert!(!below("80%"));
    assert!(!below("-"));
}

/// A cluster: the files `pod`, `deleted`, `owner`, `ready` are what it knows.
fn cluster() -> Stage {
    let kubectl = r#"
case "$*" in
    *'delete pod'*) rm -f "$here/pod" ;;
    *'get pod'*'metadata.uid'*) [ ! -e "$here/pod" ] || cat "$here/pod" ;;
    *'get pod'*'deletionTimestamp'*) [ ! -e "$here/deleted" ] || cat "$here/deleted" ;;
    *'get pod'*'ownerReferences'*) [ ! -e "$here/owner" ] || cat "$here/owner" ;;
    *'get pod'*'nodeName'*) echo n1 ;;
    *'get pod'*'output=name'*) [ ! -e "$here/pod" ] || echo pod/p ;;
    *'get nodes'*) cat "$here/nodes" ;;
    *'get node n1'*unschedulable*) [ ! -e "$here/cordoned" ] || echo true ;;
    *'get node n1'*) cat "$here/ready" ;;
    *'cordon n1'*) : > "$here/cordoned" ;;
    *horizontalpodautoscalers*) [ ! -e "$here/hpa" ] || cat "$here/hpa" ;;
    *'get deployment'*) cat "$here/replicas" ;;
    *'scale deployment'*) echo "${*##*--replicas=}" > "$here/replicas" ;;
    *) echo "unexpected: $*" >&2; exit 1 ;;
esac"#;
    Stage::new().fake("rm", "/bin/rm \"$@\"").fake("kubectl", kubectl)
}

#[test]
fn a_zombie_is_removed_once_and_only_from_a_node_that_is_lost() {
    let zombie = || cluster().with("pod", "uid").with("deleted", "2026-11-24T03:00:00Z").with("ready", "Unknown");
    let arguments = ["--context", "nj", "--namespace", "shop", "--pod", "p"];
    let name = "delete-zombie-pod.sh";
    twice(zombie, name, &arguments, "delete pod p --grace-period=0 --force", "nothing to do");
    refuses(&cluster().with("pod", "uid").with("ready", "Unknown"), name, &arguments, "is not being deleted", "delete");
    refuses(&zombie().with("owner", "StatefulSet"), name, &arguments, "belongs to a StatefulSet", "delete");
    refuses(&zombie().with("ready", "True"), name, &arguments, "is ready", "delete");
    let dead = Stage::new().fake("kubectl", "echo 'connection refused' >&2; exit 1");
    refuses(&dead, name, &arguments, "connection refused", "delete");
    refuses(&dead, "pod-gone.sh", &arguments, "connection refused", "delete");
    assert!(stdout(&cluster().run("pod-gone.sh", &arguments)).contains("is gone"));
    refuses(&zombie(), "pod-gone.sh", &arguments, "still there", "delete");
}

#[test]
fn a_node_is_cordoned_once_and_not_the_whole_cluster() {
    let lost = || cluster().with("ready", "Unknown").with("nodes", "n1=\nn2=\nn3=\n");
    let arguments = ["--context", "nj", "--node", "n1", "--percent", "34"];
    twice(lost, "cordon-node.sh", &arguments, " cordon n1", "nothing to do");
    let many = cluster().with("ready", "Unknown").with("nodes", "n1=\nn2=true\nn3=true\n");
    refuses(&many, "cordon-node.sh", &arguments, "2 of 3 nodes", " cordon n1");
    let back = cluster().with("ready", "True");
    assert!(stdout(&back.run("cordon-node.sh", &arguments)).contains("ready again"));
    refuses(&lost(), "node-cordoned.sh", &arguments[..4], "new pods can come", " cordon n1");
    assert!(lost().with("cordoned", "").run("node-cordoned.sh", &arguments[..4]).status.success());
}

#[test]
fn a_deployment_is_scaled_up_once_and_never_down() {
    let arguments = ["--context", "nj", "--namespace", "orders", "--deployment", "w", "--replicas", "8"];
    let name = "scale-up.sh";
    twice(|| cluster().with("replicas", "3"), name, &arguments, "--current-replicas=3 --replicas=8", "nothing to do");
    let large = cluster().with("replicas", "12");
    assert!(stdout(&large.run(name, &arguments)).contains("has 12 replicas"));
    assert_eq!(large.calls("scale deployment"), Vec::<String>::new());
    refuses(&cluster().with("replicas", "0"), name, &arguments, "on purpose", "scale deployment");
    refuses(
        &cluster().with("replicas", "3").with("hpa", "w-hpa"),
        name,
        &arguments,
        "is scaled by w-hpa",
        "scale deploy",
    );
}

#[test]
fn queries_are_cancelled_on_standbys_alone() {
    let arguments = ["--host", "db-12", "--seconds", "300"];
    let psql = "sql=$(cat); printf '%s\\n' \"$sql\" >> \"$here/sql\"; case $sql in *pg_is_in_recovery*) cat \"$here/standby\" ;; esac";
    let standby = Stage::new().fake("psql", psql).with("standby", "t\n");
    let output = standby.run("end-long-queries.sh", &arguments);
    assert!(output.status.success(), "{}", both(&output));
    let sql = fs::read_to_string(standby.path("sql")).unwrap();
    let (chosen, condition) = sql.split_once("\nwhere ").unwrap();
    assert!(chosen.contains("pg_cancel_backend") && !condition.contains("pg_cancel_backend"), "{sql}");
    assert!(standby.calls("-v seconds=300 host=db-12 ").len() == 2, "{:?}", standby.calls(""));
    let primary = Stage::new().fake("psql", psql).with("standby", "f\n");
    refuses(&primary, "end-long-queries.sh", &arguments, "is no standby", "nothing of the kind");
    assert!(!fs::read_to_string(primary.path("sql")).unwrap().contains("pg_cancel_backend"));
}

#[test]
fn what_a_database_says_is_below_a_limit_only_if_it_is_a_smaller_number() {
    for (name, arguments) in [
        ("replica-lag-below.sh", ["--host", "db-12", "--seconds", "30"]),
        ("connections-below.sh", ["--host", "db-11", "--percent", "30"]),
    ] {
        let says = |text: &str| Stage::new().fake("psql", text).run(name, &arguments).status.success();
        assert!(says("echo 29"), "{name}");
        assert!(!says("echo 30"), "{name}");
        assert!(!says("true"), "{name}: no row");
        assert!(!says("exit 2"), "{name}: no answer");
    }
}

#[test]
fn idle_transactions_are_ended_of_one_account() {
    let stage = Stage::new().fake("psql", "cat > \"$here/sql\"");
    let output = stage.run("end-idle-transactions.sh", &["--host", "db-11", "--user", "orders", "--seconds", "300"]);
    assert!(output.status.success(), "{}", both(&output));
    assert_eq!(stage.calls("-v seconds=300 -v account=orders host=db-11 ").len(), 1, "{:?}", stage.calls(""));
    let sql = fs::read_to_string(stage.path("sql")).unwrap();
    let (chosen, condition) = sql.split_once("\nwhere ").unwrap();
    assert!(chosen.contains("pg_terminate_backend") && !condition.contains("pg_terminate_backend"), "{sql}");
    assert!(condition.contains("usename = :'account'"), "{sql}");
}

#[test]
fn a_resolver_is_restarted_once() {
    let set = || {
        Stage::new()
            .fake("getent", "[ -e \"$here/works\" ]")
            .fake("systemctl", "case $1 in is-enabled) [ \"$4\" = unbound ] ;; restart) : > \"$here/works\" ;; esac")
    };
    let arguments = ["--host", "localhost", "--domain", "a.internal"];
    twice(set, "restart-resolver.sh", &arguments, "systemctl restart -- unbound", "nothing to do");
    let without = Stage::new().fake("getent", "exit 2").fake("systemctl", "[ \"$1\" != is-enabled ]");
    refuses(&without, "restart-resolver.sh", &arguments, "no resolver of its own", "systemctl restart");
    refuses(&without, "resolves.sh", &arguments, "", "systemctl restart");
}

#[test]
fn a_clock_is_synchronised_once_and_never_steps() {
    let tracking = |offset: &str, stratum: &str| format!("A,h,{stratum},1764000000.0,{offset},0,0,0,0,0,0,0,0,Normal");
    let set = || {
        let text = format!(
            "[ \"$2\" != tracking ] || if [ -e \"$here/synced\" ]; then echo '{}'; else echo '{}'; fi",
            tracking("-0.0004", "3"),
            tracking("0.640", "3")
        );
        Stage::new().fake("chronyc", &text).fake("systemctl", "[ \"$1\" != restart ] || : > \"$here/synced\"")
    };
    let arguments = ["--host", "localhost", "--milliseconds", "100"];
    twice(set, "sync-clock.sh", &arguments, "systemctl restart -- chrony", "nothing to do");
    let stage = set();
    stage.run("sync-clock.sh", &arguments);
    assert_eq!(stage.calls("makestep"), Vec::<String>::new());
    let within = |offset: &str, stratum: &str| {
        let stage = Stage::new().fake("chronyc", &format!("echo '{}'", tracking(offset, stratum)));
        stage.run("clock-within.sh", &arguments).status.success()
    };
    assert!(within("0.099", "2") && within("-0.099", "2"));
    assert!(!within("0.1", "2") && !within("-0.64", "2"));
    assert!(!within("0", "0"), "a clock that is not synchronised has no offset");
    assert!(!Stage::new().fake("chronyc", "").run("clock-within.sh", &arguments).status.success());
}

#[test]
fn a_host_is_reset_once_and_only_while_it_is_silent() {
    let (name, arguments) = ACCEPTED.iter().find(|(name, _)| *name == "reset-host.sh").unwrap();
    let set = |power: &'static str| {
        Stage::new()
            .fake("ssh-keyscan", "[ ! -e \"$here/answers\" ] || echo 'web-09 ssh-ed25519 AAAA'")
            .fake("ipmitool", &format!("case \"$*\" in *'power status') echo 'Chassis Power is {power}' ;; esac"))
            .with("password", "the-password-of-the-bmc")
    };
    twice(|| set("on"), name, arguments, "chassis power cycle", "was reset less than 30 minutes ago");
    twice(|| set("off"), name, arguments, "chassis power on", "was reset less than 30 minutes ago");
    let answers = set("on").with("answers", "");
    assert!(stdout(&answers.run(name, arguments)).contains("nothing to do"));
    assert_eq!(answers.calls("ipmitool"), Vec::<String>::new());
    refuses(&set("unknown"), name, arguments, "no usable answer", "chassis power o");
    let stage = set("on");
    stage.run(name, arguments);
    assert_eq!(stage.calls("the-password-of-the-bmc"), Vec::<String>::new(), "no list of processes shows the password");
    assert!(stage.has("resets/web-09"));
    refuses(&stage, "host-answers.sh", &["--host", "web-09"], "does not answer", "no such call");
    assert!(answers.run("host-answers.sh", &["--host", "web-09"]).status.success());
}

#[test]
fn what_is_handed_over_reaches_the_log_as_one_argument() {
    let stage = Stage::new().fake("logger", "printf '<%s>' \"$@\" > \"$here/logged\"");
    let output = stage.run("hand-over.sh", &["--about", "-n; id", "--reason", "$(id) 'quoted'"]);
    assert!(output.status.success(), "{}", both(&output));
    let logged = fs::read_to_string(stage.path("logged")).unwrap();
    assert!(logged.contains("<--><-n; id needs a person: $(id) 'quoted' (incident none, run none)>"), "{logged}");
}

#[test]
fn every_script_is_executable_and_stops_at_the_first_error() {
    for folder in ["scripts", "examples/quickstart/scripts", "examples/demo/scripts"] {
        for path in scripts(folder) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("#!/bin/sh\n") && text.contains("\nset -eu\n"), "{}", path.display());
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_ne!(mode & 0o100, 0, "{} is executable", path.display());
        }
    }
}

#[test]
fn shellcheck_finds_nothing_in_any_script() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = program(Path::new("/usr/bin/shellcheck"));
    command.arg("-x").current_dir(root).arg("scripts/lib.sh").arg("tests/setup.sh");
    for folder in ["scripts", "examples/quickstart/scripts", "examples/demo/scripts"] {
        command.args(scripts(folder));
    }
    let output = command.output().unwrap_or_else(|error| panic!("shellcheck: {error}; tests/setup.sh installs it"));
    assert!(output.status.success(), "{}", both(&output));
}
