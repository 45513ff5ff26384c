//! `stanch demo`.
use super::Exit;
use clap::Args;
/// Demo.
#[derive(Debug, Args)]
pub(super) struct Demo {}
impl Demo {
    pub(super) fn run(self) -> Exit {
        Exit::Internal
    }
}
