//! `stanch init`.
use super::Exit;
use clap::Args;
/// Init.
#[derive(Debug, Args)]
pub(super) struct Init {}
impl Init {
    pub(super) fn run(self) -> Exit {
        Exit::Internal
    }
}
