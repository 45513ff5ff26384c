//! What a step prints, while it runs: in the API and in the stream, its end alone, without secrets, and gone afterwards.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Daemon, Folder, TOKEN, incident, post, records, wait_for, with};
use crate::visitor::{READER, ask, bearer, read_head, with_console};

/// A rule whose step prints what the shell text says, and then waits until `hold` is gone.
fn printing(text: &str) -> (Daemon, SocketAddr) {
    let rule = format!(
        "rules:\n  - id: print\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    target: \"{{{{ labels.resource }}}}\"\n    steps:\n      - name: talk\n        shell: |\n          {}\n          while [ -e hold ]; do sleep 0.02; done\n",
        text.replace('\n', "\n          ")
    );
    let (folder, addr) = with_console(Folder::with_rules(&rule), "");
    folder.write("hold", "", 0o644);
    (folder.start(), addr)
}

fn run_of(daemon: &Daemon) -> String {
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    daemon.decided("e-1")["event"]["decision"]["rules"][0]["run"].as_str().unwrap().to_owned()
}

/// The only step of a run, once what it shows is `enough`.
fn step(addr: SocketAddr, run: &str, enough: impl Fn(&Value) -> bool) -> Value {
    wait_for("the step to show enough", || {
        let token = bearer(READER);
        let story = ask(addr, "GET", &format!("/api/v1/runs/{run}"), &[("authorization", &token)], "").json();
        if enough(&story["steps"][0]) { Ok(story["steps"][0].clone()) } else { Err(story.to_string()) }
    })
}

#[test]
fn a_step_shows_what_it_prints_while_it_runs_and_nothing_stays() {
    let (daemon, addr) = printing("echo working\necho careful >&2");
    let run = run_of(&daemon);
    let seen = step(addr, &run, |step| step["now"]["printed_bytes"] == 16);
    assert_eq!((&seen["now"]["stdout"], &seen["now"]["stderr"]), (&"working\n".into(), &"careful\n".into()));
    assert!(seen["now"]["for_ms"].is_u64() && seen["result"].is_null(), "{seen}");
    let shown = String::from_utf8(daemon.folder.run(&["runs", "show", &run]).stdout).unwrap();
    assert!(shown.contains("out | working") && shown.contains("err | careful"), "{shown}");
    std::fs::remove_file(daemon.folder.path("hold")).unwrap();
    let ended = step(addr, &run, |step| step["result"].is_object());
    assert_eq!(ended["result"]["stdout"], "working\n", "the journal has it as before");
    assert_eq!(ended["now"], Value::Null);
}

#[test]
fn of_much_output_the_end_is_shown() {
    let (daemon, addr) = printing("head -c 300000 /dev/zero | tr '\\0' x\necho the end");
    let run = run_of(&daemon);
    let seen = step(addr, &run, |step| step["now"]["printed_bytes"] == 300_008);
    let text = seen["now"]["stdout"].as_str().unwrap();
    assert!(text.len() == 8 * 1024 && text.ends_with("xxthe end\n"), "{} bytes", text.len());
}

#[test]
fn a_secret_is_never_shown_also_where_it_comes_in_pieces() {
    let (first, second) = TOKEN.split_at(11);
    let (daemon, addr) = printing(&format!(
        "printf 'begin %s' '{first}'\nwhile [ -e half ]; do sleep 0.02; done\nprintf '%s end\\n' '{second}'"
    ));
    daemon.folder.write("half", "", 0o644);
    let run = run_of(&daemon);
    let printed = 6 + first.len();
    let half = step(addr, &run, |step| step["now"]["printed_bytes"] == printed);
    assert_eq!(half["now"]["stdout"], "begin ", "what may become a secret is held back");
    std::fs::remove_file(daemon.folder.path("half")).unwrap();
    let whole = step(addr, &run, |step| step["now"]["printed_bytes"] == 6 + TOKEN.len() + 5);
    assert_eq!(whole["now"]["stdout"], "begin *** end\n");
    std::fs::remove_file(daemon.folder.path("hold")).unwrap();
    let ended = step(addr, &run, |step| step["result"].is_object());
    assert_eq!(ended["result"]["stdout"], whole["now"]["stdout"], "as in the journal");
}

/// The stream of a run, read event by event.
struct Followed(BufReader<TcpStream>);

impl Followed {
    fn run(addr: SocketAddr, run: &str) -> Self {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let token = bearer(READER);
        let head = format!("GET /api/v1/stream?run={run} HTTP/1.1\r\nhost: {addr}\r\nauthorization: {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        assert_eq!(read_head(&mut reader).0, 200);
        Self(reader)
    }

    /// The fields of the next event. Its lines end with an empty one; the sizes of chunks stand between.
    fn next(&mut self) -> Vec<(String, String)> {
        let (mut fields, mut line) = (Vec::new(), String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            match line.trim_end().split_once(':') {
                Some((name, value)) => fields.push((name.to_owned(), value.trim().to_owned())),
                None if line.trim_end().is_empty() && !fields.is_empty() => return fields,
                None => {}
            }
        }
    }

    /// What is printed next, which comes among so many events at most.
    fn output(&mut self, within: usize) -> Value {
        for _ in 0..within {
            let fields = self.next();
            let of = |name: &str| fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str());
            if of("event") == Some("output") {
                assert_eq!(of("id"), None, "{fields:?}");
                return serde_json::from_str(of("data").unwrap()).unwrap();
            }
        }
        panic!("{within} events came, and none was of the output")
    }
}

#[test]
fn the_stream_of_a_run_tells_what_its_step_prints_without_a_number() {
    let (daemon, addr) = printing("echo first\nwhile [ -e half ]; do sleep 0.02; done\necho second");
    daemon.folder.write("half", "", 0o644);
    let run = run_of(&daemon);
    step(addr, &run, |step| step["now"]["printed_bytes"] == 6);
    let mut followed = Followed::run(addr, &run);
    let first = followed.output(100);
    assert_eq!((&first["run"], &first["steps"][0]["now"]["stdout"]), (&run.as_str().into(), &"first\n".into()));
    std::fs::remove_file(daemon.folder.path("half")).unwrap();
    assert_eq!(followed.output(100)["steps"][0]["now"]["stdout"], "first\nsecond\n");
    std::fs::remove_file(daemon.folder.path("hold")).unwrap();
    assert_eq!(followed.output(100)["steps"], serde_json::json!([]), "nothing is shown any more");
}

#[test]
fn what_a_step_prints_is_told_also_while_pushes_come_without_a_pause() {
    let (daemon, addr) = printing("echo first\nwhile [ -e half ]; do sleep 0.02; done\necho second");
    daemon.folder.write("half", "", 0o644);
    let run = run_of(&daemon);
    step(addr, &run, |step| step["now"]["printed_bytes"] == 6);
    let mut followed = Followed::run(addr, &run);
    assert_eq!(followed.output(100)["steps"][0]["now"]["stdout"], "first\n");
    let is_enough = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut nth = 0;
            while !is_enough.load(Ordering::Relaxed) {
                daemon.accept(&with(incident(&format!("e-more-{nth}"), "i"), &[("/event_type", "i_ack".into())]));
                // Far more often than the output is looked for, and so that a thousand take their time.
                std::thread::sleep(Duration::from_millis(10));
                nth += 1;
            }
        });
        while !followed.next().contains(&("event".into(), "received".into())) {}
        std::fs::remove_file(daemon.folder.path("half")).unwrap();
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| followed.output(1_000)));
        is_enough.store(true, Ordering::Relaxed);
        assert_eq!(seen.unwrap()["steps"][0]["now"]["stdout"], "first\nsecond\n");
    });
}

#[test]
fn a_secret_that_came_into_force_in_mid_step_is_shown_nowhere() {
    const NEWER: &str = "another-secret-of-the-tests-98765";
    let (daemon, addr) = printing("echo first\nwhile [ -e half ]; do sleep 0.02; done\ncat secrets/token");
    daemon.folder.write("half", "", 0o644);
    let run = run_of(&daemon);
    step(addr, &run, |step| step["now"]["printed_bytes"] == 6);
    let mut followed = Followed::run(addr, &run);
    assert_eq!(followed.output(100)["steps"][0]["now"]["stdout"], "first\n");
    daemon.folder.write("secrets/token", NEWER, 0o600);
    wait_for("the new secret", || {
        let (status, answer) = post(daemon.folder.addr, NEWER, incident("e-2", "i").to_string().as_bytes());
        if status == 200 { Ok(()) } else { Err(answer.to_string()) }
    });
    std::fs::remove_file(daemon.folder.path("half")).unwrap();
    assert_eq!(followed.output(100)["steps"][0]["now"]["stdout"], "first\n***");
    std::fs::remove_file(daemon.folder.path("hold")).unwrap();
    step(addr, &run, |step| step["result"].is_object());
    let folder = daemon.stop();
    let records = records(&folder.path("data/journal.db"));
    assert!(records.contains("first\\n***") && !records.contains(NEWER), "{records}");
}
