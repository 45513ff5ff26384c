//! What is sent to the far side: POSIX shell text.

use std::fmt::Write as _;
use std::time::Duration;

use crate::action::Attempt;
use crate::action::process::RUN_MARK;
use crate::plan::{RemoteCall, SshCall, StdinCall};

/// How long the far side gets beyond the near limit before it ends by itself, where it could not be told.
const FAR_MARGIN: Duration = Duration::from_secs(5);

/// `text` as one word of a POSIX shell, whatever it holds. (A NUL no shell can hold; it is refused before.)
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The command line for the far login shell: reads that many bytes of shell text and does what they say. It means the
/// same in every shell that may be somebody's login shell, and holds nothing of the event.
pub(super) fn bootstrap(bytes: usize) -> String {
    format!("exec sh -c 'eval \"$(head -c {bytes})\"'")
}

/// The text itself.
///
/// - All of it stands in braces, so that of a text that was cut off nothing is done.
/// - The step runs beside two watches: one ends it when standard input ends, which is when the near side is gone or
///   wants it gone; one ends it some time after its limit, for the case that the network is gone.
/// - `sshd` makes each session a process group, so `kill 0` is for all of the step that has not left it.
pub(super) fn script(call: &SshCall, attempt: &Attempt<'_>, limit: Duration) -> String {
    let seconds = (limit + FAR_MARGIN).as_secs() + 1;
    let program = match &call.command {
        RemoteCall::Run(argv) => argv.iter().map(|argument| quote(argument)).collect::<Vec<_>>().join(" "),
        RemoteCall::Shell(text) => format!("sh -euc {}", quote(text)),
    };
    let mut exports = String::new();
    let ours = attempt.environment.iter().filter(|(name, _)| name.starts_with("STANCH_") && *name != RUN_MARK);
    let variables = ours.chain(&call.env).map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in variables.chain([(RUN_MARK, attempt.run.as_str())]) {
        // A string takes every write.
        let _infallible = writeln!(exports, "export {name}={}", quote(value));
    }
    let (feed, from) = match &call.stdin {
        StdinCall::Event => (feed(&String::from_utf8_lossy(attempt.event_body)), ""),
        StdinCall::Text(text) => (feed(text), ""),
        StdinCall::None => (String::new(), " </dev/null"),
    };
    format!(
        "{{
exec 3<&0 </dev/null
(
trap '' TERM
exec >/dev/null 2>&1
while IFS= read -r stanch_line <&3; do :; done
kill -s TERM 0
sleep 1
kill -s KILL 0
) &
stanch_watch=$!
(
exec 3<&- >/dev/null 2>&1
sleep {seconds}
trap '' TERM
kill -s TERM 0
sleep 1
kill -s KILL 0
) &
exec 3<&-
{feed}(
{exports}exec {program}
){from}
stanch_status=$?
exec >/dev/null 2>&1
trap '' TERM
kill -s KILL \"$stanch_watch\"
kill -s TERM 0
exit \"$stanch_status\"
}}"
    )
}

/// Text on the standard input of what follows. `printf` is part of the shell, so no argument becomes too long.
fn feed(text: &str) -> String {
    format!("printf %s {} 2>/dev/null | ", quote(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a real shell makes of quoted words.
    #[expect(clippy::disallowed_methods, reason = "the quoting is for shells, so one has to say whether it holds")]
    fn words_in_a_shell(words: &[String]) -> Vec<u8> {
        let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
        let script = format!("for word in {}; do printf '%s\\0' \"$word\"; done", quoted.join(" "));
        let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output().expect("a shell");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn quoted_words_arrive_byte_for_byte(words in proptest::collection::vec("[^\0]{0,40}", 1..8)) {
            let expected: Vec<u8> = words.iter().flat_map(|word| word.bytes().chain([0])).collect();
            prop_assert_eq!(words_in_a_shell(&words), expected);
        }
    }

    #[test]
    fn words_that_mean_something_to_shells_arrive_as_they_are() {
        let words: Vec<String> =
            ["", "'", "''", "\\", "\\'", "$(id)", "`id`", "a\nb", "!x", "~", "*", "-n", "\u{1b}[0m"]
                .map(str::to_owned)
                .to_vec();
        let expected: Vec<u8> = words.iter().flat_map(|word| word.bytes().chain([0])).collect();
        assert_eq!(words_in_a_shell(&words), expected);
    }
}
