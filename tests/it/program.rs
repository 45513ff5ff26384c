//! Running the real program, as a person does.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The program with a clean environment: what the machine of the tests sets must not matter.
#[expect(clippy::disallowed_methods, reason = "these tests are the person who starts the program")]
pub(crate) fn stanch(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stanch"));
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(folder).stdin(Stdio::null());
    command
}

/// Another program.
#[expect(clippy::disallowed_methods, reason = "scripts are tried as a person would run them")]
pub(crate) fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command
}

/// Standard output and standard error in one text, for messages of assertions.
pub(crate) fn both(output: &Output) -> String {
    format!("{}\n{}", stdout(output), stderr(output))
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A child that does not outlive its test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Sends the signal of Ctrl-C and waits for the end.
    pub(crate) fn interrupt(mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone where the test went well.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
