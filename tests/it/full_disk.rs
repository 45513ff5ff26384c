//! Disks that are really full or read-only: a tmpfs of a few megabytes, and an ext4 that the kernel makes read-only
//! under the daemon as it does after an error.
//!
//! Each test runs itself again in a mount namespace of its own, so the kernel takes its mounts away with its last process,
//! whatever becomes of the test.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::faults::{received, verifies};
use crate::support::{Folder, TOKEN, admin, incident, marking_rule, not_tested, say_aloud, try_post, wait_for};

/// Set in the process that is in a mount namespace of its own.
const INSIDE: &str = "STANCH_TEST_MAY_MOUNT";

/// Runs `test`, which is called `name`, in a mount namespace of its own: as root, or as root of a user namespace.
fn apart(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let place = tempfile::tempdir().unwrap();
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let may_mount = |way: &&&[&str]| {
        let probe =
            Command::new("unshare").args(**way).args(["mount", "-t", "tmpfs", "none"]).arg(place.path()).output();
        probe.is_ok_and(|probe| probe.status.success())
    };
    let Some(way) = ways.iter().find(may_mount) else {
        return not_tested(name, "this process may not mount, not in a user namespace of its own either");
    };
    let mut again = Command::new("unshare");
    again.args(*way).args(["--propagation", "private", "--fork", "--kill-child"]);
    again.arg(std::env::current_exe().unwrap()).args(["--exact", name, "--include-ignored", "--nocapture"]);
    let output = again.env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    let remarks = said.lines().filter(|line| line.starts_with("NOT TESTED"));
    remarks.for_each(say_aloud);
}

/// Runs a program of the system that has to succeed.
fn system(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {said}");
}

/// A file system that is mounted as the data folder of a daemon.
struct Disk {
    place: tempfile::TempDir,
    /// The file that holds it; none for a tmpfs.
    image: Option<PathBuf>,
}

impl Disk {
    /// A tmpfs with room for so much.
    fn small(folder: &Folder, size: &str) -> Self {
        let disk = Self::under(folder, None);
        system("mount", &["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "none", disk.at()]);
        disk
    }

    /// An ext4 in a file of the folder, which becomes read-only when the kernel meets an error in it.
    fn in_a_file(folder: &Folder) -> Self {
        let image = folder.path("disk.img");
        fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        system("mkfs.ext4", &["-q", image.to_str().unwrap()]);
        let disk = Self::under(folder, Some(image));
        disk.mount();
        disk
    }

    fn under(folder: &Folder, image: Option<PathBuf>) -> Self {
        let place = tempfile::tempdir().unwrap();
        symlink(place.path(), folder.path("data")).unwrap();
        Self { place, image }
    }

    fn at(&self) -> &str {
        self.place.path().to_str().unwrap()
    }

    fn mount(&self) {
        let image = self.image.as_deref().and_then(Path::to_str).unwrap();
        system("mount", &["-o", "loop,errors=remount-ro", image, self.at()]);
    }

    /// Takes up all the room that is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.place.path().join("filler")).unwrap();
        while let Ok(written) = file.write(&[0; 4096]) {
            assert!(written > 0);
        }
        let left = Command::new("stat").args(["-f", "-c", "%a", self.at()]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout).trim(), "0", "blocks are left");
    }

    fn free(&self) {
        fs::remove_file(self.place.path().join("filler")).unwrap();
    }

    /// Has the kernel meet an error, as a failing device would.
    fn break_down(&self) {
        let source = Command::new("findmnt").args(["-n", "-o", "SOURCE", self.at()]).output().unwrap();
        let device = String::from_utf8(source.stdout).unwrap();
        let name = device.trim().strip_prefix("/dev/").unwrap();
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "1").unwrap();
        let refused = fs::write(self.place.path().join("probe"), "x").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }

    /// Looks it over and mounts it again, as an administrator would.
    fn mend(&self) {
        system("umount", &[self.at()]);
        let image = self.image.as_deref().and_then(Path::to_str).unwrap();
        let checked = Command::new("e2fsck").args(["-f", "-y", image]).output().unwrap();
        // Also that it corrected something is a success.
        assert!(matches!(checked.status.code(), Some(0 | 1)), "{checked:?}");
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").args(["-l", self.at()]).output().ok();
    }
}

const APPROVED: &str = "rules:\n  - id: ask\n    mode: approve\n    match: { events: [i_new], channels: [\"*\"] }\n    steps: [ { shell: echo ran >> runs } ]\n";
const TWO_STEPS: &str = "rules:\n  - id: two\n    match: { events: [i_new], channels: [\"*\"] }\n    steps:\n      - shell: |\n          echo one >> runs\n          until [ -e go ]; do sleep 0.02; done\n      - shell: echo two >> runs\n";

#[test]
fn a_disk_that_is_full_refuses_pushes_and_is_used_again_when_there_is_room() {
    apart("full_disk::a_disk_that_is_full_refuses_pushes_and_is_used_again_when_there_is_room", || {
        let folder = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", "")));
        let disk = Disk::small(&folder, "4m");
        let daemon = folder.start();
        daemon.accept(&incident("e0", "i0"));
        assert_eq!(daemon.end_of("e0"), "succeeded");
        disk.fill();
        for event in ["e1", "e2", "e1", "e3"] {
            let (status, answer) = daemon.push(&incident(event, event));
            assert_eq!(status, 503, "{answer}");
            assert_eq!(answer["error"]["code"], "journal-closed", "{answer}");
        }
        // It is not ready for anything, and says why, as long as that is so and no longer.
        let ready = || admin(&daemon.folder.path("data/stanch.sock"), "GET", "/readyz", "").unwrap();
        let (status, why) = ready();
        assert_eq!(status, 503, "{why}");
        assert!(why.contains("full"), "{why}");
        assert_eq!(daemon.folder.read("runs").lines().count(), 1, "nothing was started that is not on record");
        disk.free();
        let (status, answer) = ready();
        assert_eq!(status, 200, "{answer}");
        assert!(answer.contains("the last push could not be recorded"), "{answer}");
        daemon.accept(&incident("e1", "e1"));
        assert_eq!(daemon.end_of("e1"), "succeeded");
        assert!(!ready().1.contains("note"));
        let folder = daemon.stop();
        assert_eq!(folder.read("runs").lines().count(), 2);
        assert_eq!(received(&folder), HashSet::from(["e0".to_owned(), "e1".to_owned()]));
        verifies(&folder);
        // A disk that is read-only from the beginning is no start.
        system("mount", &["-o", "remount,ro", disk.at()]);
        let output = folder.start_in_vain();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{said}");
        assert!(said.contains("Read-only file system"), "{said}");
    });
}

#[test]
fn nothing_starts_on_a_full_disk_whose_beginning_cannot_be_written() {
    apart("full_disk::nothing_starts_on_a_full_disk_whose_beginning_cannot_be_written", || {
        let folder = Folder::with_rules(APPROVED);
        let disk = Disk::small(&folder, "4m");
        let daemon = folder.start();
        daemon.accept(&incident("e1", "i1"));
        let run = daemon.decided("e1")["runs"][0]["run"]["run"].as_str().unwrap().to_owned();
        disk.fill();
        let approved = daemon.folder.run(&["runs", "approve", &run]);
        assert!(!approved.status.success(), "an approval counts when it is on record");
        let (code, folder) = daemon.end_by_itself();
        assert_eq!(code, Some(5), "{}", folder.read("log"));
        assert!(folder.read("log").contains("full"), "{}", folder.read("log"));
        // There is no start either while there is no room, and it says what is missing.
        let output = folder.start_in_vain();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{said}");
        assert!(said.contains("full") || said.contains("No space left"), "{said}");
        assert_eq!(folder.read("runs"), "");
        disk.free();
        let daemon = folder.start();
        assert_eq!(daemon.outcome("e1").0, "awaiting-approval", "what could not be recorded did not happen");
        assert!(daemon.folder.run(&["runs", "approve", &run]).status.success());
        assert_eq!(daemon.end_of("e1"), "succeeded");
        let folder = daemon.stop();
        assert_eq!(folder.read("runs"), "ran\n");
        verifies(&folder);
    });
}

#[test]
fn no_step_follows_on_a_disk_that_fills_up_or_turns_read_only_meanwhile() {
    apart("full_disk::no_step_follows_on_a_disk_that_fills_up_or_turns_read_only_meanwhile", || {
        type Way = (&'static str, fn(&Folder) -> Disk, fn(&Disk), fn(&Disk));
        let mut ways: Vec<Way> =
            vec![("full", |folder| Disk::small(folder, "4m"), |disk| disk.fill(), |disk| disk.free())];
        let mut loops = Command::new("losetup");
        if loops.arg("--find").output().is_ok_and(|found| found.status.success()) {
            ways.push(("read-only", Disk::in_a_file, Disk::break_down, Disk::mend));
        } else {
            not_tested("a disk that turns read-only under the daemon", "there are no loop devices for this process");
        }
        for (what, make, fail, mend) in ways {
            let folder = Folder::with_rules(TWO_STEPS);
            let disk = make(&folder);
            let daemon = folder.start();
            daemon.accept(&incident("e1", "i1"));
            wait_for("the first step to begin", || match daemon.folder.read("runs").as_str() {
                "one\n" => Ok(()),
                other => Err(other.to_owned()),
            });
            fail(&disk);
            // It may be gone before it answers; what it never says is 200.
            let body = incident("e2", "i2").to_string();
            let answer = try_post(daemon.folder.addr, TOKEN, body.as_bytes()).ok().map(|(status, _)| status);
            assert!(matches!(answer, None | Some(503)), "{what}: {answer:?}");
            daemon.folder.write("go", "", 0o644);
            let (code, folder) = daemon.end_by_itself();
            assert_eq!(code, Some(5), "{what}: {}", folder.read("log"));
            mend(&disk);
            let daemon = folder.start();
            assert_eq!(daemon.end_of("e1"), "interrupted", "{what}");
            let folder = daemon.stop();
            assert_eq!(folder.read("runs"), "one\n", "{what}");
            assert_eq!(received(&folder), HashSet::from(["e1".to_owned()]), "{what}");
            verifies(&folder);
        }
    });
}
