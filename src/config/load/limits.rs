//! `limits`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Doc, Fields, Kind, Limits, Node, codes};
use crate::action::process::StepLimits;
use crate::rule::duration::show;

/// A body must have room for a real push, and must not fill memory with a few hundred of them.
const BODY_BYTES: RangeInclusive<usize> = 1 << 10..=16 << 20;
/// What is kept of a step's output goes into the journal.
const OUTPUT_BYTES: RangeInclusive<usize> = 1 << 10..=16 << 20;
/// Each connection costs a file descriptor.
const CONNECTIONS: RangeInclusive<i64> = 1..=100_000;
/// A supervisor that waits longer than this for a daemon to stop is not one that is waited for.
const GRACE_MAX: Duration = Duration::from_secs(3600);
/// A shell needs a few besides the three standard ones.
const STEP_FILES: RangeInclusive<i64> = 16..=1_048_576;
/// All processes of the account count, so a small number would let nothing start.
const STEP_PROCESSES: RangeInclusive<i64> = 16..=1_048_576;
/// A shell itself needs a few hundred KiB.
const STEP_MEMORY_BYTES: RangeInclusive<usize> = 4 << 20..=1 << 40;
/// Less would keep a step from writing a log line.
const STEP_FILE_BYTES: RangeInclusive<usize> = 64 << 10..=1 << 40;
/// Each run costs processes.
const RUNS: RangeInclusive<i64> = 1..=1024;

pub(super) fn read(doc: &Doc, node: &Node) -> Limits {
    let mut read = Limits::default();
    let Some(fields) = Fields::open(doc, node, "`limits`") else { return read };
    let count = |name, range| {
        let node = fields.get(name)?;
        doc.int(node, &format!("`limits.{name}`"), range).and_then(|count| usize::try_from(count).ok())
    };
    if let Some(bytes) = fields.get("body").and_then(|node| size(doc, node, "`limits.body`", &BODY_BYTES)) {
        read.body_bytes = bytes;
    }
    if let Some(connections) = count("connections", CONNECTIONS) {
        read.connections = connections;
    }
    if let Some(runs) = count("runs", RUNS) {
        read.runs = runs;
    }
    if let Some(grace) = fields.get("grace").and_then(|node| doc.duration(node, "`limits.grace`")) {
        if grace > GRACE_MAX {
            let message = format!("`limits.grace` must be at most {}", show(GRACE_MAX));
            let node = fields.get("grace").map_or_else(|| fields.head(), |node| node.span.clone());
            doc.error(codes::INVALID_VALUE, node, message);
        }
        read.grace = grace;
    }
    if let Some(node) = fields.get("step") {
        read.step = step(doc, node);
    }
    if let Some(bytes) = fields.get("output").and_then(|node| size(doc, node, "`limits.output`", &OUTPUT_BYTES)) {
        read.output_bytes = bytes;
    }
    fields.close();
    read
}

/// What each process of a step may have.
fn step(doc: &Doc, node: &Node) -> StepLimits {
    let mut read = StepLimits::default();
    let Some(fields) = Fields::open(doc, node, "`limits.step`") else { return read };
    let count = |name, range| {
        let node = fields.get(name)?;
        doc.int(node, &format!("`limits.step.{name}`"), range).and_then(|count| u64::try_from(count).ok())
    };
    let bytes = |name, range| {
        let node = fields.get(name)?;
        size(doc, node, &format!("`limits.step.{name}`"), range).map(|bytes| bytes as u64)
    };
    read.files = count("files", STEP_FILES);
    read.processes = count("processes", STEP_PROCESSES);
    read.memory_bytes = bytes("memory", &STEP_MEMORY_BYTES);
    read.file_bytes = bytes("file_size", &STEP_FILE_BYTES);
    fields.close();
    read
}

/// `256KiB`, `1MiB`.
fn size(doc: &Doc, node: &Node, what: &str, range: &RangeInclusive<usize>) -> Option<usize> {
    let refuse = |message: String| {
        let hint = "sizes are `512B`, `256KiB`, `1MiB`";
        doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, hint);
        None
    };
    let Kind::Text { text, .. } = &node.kind else {
        return refuse(format!("{what} must be a size with its unit"));
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return refuse(format!("{what}: `{text}` is not a size")),
    };
    match number.parse::<usize>().ok().and_then(|number| number.checked_mul(unit_bytes)) {
        Some(bytes) if range.contains(&bytes) => Some(bytes),
        _ => refuse(format!("{what} must be from {}KiB to {}MiB", range.start() >> 10, range.end() >> 20)),
    }
}
