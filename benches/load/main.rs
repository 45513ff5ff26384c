//! The whole daemon under load, measured from outside by a client of its own on the same machine.
//!
//! `cargo bench --bench load` prints a table. Every figure about requests stands beside one of a bare warp handler
//! that parses the same body, taken in the same run with the same client, since machines differ and are noisy.
//! Everything talks to loopback and ends by itself. A word after `--` takes only the parts with it in their name, see
//! `PARTS`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a program that measures, prints and may end early; it starts the daemon that it measures"
)]

mod bare;
mod client;
mod daemon;
mod push;
mod stamp;

use std::time::{Duration, Instant};

use client::{Load, Outcome};
use daemon::Daemon;

/// Connections of the load.
const CONNECTIONS: usize = 64;
/// How long each load lasts.
const LOAD_TIME: Duration = Duration::from_secs(6);
/// How often the baseline and the daemon take turns. The one with the middle ratio of the two is told.
const TURNS: usize = 5;
/// Runs of the saturated case.
const SATURATED_RUNS: usize = 5_000;
/// Pushes a second, and how many, of the case that measures the way to a command.
const PACED: (u64, usize) = (50, 500);

/// What is measured, by name.
const PARTS: [(&str, fn()); 4] =
    [("idle", idle_memory), ("accepted", accepted_events), ("command", event_to_command), ("runs", saturated)];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        // The program that steps start, to tell when they did.
        Some("stamp") => return stamp::write(&args),
        // The baseline, in a process of its own.
        Some("bare-warp") => return bare::serve(),
        _ => {}
    }
    let wanted = args.iter().skip(1).find(|arg| !arg.starts_with('-'));
    println!("| measured | figure | baseline in the same run | ratio |");
    println!("|---|---|---|---|");
    for (name, measure) in PARTS {
        if wanted.is_none_or(|wanted| name.contains(wanted.as_str())) {
            measure();
        }
    }
}

fn row(what: &str, figure: &str, baseline: &str, ratio: &str) {
    println!("| {what} | {figure} | {baseline} | {ratio} |");
}

fn idle_memory() {
    let daemon = Daemon::start(&daemon::rules_that_never_match(100), "");
    row("resident memory, idle, 100 rules", &format!("{:.1} MB", daemon.resident_mb()), "", "");
}

/// What a turn of the baseline and one of the daemon told.
struct Turn {
    baseline: Outcome,
    ours: Outcome,
    grown_mb: f64,
    settled: Duration,
}

impl Turn {
    fn take() -> Self {
        let load = |path, token| Load { connections: CONNECTIONS, lasts: LOAD_TIME, path, token };
        let bare = Daemon::bare();
        let baseline = client::run(bare.addr, &load("/flashduty", "none"));
        drop(bare);
        let daemon = Daemon::start(&daemon::rules_that_never_match(1000), "");
        let before = daemon.resident_mb();
        let ours = client::run(daemon.addr, &load("/flashduty", daemon::TOKEN));
        assert_eq!(ours.refused, 0, "every push has to be accepted");
        let settled = daemon.wait_until_decided();
        Self { baseline, ours, grown_mb: daemon.resident_mb() - before, settled }
    }

    fn ratio(&self) -> f64 {
        self.ours.per_second() / self.baseline.per_second()
    }
}

fn accepted_events() {
    let mut turns: Vec<Turn> = (0..TURNS).map(|_| Turn::take()).collect();
    turns.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
    let ratios: Vec<String> = turns.iter().map(|turn| format!("{:.2}", turn.ratio())).collect();
    let Turn { baseline, ours, grown_mb, settled } = &turns[TURNS / 2];
    row(
        "durable accepted events a second, 64 connections, 1,000 rules, none matching",
        &format!("{:.0}", ours.per_second()),
        &format!("{:.0} (bare warp)", baseline.per_second()),
        &format!("{:.2} (of {})", turns[TURNS / 2].ratio(), ratios.join(", ")),
    );
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let (ours, baseline) = (ours.at(share), baseline.at(share));
        row(&format!("{name} of the answer"), &ms(ours), &ms(baseline), &ratio(ours, baseline));
    }
    row(&format!("growth of resident memory after {} events", ours.accepted), &format!("{grown_mb:.1} MB"), "", "");
    row("until all of them were decided, after the last answer", &ms(*settled), "", "");
}

fn event_to_command() {
    let daemon = Daemon::start(&daemon::rule_that_stamps(), "");
    let (per_second, pushes) = PACED;
    let mut taken = client::paced(daemon.addr, daemon::TOKEN, per_second, pushes, &daemon.stamps());
    assert_eq!(taken.len(), pushes, "every push has to lead to its command");
    taken.sort_unstable();
    let outcome = Outcome { accepted: pushes, refused: 0, took: taken, lasted: Duration::from_secs(1) };
    row("push sent to command started, 50 a second, median", &ms(outcome.at(0.5)), "", "");
    row("push sent to command started, 50 a second, p99", &ms(outcome.at(0.99)), "", "");
}

fn saturated() {
    for (name, rules) in
        [("", daemon::rule_that_runs("")), (" with `user`", daemon::rule_that_runs("        user: nobody\n"))]
    {
        let daemon = Daemon::start(&rules, "limits: { runs: 16 }\n");
        let begun = Instant::now();
        let sent = client::burst(daemon.addr, daemon::TOKEN, CONNECTIONS, SATURATED_RUNS);
        assert_eq!(sent.accepted, SATURATED_RUNS);
        let ended = daemon.wait_for_runs(SATURATED_RUNS);
        let lasted = begun.elapsed();
        assert_eq!(ended, SATURATED_RUNS, "no run may be lost or fail");
        let per_second = SATURATED_RUNS as f64 / lasted.as_secs_f64();
        row(
            &format!("command runs{name} completed a second, saturated, {SATURATED_RUNS} runs"),
            &format!("{per_second:.0}"),
            "",
            "",
        );
    }
}

fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

fn ratio(ours: Duration, baseline: Duration) -> String {
    format!("{:.2}", ours.as_secs_f64() / baseline.as_secs_f64())
}
