//! What commands print: results on standard output, everything else on standard error.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use serde::Serialize;

use super::Exit;
use crate::config::Config;
use crate::engine::redactor_as_far_as_readable;
use crate::report::redact::Redactor;
use crate::report::{printable, printable_json};

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum OutputFormat {
    /// For people.
    #[default]
    Human,
    /// For machines.
    Json,
}

/// The secrets that no command prints: those of the config that it has read, as far as it may read them.
static SECRETS: OnceLock<Redactor> = OnceLock::new();

/// Keeps the secrets that a config names out of all that this process prints from now on. Whoever may not read them
/// cannot be kept from reading what holds them.
pub(super) fn hide_secrets_of(config: &Config) {
    SECRETS.get_or_init(|| redactor_as_far_as_readable(config));
}

fn without_secrets(text: &str) -> Cow<'_, str> {
    SECRETS.get().map_or(Cow::Borrowed(text), |redactor| redactor.redact(text))
}

/// Prints a line of a result. `line` may hold styles, but no text that came from outside and was not made printable.
pub(super) fn say(line: &str) {
    say_secret(&without_secrets(line));
}

/// Prints a line in which a secret stands because somebody asked for it.
pub(super) fn say_secret(line: &str) {
    // A reader that went away, as `head` does, is no reason to fail.
    writeln!(anstream::stdout(), "{line}").ok();
}

/// Prints a note or an error for the person at the terminal.
pub(super) fn note(line: &str) {
    anstream::eprintln!("{}", without_secrets(line));
}

/// Says why a command failed.
pub(super) fn complain(message: &str) {
    let (style, reset) = (anstyle::AnsiColor::Red.on_default().bold(), anstyle::Reset);
    anstream::eprintln!("{style}error{reset}: {}", without_secrets(message));
}

/// Prints a value as JSON.
pub(super) fn json<T: Serialize>(value: &T) {
    print_json(serde_json::to_string_pretty(value));
}

/// Prints an answer in the format that is wanted; `show` prints it for people.
pub(super) fn answered<T: Serialize>(answer: Result<T, Exit>, format: OutputFormat, show: impl FnOnce(&T)) -> Exit {
    match answer {
        Err(exit) => return exit,
        Ok(answer) => match format {
            OutputFormat::Json => json(&answer),
            OutputFormat::Human => show(&answer),
        },
    }
    Exit::Done
}

/// Prints a value as one line of JSON.
pub(super) fn json_line<T: Serialize>(value: &T) {
    print_json(serde_json::to_string(value));
}

fn print_json(text: Result<String, serde_json::Error>) {
    match text {
        Ok(text) => say(&printable_json(&text)),
        Err(error) => complain(&format!("the result cannot be written as JSON: {error}")),
    }
}

/// Whether standard error is a terminal that wants colour.
pub(super) fn wants_colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text from outside, cut to `width` characters and without anything a terminal would act on.
pub(super) fn cell(text: &str, width: usize) -> String {
    let text = printable(text);
    match text.char_indices().nth(width) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// Prints rows in columns; `head` names them.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = head.iter().map(|name| name.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| {
            let missing = width - cell.chars().count().min(*width);
            format!("{cell}{}", " ".repeat(missing))
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let (style, reset) = (anstyle::Style::new().bold(), anstyle::Reset);
    say(&format!("{style}{}{reset}", line(&head)));
    for row in rows {
        say(&line(row));
    }
}

/// Prints a result as the format asks.
pub(super) fn show<T: serde::Serialize>(format: OutputFormat, value: &T, human: impl FnOnce(&T)) {
    match format {
        OutputFormat::Json => json(value),
        OutputFormat::Human => human(value),
    }
}
