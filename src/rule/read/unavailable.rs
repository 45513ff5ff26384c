//! Parts of the language that this version does not have. Each is refused, since a rule that is run without a part
//! of it is another rule than the one written. Enabling one means removing its line here.

use std::ops::Range;

use super::Reader;
use crate::rule::diagnostic::codes;
use crate::rule::yaml::fields::Fields;

/// Kinds of step that are refused.
const STEP_KINDS: &[&str] = &["flashduty"];

/// Asks for the keys of steps that are not available, and refuses those that are written. Whether any was.
pub(super) fn steps(reader: &Reader<'_>, fields: &Fields<'_>) -> usize {
    let mut written = 0;
    for kind in STEP_KINDS {
        if let Some((key, _)) = fields.entry(kind) {
            refuse(reader, key.span.clone(), &format!("the step `{kind}`"));
            written += 1;
        }
    }
    written
}

/// Refuses the guard `recheck`.
pub(super) fn recheck(reader: &Reader<'_>, fields: &Fields<'_>) {
    if let Some((key, _)) = fields.entry("recheck") {
        refuse(reader, key.span.clone(), "the guard `recheck`");
    }
}

fn refuse(reader: &Reader<'_>, span: Range<usize>, what: &str) {
    let message = format!("{what} is not available in this version; the rule is refused rather than run without it");
    reader.doc.error(codes::NOT_AVAILABLE, span, message);
}
