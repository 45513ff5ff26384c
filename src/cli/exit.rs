//! Exit codes, named in one place.

use std::process::ExitCode;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done,
    /// The answer is no: a test failed, rules are invalid, there is no such run.
    No,
    /// The command line is wrong.
    Usage,
    /// The config is invalid.
    Config,
    /// The daemon cannot be reached.
    Unreachable,
    /// The journal cannot be opened, or is damaged.
    Journal,
    /// Something that should not happen.
    Internal,
}

/// Every exit code with its meaning, as the documentation lists them.
pub const EXIT_CODES: &[(Exit, u8, &str)] = &[
    (Exit::Done, 0, "done"),
    (Exit::No, 1, "the answer is no: rules are invalid, a test failed, there is no such run"),
    (Exit::Usage, 2, "the command line is wrong"),
    (Exit::Config, 3, "the config is invalid"),
    (Exit::Unreachable, 4, "the daemon cannot be reached"),
    (Exit::Journal, 5, "the journal cannot be opened, or is damaged"),
    (Exit::Internal, 70, "an internal error"),
];

impl Exit {
    /// The code that the shell sees.
    pub fn code(self) -> u8 {
        EXIT_CODES.iter().find(|(exit, ..)| *exit == self).map_or(70, |(_, code, _)| *code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
