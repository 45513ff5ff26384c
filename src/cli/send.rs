//! `stanch send`.
use super::Exit;
use clap::Args;
use std::path::Path;
/// Send.
#[derive(Debug, Args)]
pub(super) struct Send {}
impl Send {
    pub(super) fn run(self, _config: &Path) -> Exit {
        Exit::Internal
    }
}
