//! What takes too long for every change: memory over a million events, slow sockets by the thousand, recovery of a
//! large journal. `make soak` runs them on the release build; the figures that they print are in docs/reliability.md.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use stanch::journal::{Intake, Recovered};

use crate::support::{Daemon, Folder, TOKEN, UNCONCERNED, incident, marking_rule, wait_for, with};

/// Resident memory of a daemon, in kilobytes.
fn resident_kb(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends a body over a kept connection and gives the status of the answer.
fn ask(stream: &mut TcpStream, body: &str) -> std::io::Result<String> {
    let head = format!(
        "POST /flashduty HTTP/1.1\r\nhost: t\r\nx-stanch-token: {TOKEN}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    let (mut answer, mut length) = ([0; 4096], 0);
    // An answer is a head and one JSON object.
    while !(answer[..length].windows(4).any(|four| four == b"\r\n\r\n") && answer[..length].ends_with(b"}")) {
        match stream.read(&mut answer[length..])? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => length += read,
        }
    }
    Ok(String::from_utf8_lossy(&answer[9..12]).into_owned())
}

/// Sends `pushes` new incidents over kept connections until each is accepted.
fn send_many(daemon: &Daemon, pushes: usize) {
    const SENDERS: usize = 32;
    let addr = daemon.folder.addr;
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            scope.spawn(move || {
                let connect = || {
                    let stream = TcpStream::connect(addr).unwrap();
                    stream.set_nodelay(true).unwrap();
                    stream
                };
                let mut stream = connect();
                for number in (sender..pushes).step_by(SENDERS) {
                    let host = serde_json::json!(format!("h{}", number % 5_000));
                    let push = incident(&format!("e{number}"), &format!("i{number}"));
                    let body = with(push, &[("/incident/labels/resource", host)]).to_string();
                    // A push that is turned away is sent again, over a new connection where this one was closed with it.
                    wait_for("a push to be accepted", || match ask(&mut stream, &body) {
                        Ok(status) if status == "200" => Ok(()),
                        Ok(status) => Err(status),
                        Err(error) => {
                            stream = connect();
                            Err(error.to_string())
                        }
                    });
                }
            });
        }
    });
}

#[test]
#[ignore = "takes minutes; `make soak` runs it"]
fn a_million_events_leave_no_more_memory_behind_than_thirty_megabytes() {
    let rules = format!("rules:\n{}", marking_rule("mark", "    guards: { cooldown: 10m }\n"));
    let daemon = Folder::with_rules(&rules).start();
    let idle = resident_kb(&daemon);
    let started = Instant::now();
    send_many(&daemon, 1_000_000);
    let took = started.elapsed();
    daemon.decided("e999999");
    let after = resident_kb(&daemon);
    println!("a million events in {took:.1?}: idle {idle} kB, afterwards {after} kB");
    assert!(after < idle + 30_000, "memory grew from {idle} kB to {after} kB");
}

#[test]
#[ignore = "opens thousands of sockets; `make soak` runs it"]
fn a_push_is_answered_beside_two_thousand_slow_sockets() {
    let daemon = Folder::with_rules(UNCONCERNED).start();
    let addr = daemon.folder.addr;
    let mut slow = Vec::new();
    for number in 0..2_000 {
        // One that the daemon turned away in the meantime has done its part.
        let Ok(mut stream) = TcpStream::connect(addr) else { continue };
        if number % 2 == 0 {
            stream.write_all(b"POST /flashduty HT").ok();
        }
        slow.push(stream);
        if number % 100 == 99 {
            let asked = Instant::now();
            daemon.accept(&incident(&format!("e{number}"), &format!("i{number}")));
            println!("beside {} slow sockets a push took {:?}", slow.len(), asked.elapsed());
        }
    }
    assert!(slow.len() >= 1_900, "only {} sockets could be opened", slow.len());
}

/// Writes pushes and the records that the daemon makes of them where no rule is concerned, without running a daemon.
fn write_journal(data: &std::path::Path, events: usize) {
    const AT_ONCE: usize = 1_000;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let recovered = Recovered::open(data, false).unwrap();
    let clock = std::sync::Arc::new(stanch::clock::SystemClock::new());
    let (_, mut opened) = recovered.start(clock, |_| {}).unwrap();
    let now = stanch::clock::wall_now();
    let admit = |number: usize| {
        let host = serde_json::json!(format!("h{}", number % 5_000));
        let push = incident(&format!("e{number}"), &format!("i{number}"));
        let push = with(push, &[("/incident/labels/resource", host)]);
        let event = stanch::event::read(push.to_string().into(), "flashduty".into(), now).unwrap();
        let journal = opened.journal.clone();
        async move { journal.admit(event).await.unwrap() }
    };
    let mut last = 0;
    for first in (0..events).step_by(AT_ONCE) {
        runtime.block_on(async {
            let mut waiting = tokio::task::JoinSet::new();
            (first..events.min(first + AT_ONCE)).for_each(|number| drop(waiting.spawn(admit(number))));
            while waiting.join_next().await.is_some() {}
        });
        while let Ok(committed) = opened.committed.try_recv() {
            if let stanch::journal::Committed::Push { seq, .. } = committed {
                last = seq;
            }
        }
        let decided = serde_json::json!({ "kind": "decided", "from_seq": 1, "to_seq": last, "event": null,
            "generation": 1, "late_since": null, "decisions": [] });
        let decided = serde_json::from_value(decided).unwrap();
        runtime.block_on(opened.journal.append_folded(now, vec![decided])).unwrap();
    }
    opened.journal.close();
    opened.writer.join().unwrap();
}

#[test]
#[ignore = "takes minutes; `make soak` runs it"]
fn a_journal_of_a_million_records_is_taken_up() {
    const EVENTS: usize = 1_000_000;
    let folder = Folder::with_rules(UNCONCERNED);
    write_journal(&folder.path("data"), EVENTS);
    let started = Instant::now();
    let daemon = folder.start();
    println!(
        "a journal of {EVENTS} events: ready after {:.2?}, resident {} kB",
        started.elapsed(),
        resident_kb(&daemon)
    );
    assert_eq!(daemon.push(&incident("e5", "i5")).0, 409, "an id of before is known, with another body");
    let folder = daemon.stop();
    let started = Instant::now();
    assert!(folder.run(&["audit", "verify"]).status.success());
    println!("audit verify took {:.2?}", started.elapsed());
}
