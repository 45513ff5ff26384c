//! What can happen to the engine, drawn at random.

use proptest::prelude::*;

use crate::journal::record::RunEnd;

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    Event {
        kind: &'static str,
        incident: u8,
        host: u8,
        /// The event's time, relative to the clock.
        skew_s: i64,
    },
    End {
        which: usize,
        end: RunEnd,
    },
    Approve {
        which: usize,
    },
    Pass {
        seconds: u64,
    },
    Pause {
        seconds: Option<u64>,
    },
    Resume,
    /// A crash and a start; the machine's clock was set back by so much meanwhile.
    Restart {
        back_s: u64,
    },
    Prune,
}

const ENDS: &[RunEnd] = &[RunEnd::Succeeded, RunEnd::Failed, RunEnd::TimedOut, RunEnd::Unverified];

pub(super) fn happening() -> impl Strategy<Value = Happening> {
    let kinds = ["i_new", "i_new", "i_new", "i_reopen", "i_ack", "i_rslv", "i_assign", "i_storm"];
    let skew = prop_oneof![6 => Just(0), 2 => -400..0_i64, 1 => 0..400_i64, 1 => Just(86_400 * 365), 1 => Just(-2_000_000_000)];
    let event = (prop::sample::select(kinds.to_vec()), 0..6_u8, 0..5_u8, skew);
    prop_oneof![
        16 => event.prop_map(|(kind, incident, host, skew_s)| Happening::Event { kind, incident, host, skew_s }),
        8 => (0..64_usize, prop::sample::select(ENDS)).prop_map(|(which, end)| Happening::End { which, end }),
        2 => (0..64_usize).prop_map(|which| Happening::Approve { which }),
        8 => prop_oneof![4 => 0..30_u64, 4 => 0..1_000_u64, 1 => Just(86_400), 1 => Just(40 * 86_400)]
            .prop_map(|seconds| Happening::Pass { seconds }),
        1 => prop::option::of(0..600_u64).prop_map(|seconds| Happening::Pause { seconds }),
        2 => Just(Happening::Resume),
        1 => prop_oneof![Just(0), 0..100_000_u64].prop_map(|back_s| Happening::Restart { back_s }),
        1 => Just(Happening::Prune),
    ]
}
