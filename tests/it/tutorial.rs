//! The tutorial is true: its files are written and its commands run, in its order and in one folder, and each output is
//! what stands there.
//!
//! In an expected output `…` stands for anything, and a line that is `…` alone for any lines. Ids name themselves: the first
//! that stands in the place of one of the document's is taken for it from then on, in commands too. Times, durations and the
//! width of columns are not compared. `/srv` and the port are replaced by a folder and a port of the test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use regex::Regex;

use crate::docs::blocks;
use crate::program::{Running, both, program};
use crate::support::{admin, wait_for};

/// The id of a run, or of an event that `stanch send` made up.
const ID: &str = r"\b(?:r-[0-9a-f]{16}|[0-9a-f]{32})\b";

#[test]
fn every_command_of_the_tutorial_does_what_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial.md");
    let mut reader = Reader::new();
    let mut did = 0;
    for (words, text) in blocks(&fs::read_to_string(path).unwrap()) {
        match words.split(' ').collect::<Vec<_>>()[..] {
            ["console"] => did += reader.follow(&text),
            ["console", "background"] => reader.start(&text),
            [_, file] => reader.write(file, &text),
            _ => panic!("a block that is neither followed nor written:\n{words}\n{text}"),
        }
    }
    assert!(did >= 25, "only {did} commands were found");
}

/// Somebody who follows the tutorial.
struct Reader {
    /// Stands for `/srv`.
    srv: tempfile::TempDir,
    folder: PathBuf,
    port: u16,
    /// Ids of the document, with those that they turned out to be.
    ids: BTreeMap<String, String>,
    daemon: Option<Running>,
}

impl Reader {
    fn new() -> Self {
        let srv = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { folder: srv.path().to_owned(), srv, port, ids: BTreeMap::new(), daemon: None }
    }

    /// A text of the document as it is for this reader.
    fn here(&self, text: &str) -> String {
        let srv = self.srv.path().to_str().unwrap();
        let mut text = text.replace("/srv", srv).replace("8080", &self.port.to_string());
        for (written, real) in &self.ids {
            text = text.replace(written, real);
        }
        text
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.join(file), self.here(text)).unwrap();
    }

    fn shell(&self, command: &str) -> std::process::Command {
        let bin = Path::new(env!("CARGO_BIN_EXE_stanch")).parent().unwrap();
        let mut shell = program(Path::new("/bin/bash"));
        shell.args(["-c", &format!("{{ {command}\n}} 2>&1")]).current_dir(&self.folder);
        shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("LC_ALL", "C.UTF-8");
        shell
    }

    fn start(&mut self, text: &str) {
        let (command, _) = commands(text).remove(0);
        let mut shell = self.shell(&format!("exec {command}"));
        let child: Child = shell.stdout(Stdio::null()).spawn().unwrap();
        self.daemon = Some(Running(child));
        let socket = self.folder.join("data/stanch.sock");
        wait_for("the daemon to be ready", || {
            admin(&socket, "GET", "/readyz", "").filter(|(status, _)| *status == 200).map(drop).ok_or_else(String::new)
        });
    }

    /// Runs the commands of a block and compares their outputs; returns how many there were.
    fn follow(&mut self, text: &str) -> usize {
        let commands = commands(text);
        for (command, expected) in &commands {
            if let Some(folder) = command.strip_prefix("cd ") {
                self.folder = self.folder.join(self.here(folder));
                continue;
            }
            let real = self.here(command);
            // What only looks may look again: the daemon decides after it has answered.
            let only_looks = ["stanch events", "stanch runs show", "stanch explain", "ls "];
            let only_looks = real == "stanch runs" || only_looks.iter().any(|known| real.starts_with(known));
            let run = |reader: &mut Self| {
                let output = reader.shell(&real).output().unwrap();
                reader.compare(expected, &both(&output)).map_err(|why| format!("$ {command}\n{why}"))
            };
            if only_looks && self.daemon.is_some() {
                wait_for("the output of the tutorial", || run(self));
            } else if let Err(why) = run(self) {
                panic!("{why}");
            }
        }
        // `init` writes the port that the document speaks of.
        let config = self.folder.join("stanch.yaml");
        if let Ok(text) = fs::read_to_string(&config) {
            fs::write(&config, text.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", self.port))).unwrap();
        }
        commands.len()
    }

    /// Holds an output against what is written, and learns the ids in it.
    fn compare(&mut self, expected: &[String], actual: &str) -> Result<(), String> {
        let ids = Regex::new(ID).unwrap();
        let mut pattern = String::from("(?s)^");
        let mut learned: Vec<String> = Vec::new();
        for line in expected {
            if line.trim() == "…" {
                pattern.push_str("(?:[^\n]*\n)*?");
                continue;
            }
            let mut rest = line.as_str();
            while let Some(found) = ids.find(rest) {
                pattern.push_str(&self.literal(&rest[..found.start()]));
                let id = found.as_str().to_owned();
                match self.ids.get(&id) {
                    Some(real) => pattern.push_str(&regex::escape(real)),
                    None if learned.contains(&id) => panic!("{id} stands twice in an output before it is known"),
                    None => {
                        pattern.push_str(&format!("({ID})"));
                        learned.push(id);
                    }
                }
                rest = &rest[found.end()..];
            }
            pattern.push_str(&self.literal(rest));
            pattern.push_str(" *\n");
        }
        pattern.push('$');
        let actual = tidy(actual);
        let Some(found) = Regex::new(&pattern).unwrap().captures(&actual) else {
            return Err(format!("wanted:\n{}\n\ngot:\n{actual}\n\nas a pattern:\n{pattern}", expected.join("\n")));
        };
        for (at, id) in learned.into_iter().enumerate() {
            self.ids.insert(id, found[at + 1].to_owned());
        }
        Ok(())
    }

    /// A pattern for a part of a line without ids.
    fn literal(&self, text: &str) -> String {
        let text = regex::escape(&tidy_line(&self.here(text)));
        let time = Regex::new(r"\d{4}\\-\d\d\\-\d\dT\d\d:\d\d:\d\d\\\.\d{3}Z").unwrap();
        let text = time.replace_all(&text, r"[0-9T:.-]+Z").into_owned();
        let duration = Regex::new(r"\b\d+ (ms|s)\b").unwrap();
        duration.replace_all(&text, r"\d+ (?:ms|s)").replace('…', "[^\n]*")
    }
}

/// One space for many, since the width of columns depends on ids and times, and a line feed at the end of each line.
fn tidy(text: &str) -> String {
    text.lines().filter(|line| !line.is_empty()).map(|line| format!("{}\n", tidy_line(line))).collect()
}

fn tidy_line(line: &str) -> String {
    Regex::new(" +").unwrap().replace_all(line, " ").into_owned()
}

/// The commands of a block, each with the lines that it is expected to print.
fn commands(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command.to_owned(), Vec::new())),
            (None, Some((_, expected))) if !line.is_empty() => expected.push(line.to_owned()),
            (None, Some(_)) => {}
            (None, None) => panic!("output before a command: {line}"),
        }
    }
    found
}
