//! Log lines: human on a terminal, JSON otherwise, on standard error; secrets replaced wherever they occur.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::redact::Redactor;
use crate::config::{Log, LogFormat};

/// The redactor that every line passes, exchangeable when secrets are changed at a reload.
pub type SharedRedactor = Arc<ArcSwap<Redactor>>;

/// Sets up logging for the process. Returns an error if that was done before.
pub fn init(log: &Log, redactor: SharedRedactor) -> Result<(), String> {
    let filter = EnvFilter::try_new(&log.level)
        .map_err(|error| format!("cannot set the log level to {:?}: {error}", log.level))?;
    let is_human = match log.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(Redacting { redactor, is_journal: is_journal() });
    let done = if is_human {
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        builder.with_ansi(colour).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    done.map_err(|error| format!("cannot set up logging: {error}"))
}

/// Makes a writer for each line.
struct Redacting {
    redactor: SharedRedactor,
    /// Whether journald reads what is written, and takes the level of a line from its beginning.
    is_journal: bool,
}

/// Whether standard error is the connection to journald that systemd made, as `JOURNAL_STREAM` names it.
fn is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    // A variable that was passed on to where standard error is another one says nothing.
    rustix::fs::fstat(io::stderr()).is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// The level as syslog counts it, in the form that journald takes off the line again.
fn priority(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        Level::DEBUG | Level::TRACE => b"<7>",
    }
}

/// One line, written as a whole when it is complete.
struct Line {
    redactor: SharedRedactor,
    text: Vec<u8>,
}

impl<'w> MakeWriter<'w> for Redacting {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line { redactor: Arc::clone(&self.redactor), text: Vec::with_capacity(256) }
    }

    fn make_writer_for(&'w self, about: &Metadata<'_>) -> Line {
        let mut line = self.make_writer();
        if self.is_journal {
            line.text.extend_from_slice(priority(*about.level()));
        }
        line
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let redactor = self.redactor.load();
        // A log that cannot be written must not stop the engine.
        io::stderr().lock().write_all(&redactor.redact_bytes(&self.text)).ok();
    }
}
