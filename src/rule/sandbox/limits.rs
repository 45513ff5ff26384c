//! The limits of a script, and the guard that holds it to its time.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rhai::{Dynamic, Engine};

use super::error::ScriptError;
use crate::clock::Stopwatch;

/// How long one evaluation may take. A condition costs microseconds; at 50 ms something is wrong with it, and one
/// task decides for all rules.
pub const DEADLINE: Duration = Duration::from_millis(50);
/// How many operations one evaluation may take. Bounds what a script does where the machine is fast.
pub const OPERATIONS_MAX: u64 = 200_000;
/// How deep calls may nest. Each level takes several KiB of the native stack, and worker threads have 2 MiB.
pub const CALL_LEVELS_MAX: usize = 16;
/// How deep expressions and blocks may nest, for the same reason.
pub const EXPRESSION_DEPTH_MAX: usize = 48;
/// The longest text in bytes, also in sum over the texts of one array or map. Above the default limit of a body
/// (256 KiB), so that a whole event fits.
pub const TEXT_BYTES_MAX: usize = 512 * 1024;
/// The most items of an array, nested ones counted.
pub const ARRAY_ITEMS_MAX: usize = 10_000;
/// The most entries of a map, nested ones counted. An event of a few hundred alerts fits.
pub const MAP_ENTRIES_MAX: usize = 20_000;
/// The most variables at a time, those of the event included.
pub const VARIABLES_MAX: usize = 64;
/// The most functions that one script defines, closures included.
pub const FUNCTIONS_MAX: usize = 200;
/// The most script modules.
pub const MODULES_MAX: usize = 256;
/// The longest script in bytes.
pub const SOURCE_BYTES_MAX: usize = 64 * 1024;
/// How many operations pass between two looks at the stopwatch, which costs as much as an operation.
const OPERATIONS_A_LOOK: u64 = 16;

thread_local! {
    /// What runs on this thread: since when, and the time that the script sees.
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
    /// Why the script on this thread has failed although Rhai carried on.
    static FAULT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Turn {
    since: Stopwatch,
    now_secs: i64,
}

/// Ends the turn even where the script panics.
struct EndOfTurn(Option<Turn>);

impl Drop for EndOfTurn {
    fn drop(&mut self) {
        TURN.set(self.0);
    }
}

/// Does `work` within [`DEADLINE`]; a panic in it becomes an error. The functions that need the time see
/// `now_secs`.
pub(super) fn bounded<T>(now_secs: i64, work: impl FnOnce() -> T) -> Result<T, ScriptError> {
    let _end = EndOfTurn(TURN.replace(Some(Turn { since: Stopwatch::start(), now_secs })));
    FAULT.set(None);
    let result = catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        ScriptError::new("the script engine failed inside: this is a defect of Stanch, please report the script")
    })?;
    match FAULT.take() {
        Some(fault) => Err(ScriptError::new(fault)),
        None => Ok(result),
    }
}

/// Fails the script that runs on this thread, where Rhai would ignore an error: it does so while it writes a value
/// into `${…}`.
pub(super) fn fail(fault: &'static str) {
    FAULT.set(Some(fault));
}

/// Whether the script that runs on this thread has used up its time.
pub(super) fn is_over() -> bool {
    TURN.get().is_some_and(|turn| turn.since.elapsed() >= DEADLINE)
}

/// The time that the script on this thread sees, in Unix seconds.
pub(super) fn now_secs() -> Option<i64> {
    TURN.get().map(|turn| turn.now_secs)
}

/// Sets all limits.
pub(super) fn set(engine: &mut Engine) {
    engine
        .set_max_operations(OPERATIONS_MAX)
        .set_max_call_levels(CALL_LEVELS_MAX)
        .set_max_expr_depths(EXPRESSION_DEPTH_MAX, EXPRESSION_DEPTH_MAX)
        .set_max_string_size(TEXT_BYTES_MAX)
        .set_max_array_size(ARRAY_ITEMS_MAX)
        .set_max_map_size(MAP_ENTRIES_MAX)
        .set_max_variables(VARIABLES_MAX)
        .set_max_functions(FUNCTIONS_MAX)
        // Counts `import`, which does not exist here; registered modules are not counted.
        .set_max_modules(0);
    engine.on_progress(|operations| (operations % OPERATIONS_A_LOOK == 0 && is_over()).then_some(Dynamic::UNIT));
}
