//! Log lines: human on a terminal, JSON otherwise, on standard error; secrets replaced wherever they occur.

mod sink;

use std::io::{self, IsTerminal, Stderr, Write};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::printable;
use super::redact::Redactor;
use crate::config::{Log, LogFormat};
use sink::{Sink, Writing};

/// The redactor that every line passes, exchangeable when secrets are changed at a reload.
pub type SharedRedactor = Arc<ArcSwap<Redactor>>;

/// Logging of this process. To be dropped last: then what was logged is written.
#[derive(Debug)]
pub struct Logging {
    _writing: Writing<Stderr>,
}

/// Sets up logging for the process.
///
/// # Errors
/// When that was done before, the level is none, or no thread can be started.
pub fn init(log: &Log, redactor: SharedRedactor) -> Result<Logging, String> {
    let filter = EnvFilter::try_new(&log.level)
        .map_err(|error| format!("cannot set the log level to {:?}: {error}", log.level))?;
    let is_human = match log.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => io::stderr().is_terminal(),
    };
    let (sink, writing) = Sink::start(io::stderr()).map_err(|error| format!("cannot set up logging: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(Redacting {
        redactor,
        sink,
        is_journal: is_journal(),
    });
    let done = if is_human {
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        builder.with_ansi(colour).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    done.map_err(|error| format!("cannot set up logging: {error}"))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(Logging { _writing: writing })
}

/// Says a panic as one line of the log, like all else: its message can hold text of events, which must neither steer a
/// terminal nor tell a secret.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(message = %printable(message), place, "a panic, which is a defect of Stanch: please report it");
}

/// Makes a writer for each line.
struct Redacting {
    redactor: SharedRedactor,
    sink: Arc<Sink<Stderr>>,
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

/// One line, which goes to the sink as a whole when it is complete.
struct Line<'w> {
    to: &'w Redacting,
    is_urgent: bool,
    text: Vec<u8>,
}

impl<'w> MakeWriter<'w> for Redacting {
    type Writer = Line<'w>;

    fn make_writer(&'w self) -> Line<'w> {
        self.line(true)
    }

    fn make_writer_for(&'w self, metadata: &Metadata<'_>) -> Line<'w> {
        let mut line = self.line(*metadata.level() <= Level::WARN);
        if self.is_journal {
            line.text.extend_from_slice(priority(*metadata.level()));
        }
        line
    }
}

impl Redacting {
    fn line(&self, is_urgent: bool) -> Line<'_> {
        Line { to: self, is_urgent, text: Vec::with_capacity(256) }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let redactor = self.to.redactor.load();
        self.to.sink.take(&redactor.redact_bytes(&self.text), self.is_urgent);
    }
}
