//! The ids of traces and spans, derived from what they are of: known before anything is sent, and the same after a restart.

use std::fmt::Write;

use crate::event::EventId;
use crate::journal::record::{EachPlace, Phase, RunId, WriteBackId};

/// Derives ids, and says which events are traced.
///
/// Two installations that get the same push tell of it in two traces: the name of the installation is in every id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceIds {
    key: [u8; 32],
    /// Of [`RANDOM_VALUES`] so many are traced.
    sampled: u64,
}

/// What a span is of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place<'a> {
    /// An event: the root of its trace.
    Event(&'a EventId),
    /// The decision on an event.
    Decision(&'a EventId),
    /// The decision on a run that a person asked for again.
    Rerun(&'a RunId),
    /// A run.
    Run(&'a RunId),
    /// The time that a run waited before it acted.
    Wait(&'a RunId),
    /// A try of a step.
    Step {
        /// The run.
        run: &'a RunId,
        /// Which part of the rule.
        phase: Phase,
        /// Which step of it, from 0.
        step: usize,
        /// Which step inside that, where it is an `each`.
        each: Option<&'a EachPlace>,
        /// Which try, from 1.
        attempt: u32,
    },
    /// A write-back.
    WriteBack(&'a WriteBackId),
}

/// How many values the part of a trace's id has that W3C calls random, its last 7 bytes. By it events are sampled.
const RANDOM_VALUES: u64 = 1 << 56;

impl TraceIds {
    /// For the installation of this name, with a part of events from 0 to 1.
    pub fn new(installation: &str, sample: f64) -> Self {
        let key = blake3::derive_key("stanch 2026 ids of traces", installation.as_bytes());
        let sampled = (sample.clamp(0.0, 1.0) * RANDOM_VALUES as f64) as u64;
        Self { key, sampled }
    }

    /// The trace of an event; `None` where it is not among those that are traced.
    pub fn trace(&self, event: &EventId) -> Option<[u8; 16]> {
        let id: [u8; 16] = self.derive(&[b"trace", event.as_str().as_bytes()]);
        let random = u128::from_be_bytes(id) % u128::from(RANDOM_VALUES);
        (random < u128::from(self.sampled)).then_some(id)
    }

    /// A span.
    pub fn span(&self, of: Place<'_>) -> [u8; 8] {
        match of {
            Place::Event(event) => self.derive(&[b"event", event.as_str().as_bytes()]),
            Place::Decision(event) => self.derive(&[b"decision", event.as_str().as_bytes()]),
            Place::Rerun(run) => self.derive(&[b"rerun", run.as_str().as_bytes()]),
            Place::Run(run) => self.derive(&[b"run", run.as_str().as_bytes()]),
            Place::Wait(run) => self.derive(&[b"wait", run.as_str().as_bytes()]),
            Place::WriteBack(id) => self.derive(&[b"write-back", id.to_string().as_bytes()]),
            Place::Step { run, phase, step, each, attempt } => {
                let (item, inner) = each.map_or(("", 0), |each| (each.item.as_str(), each.step + 1));
                let numbers = [phase as usize, step, inner].map(|number| (number as u64).to_le_bytes());
                let attempt = attempt.to_le_bytes();
                self.derive(&[b"step", run.as_str().as_bytes(), numbers.as_flattened(), item.as_bytes(), &attempt])
            }
        }
    }

    /// The header `traceparent` of W3C for what a span calls; `None` where the event is not traced.
    pub fn traceparent(&self, event: &EventId, of: Place<'_>) -> Option<String> {
        let trace = self.trace(event)?;
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        hex(&mut text, &trace);
        text.push('-');
        hex(&mut text, &self.span(of));
        text.push_str("-01");
        Some(text)
    }

    fn derive<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut id = [0; N];
        hasher.finalize_xof().fill(&mut id);
        // All zeros stands for no id.
        if id == [0; N] { [1; N] } else { id }
    }
}

fn hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing into a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str) -> EventId {
        EventId::new(id)
    }

    #[test]
    fn ids_are_the_same_again_and_differ_by_everything_that_they_are_of() {
        let (here, there) = (TraceIds::new("a", 1.0), TraceIds::new("b", 1.0));
        let (one, two) = (event("e-1"), event("e-2"));
        assert_eq!(here.trace(&one), TraceIds::new("a", 1.0).trace(&one));
        assert_ne!(here.trace(&one), here.trace(&two));
        assert_ne!(here.trace(&one), there.trace(&one));
        let run = RunId::new("e-1");
        let place = EachPlace { item: "db-1".into(), step: 0 };
        let step = |step, each, attempt| Place::Step { run: &run, phase: Phase::Steps, step, each, attempt };
        let spans = [
            Place::Event(&one),
            Place::Decision(&one),
            Place::Rerun(&run),
            Place::Run(&run),
            Place::Wait(&run),
            step(0, None, 1),
            step(0, None, 2),
            step(1, None, 1),
            step(0, Some(&place), 1),
            Place::Step { run: &run, phase: Phase::Verify, step: 0, each: None, attempt: 1 },
        ];
        let distinct: std::collections::BTreeSet<[u8; 8]> = spans.into_iter().map(|of| here.span(of)).collect();
        assert_eq!(distinct.len(), spans.len());
    }

    #[test]
    fn a_part_of_the_events_is_traced_and_those_of_a_smaller_part_are_among_them() {
        let traced = |sample| {
            let ids = TraceIds::new("a", sample);
            (0..2000).filter(|nth| ids.trace(&event(&format!("e-{nth}"))).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(traced(1.0).len(), 2000);
        assert_eq!(traced(0.0).len(), 0);
        let (half, tenth) = (traced(0.5), traced(0.1));
        assert!((900..1100).contains(&half.len()), "{}", half.len());
        assert!((130..270).contains(&tenth.len()), "{}", tenth.len());
        assert!(tenth.iter().all(|nth| half.contains(nth)));
        assert_eq!(TraceIds::new("a", 0.0).traceparent(&event("e-1"), Place::Event(&event("e-1"))), None);
    }

    #[test]
    fn a_traceparent_is_as_w3c_writes_it() {
        let ids = TraceIds::new("a", 1.0);
        let id = event("e-1");
        let text = ids.traceparent(&id, Place::Event(&id)).unwrap();
        let parts: Vec<&str> = text.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{text}");
        assert!(text.starts_with("00-") && text.ends_with("-01"), "{text}");
        assert!(text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    }
}
