//! What keeps the processes of steps apart: checked files, limits, accounts, cgroups.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Daemon, Folder, incident, not_tested, wait_for};

fn rule(steps: &str) -> String {
    format!("rules:\n  - id: a\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    steps:\n{steps}")
}

fn run(daemon: &Daemon, event: &str) -> Value {
    daemon.accept(&incident(event, event));
    daemon.ended(event)
}

/// What the steps of the only run wrote, in order.
fn output(steps: &str, config: &str) -> Vec<String> {
    let daemon = Folder::with_rules(&rule(steps)).config(config).start();
    let story = run(&daemon, "e1");
    let steps = story["steps"].as_array().unwrap();
    steps.iter().map(|step| step["result"]["stdout"].as_str().unwrap_or_default().trim_end().to_owned()).collect()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

#[test]
fn a_script_that_changed_since_the_rules_were_loaded_does_not_run() {
    for step in ["[./scripts/second.sh]", "[/bin/sh, ./scripts/second.sh]"] {
        let steps = format!("      - run: [./scripts/first.sh]\n      - run: {step}\n");
        let first = "#!/bin/sh\necho 'echo changed >> runs' >> scripts/second.sh\n";
        let daemon = Folder::with_rules(&rule(&steps))
            .script("first.sh", first)
            .script("second.sh", "#!/bin/sh\necho second >> runs\n")
            .start();
        let story = run(&daemon, "e1");
        assert_eq!(story["run"]["state"], "failed", "{story}");
        let error = story["run"]["error"].as_str().unwrap();
        assert!(error.contains("second.sh is not what it was when the rules were loaded"), "{error}");
        // A reload takes it as it is now; the first script would change it once more.
        daemon.folder.script_now("first.sh", "#!/bin/sh\n");
        assert!(daemon.folder.run(&["reload"]).status.success());
        let story = run(&daemon, "e2");
        assert_eq!(story["run"]["state"], "succeeded", "{story}");
        assert_eq!(daemon.stop().read("runs"), "second\nchanged\n");
    }
}

#[test]
fn a_script_that_others_can_write_by_now_does_not_run() {
    let steps = "      - shell: chmod o+w scripts/second.sh\n      - run: [./scripts/second.sh]\n";
    let daemon = Folder::with_rules(&rule(steps)).script("second.sh", "#!/bin/sh\necho second >> runs\n").start();
    let story = run(&daemon, "e1");
    assert!(story["run"]["error"].as_str().unwrap().contains("can be written by"), "{story}");
    assert_eq!(daemon.stop().read("runs"), "");
}

#[test]
fn a_step_has_the_limits_of_the_config_and_leaves_no_core() {
    let steps = "      - shell: ulimit -n; ulimit -Hn\n      - shell: ulimit -c\n      - shell: head -c 100000 /dev/zero > big\n        continue_on_error: true\n      - shell: stat -c %s big\n";
    let said = output(steps, "limits: { step: { files: 64, file_size: 64KiB } }\n");
    assert_eq!(said, ["64\n64", "0", "", "65536"]);
}

#[test]
fn limits_are_checked_when_the_config_is_read() {
    let folder = Folder::with_rules(&rule("      - run: [/bin/true]\n"))
        .config("limits: { step: { files: 1, memory: 1KiB, proceses: 5 }, grace: 2h }\n");
    let output = folder.run(&["check"]);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!output.status.success());
    for wanted in ["limits.step.files", "limits.step.memory", "proceses", "limits.grace"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

#[test]
fn a_step_with_an_account_has_its_name_its_home_and_its_groups() {
    if !is_root() {
        return not_tested("a step with an account of its own", "only root can become another account");
    }
    let home = fs::read_to_string("/etc/passwd").unwrap();
    let home = home.lines().find(|line| line.starts_with("nobody:")).unwrap().split(':').nth(5).unwrap().to_owned();
    let steps = "      - shell: id -un; id -Gn; echo \"$HOME $USER $LOGNAME\"; grep NoNewPrivs /proc/self/status\n        user: nobody\n      - shell: echo \"$HOME\"\n        user: nobody\n        env: { HOME: /declared }\n";
    let said = output(steps, "");
    let lines: Vec<&str> = said[0].lines().collect();
    assert_eq!(lines[0], "nobody");
    assert!(!lines[1].split(' ').any(|group| group == "root"), "{said:?}");
    assert_eq!(lines[2], format!("{home} nobody nobody"));
    assert_eq!(lines[3], "NoNewPrivs:\t1");
    assert_eq!(said[1], "/declared");
}

/// Why cgroups were not tested.
const NO_CGROUP: &str = "this machine gives no cgroup (version 2, Linux 5.14) to make others in";

/// A cgroup for a daemon, in which it may make others; `None` where this machine has none to give.
struct Delegated(PathBuf);

impl Delegated {
    fn new() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mount = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (folder, kind) = (fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(folder))
        })?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
        let path =
            mount.join(own).join(format!("stanch-test-{}-{:?}", std::process::id(), std::thread::current().id()));
        fs::create_dir(&path).ok()?;
        path.join("cgroup.kill").exists().then_some(Self(path))
    }

    /// All the cgroups of runs that are there now.
    fn of_runs(&self) -> Vec<PathBuf> {
        let folders = |path: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
        };
        folders(&self.0).iter().flat_map(|daemon| folders(daemon)).collect()
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        fs::write(self.0.join("cgroup.kill"), "1").ok();
        let gone = |path: &Path| {
            wait_for("a cgroup to go", || match fs::remove_dir(path) {
                Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => Err(error.to_string()),
                _ => Ok(()),
            });
        };
        for path in self.of_runs() {
            gone(&path);
        }
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
            gone(&entry.path());
        }
        gone(&self.0);
    }
}

/// Leaves a process that has cleared its environment, has a session of its own, no parent and none of the pipes.
const ESCAPE: &str = "(setsid env -i /bin/sh -c 'echo $$ > left; exec sleep 1000' </dev/null >/dev/null 2>&1 &)";

fn left_over(folder: &Folder) -> bool {
    let pid = folder.read("left").trim().to_owned();
    !pid.is_empty() && fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_cgroup_holds_what_has_left_everything_else() {
    let Some(delegated) = Delegated::new() else {
        return not_tested("a cgroup of its own for each step", NO_CGROUP);
    };
    let steps = format!(
        "      - shell: |\n          {ESCAPE}\n          while [ ! -s left ]; do sleep 0.02; done\n          sleep 1000\n        timeout: 2s\n"
    );
    let daemon = Folder::with_rules(&rule(&steps)).inside(&delegated.0).start();
    daemon.accept(&incident("e1", "i1"));
    wait_for("the process to be in a cgroup of the run", || {
        let pid = daemon.folder.read("left").trim().to_owned();
        let inside = |path: &PathBuf| {
            let procs = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
            !pid.is_empty() && procs.lines().any(|line| line == pid)
        };
        if delegated.of_runs().iter().any(inside) { Ok(()) } else { Err(pid) }
    });
    assert_eq!(daemon.end_of("e1"), "timed-out");
    assert!(!left_over(&daemon.folder), "a process outlived the time limit of its step");
    assert_eq!(delegated.of_runs(), Vec::<PathBuf>::new(), "the cgroup of the run is taken away");
    drop(daemon.stop());
}

#[test]
fn what_a_crash_left_in_a_cgroup_is_ended_at_the_next_start() {
    let Some(delegated) = Delegated::new() else {
        return not_tested("a cgroup that a crash left behind", NO_CGROUP);
    };
    let steps = format!("      - shell: |\n          {ESCAPE}\n          sleep 1000\n");
    let daemon = Folder::with_rules(&rule(&steps)).inside(&delegated.0).start();
    daemon.accept(&incident("e1", "i1"));
    wait_for("the process to be left", || if left_over(&daemon.folder) { Ok(()) } else { Err(String::new()) });
    let daemon = daemon.kill().start();
    let story = daemon.ended("e1");
    assert_eq!(story["run"]["state"], "interrupted", "{story}");
    assert!(!left_over(&daemon.folder), "a process outlived the restart");
    drop(daemon.stop());
}

#[test]
fn nobody_else_can_ever_open_the_admin_socket() {
    let daemon = Folder::with_rules(&rule("      - run: [/bin/true]\n")).start();
    let mode = fs::metadata(daemon.folder.path("data/stanch.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names: Vec<String> = fs::read_dir(daemon.folder.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(json!(names), json!([]), "where it was made is taken away");
}
