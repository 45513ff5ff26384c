//! What the API shows: built from the journal's records, the same for the command line and for machines.

mod change;
mod event;
mod run;
mod status;
mod story;
mod write_back;

pub use change::Change;
pub use event::{DecisionView, EventView, RuleDecisionView};
pub use run::RunView;
pub use status::{PauseView, RefusedReloadView, StatusView};
pub use story::{NowView, RunStory, SaidView, StepView};
pub use write_back::WriteBackView;
