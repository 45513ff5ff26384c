//! The rules that come with Stanch: they pass the check, do what they say on their fixtures, and their scripts can be
//! given anything and run twice.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::program::{both, program, stanch, stdout};

/// A copy of what the rules need, with the modes that a careful checkout has.
fn library() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::copy(repository.join("stanch.yaml"), place.path().join("stanch.yaml")).unwrap();
    for folder in ["rules", "rules/fixtures", "scripts"] {
        let to = place.path().join(folder);
        fs::create_dir(&to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(repository.join(folder)).unwrap() {
            let from = entry.unwrap().path();
            if from.is_file() {
                let to = to.join(from.file_name().unwrap());
                fs::copy(&from, &to).unwrap();
                let executable = fs::metadata(&from).unwrap().permissions().mode() & 0o100 != 0;
                fs::set_permissions(&to, fs::Permissions::from_mode(if executable { 0o755 } else { 0o644 })).unwrap();
            }
        }
    }
    place
}

#[test]
fn the_rules_pass_the_check_without_a_warning() {
    let place = library();
    let output = stanch(place.path()).args(["check", "--deny", "warnings"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(stdout(&output).starts_with("ok: 3 rules in 3 files"), "{}", both(&output));
}

#[test]
fn the_rules_pass_their_own_tests_and_none_is_without() {
    let place = library();
    let output = stanch(place.path()).arg("test").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(!stdout(&output).contains("rules without a test"), "{}", both(&output));
}

#[test]
fn each_rule_concerns_its_own_fixture_alone() {
    let place = library();
    for (rule, outcome, target) in [
        ("disk-full", "run", "db-07"),
        ("service-down", "held", "web-03/orders-api"),
        ("deploy-stuck", "dry-run", "orders-api"),
    ] {
        let fixture = format!("rules/fixtures/{rule}.json");
        let output = stanch(place.path()).args(["explain", &fixture, "--format", "json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
        let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
        for explained in answer["current"]["rules"].as_array().unwrap() {
            if explained["rule"] == rule {
                assert_eq!(explained["outcome"], outcome, "{explained}");
                assert_eq!(explained["target"], target, "{explained}");
            } else {
                assert_eq!(explained["outcome"], "not-matched", "{explained}");
            }
        }
    }
}

/// A script of the library, with `fakes` before the system's programs.
fn script(name: &str, arguments: &[&str], fakes: Option<&Path>) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name);
    let mut command = program(Path::new("/bin/sh"));
    command.arg(path).args(arguments);
    if let Some(fakes) = fakes {
        command.env("PATH", format!("{}:/usr/bin:/bin", fakes.display()));
    }
    command.output().unwrap()
}

fn fake(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn scripts_refuse_what_another_host_s_shell_could_read_as_code() {
    let place = tempfile::tempdir().unwrap();
    // Whatever gets as far as ssh was not refused.
    fake(place.path(), "ssh", "touch \"$(dirname \"$0\")/called\"");
    let hosts = ["-oProxyCommand=id", "a;id", "a b", "$(id)", "", "a\nb", "a'b", "*"];
    for host in hosts {
        for (name, rest) in [
            ("free-disk-space.sh", &["--mount", "/"][..]),
            ("disk-below.sh", &["--mount", "/", "--percent", "80"]),
            ("restart-service.sh", &["--service", "x"]),
            ("service-active.sh", &["--service", "x"]),
        ] {
            let arguments = [&["--host", host][..], rest].concat();
            let output = script(name, &arguments, Some(place.path()));
            assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}: {}", both(&output));
        }
    }
    for (name, arguments) in [
        ("disk-below.sh", &["--host", "a", "--mount", "/;id", "--percent", "80"][..]),
        ("disk-below.sh", &["--host", "a", "--mount", "/../etc", "--percent", "80"]),
        ("disk-below.sh", &["--host", "a", "--mount", "/", "--percent", "8;id"]),
        ("free-disk-space.sh", &["--host", "a", "--mount", "/", "--keep-days", "-1"]),
        ("restart-service.sh", &["--host", "a", "--service", "-H evil"]),
        ("restart-service.sh", &["--host", "a", "--service"]),
        ("hand-over.sh", &["--service", "a b", "--reason", "x"]),
    ] {
        let output = script(name, arguments, Some(place.path()));
        assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}: {}", both(&output));
    }
    assert!(!place.path().join("called").exists(), "no host was reached");
}

#[test]
fn another_host_is_asked_in_words_that_its_shell_cannot_split() {
    let place = tempfile::tempdir().unwrap();
    fake(place.path(), "ssh", "printf '<%s>' \"$@\"");
    let output = script("service-active.sh", &["--host", "web-03", "--service", "orders-api"], Some(place.path()));
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let asked = stdout(&output);
    assert!(asked.contains("<BatchMode=yes>") && asked.contains("<StrictHostKeyChecking=yes>"), "{asked}");
    assert!(asked.ends_with("<--><web-03><sh><-eu><-s><--><orders-api>"), "{asked}");
}

#[test]
fn restarting_twice_restarts_once() {
    let place = tempfile::tempdir().unwrap();
    let systemctl = "here=$(dirname \"$0\")\n\
                     case $1 in\n\
                     is-active) [ -e \"$here/up\" ] ;;\n\
                     restart) : > \"$here/up\"; echo \"$3\" >> \"$here/restarts\" ;;\n\
                     esac\n";
    fake(place.path(), "systemctl", systemctl);
    fake(place.path(), "journalctl", "echo last words");
    let arguments = ["--host", "localhost", "--service", "orders-api"];
    let first = script("restart-service.sh", &arguments, Some(place.path()));
    let second = script("restart-service.sh", &arguments, Some(place.path()));
    assert!(first.status.success() && second.status.success(), "{}{}", both(&first), both(&second));
    assert!(stdout(&first).contains("last words") && stdout(&first).contains("restarted orders-api"));
    assert!(stdout(&second).contains("nothing to do"), "{}", both(&second));
    assert_eq!(fs::read_to_string(place.path().join("restarts")).unwrap(), "orders-api\n");
}

#[test]
fn a_disk_is_below_a_limit_only_if_a_number_says_so() {
    let place = tempfile::tempdir().unwrap();
    let below = |percent: &str| {
        let arguments = ["--host", "localhost", "--mount", "/", "--percent", percent];
        script("disk-below.sh", &arguments, Some(place.path())).status.success()
    };
    let df = |used: &str| {
        let line = format!("/dev/x 100 50 50 {used} /");
        fake(
            place.path(),
            "df",
            &format!("echo Filesystem 1024-blocks Used Available Capacity Mounted\necho '{line}'"),
        );
    };
    df("79%");
    assert!(below("80"));
    df("80%");
    assert!(!below("80"));
    df("-");
    assert!(!below("80"));
}

#[test]
fn every_script_is_executable_and_stops_at_the_first_error() {
    for folder in ["scripts", "examples/quickstart/scripts", "examples/demo/scripts", "examples/custom-action/scripts"]
    {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_sourced = path.file_name().is_some_and(|name| name == "lib.sh");
            if path.extension().is_none_or(|extension| extension != "sh") || is_sourced {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("#!/bin/sh\n") && text.contains("\nset -eu\n"), "{}", path.display());
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_ne!(mode & 0o100, 0, "{} is executable", path.display());
        }
    }
}
