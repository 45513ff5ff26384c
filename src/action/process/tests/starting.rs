//! What a program is started with, and what happens when it cannot be.

use super::*;
use crate::journal::record::StepEnd;

#[tokio::test]
async fn arguments_arrive_byte_for_byte() {
    let hostile = ["", " ", "a b", "$(id)", "`id`", "'\"\\", "{{ x }}", "\n\t\u{1b}[31m", "-rf", "*", "ü🦀", "a;b|c&d"];
    let mut argv = vec!["/usr/bin/printf", "%s\\0"];
    argv.extend(hostile);
    let result = Case::new().run(&argv).await;
    assert_eq!(result.end, StepEnd::Succeeded, "{result:?}");
    assert_eq!(result.stdout.split_terminator('\0').collect::<Vec<_>>(), hostile);
}

#[tokio::test]
async fn the_environment_is_what_is_given_and_nothing_else() {
    let mut case = Case::new();
    case.environment = [("STANCH_TITLE".into(), "a\nb".into()), ("X".into(), "base".into())].into();
    case.process.env = [("X".into(), "declared".into()), (RUN_MARK.into(), "forged".into())].into();
    let result = case.run(&["/usr/bin/env", "-0"]).await;
    let mut seen: Vec<_> = result.stdout.split_terminator('\0').collect();
    seen.sort_unstable();
    assert_eq!(seen, [&format!("{RUN_MARK}={}", case.run), "STANCH_TITLE=a\nb", "X=declared"]);
}

#[tokio::test]
async fn only_the_standard_descriptors_reach_the_program() {
    // What whoever started this test left open; `serve` closes it first of all.
    let own: Vec<String> = super::super::inherited::open_for_programs().iter().map(i32::to_string).collect();
    let result = Case::new().shell("for fd in /proc/$$/fd/*; do if [ -e $fd ]; then echo ${fd##*/}; fi; done").await;
    let extra: Vec<_> = result.stdout.lines().filter(|fd| !own.contains(&(*fd).to_owned())).collect();
    assert_eq!(extra, ["0", "1", "2"], "{result:?}");
}

#[tokio::test]
async fn a_program_can_gain_privileges_only_where_the_step_allows_it() {
    let mut case = Case::new();
    let probe = ["/bin/grep", "NoNewPrivs", "/proc/self/status"];
    assert_eq!(case.run(&probe).await.stdout.trim_end(), "NoNewPrivs:\t1");
    case.process.allow_sudo = true;
    assert_eq!(case.run(&probe).await.stdout.trim_end(), "NoNewPrivs:\t0");
}

#[tokio::test]
async fn a_program_gets_its_own_group_and_the_declared_folder() {
    let case = Case::new();
    let result = case.shell("pwd -P; cut -d' ' -f1,5 /proc/$$/stat; echo $$").await;
    let lines: Vec<_> = result.stdout.lines().collect();
    let folder = case.folder.path().canonicalize().expect("it is there");
    assert_eq!(Path::new(lines[0]), folder);
    assert_eq!(lines[1], format!("{} {}", lines[2], lines[2]));
}

#[tokio::test]
async fn what_cannot_be_started_is_a_failure_that_says_why() {
    let case = Case::new();
    let too_long = "x".repeat(200 * 1024);
    for (argv, reason) in [
        (&["/no/such/program"][..], "No such file"),
        (&["/etc/passwd"], "Permission denied"),
        (&["/bin/echo", "a\0b"], "nul byte"),
        (&["/bin/echo", &too_long], "Argument list too long"),
        (&["echo"], "not absolute"),
        (&[], "argument list is empty"),
    ] {
        let result = case.run(argv).await;
        let error = result.error.expect("it says why");
        assert_eq!(result.end, StepEnd::Failed);
        assert!(error.contains(reason), "{error}");
        assert!(error.contains("cannot start"), "{error}");
    }
}

#[tokio::test]
async fn a_variable_that_cannot_be_given_is_a_failure() {
    for (name, value) in [("A=B", "x"), ("", "x"), ("A", "x\0y"), ("A\0B", "x"), ("A", &*"x".repeat(200 * 1024))] {
        let mut case = Case::new();
        case.process.env = [(name.to_owned(), value.to_owned())].into();
        let result = case.run(&["/bin/true"]).await;
        assert_eq!(result.end, StepEnd::Failed, "{name:?}");
        assert!(result.error.is_some_and(|error| error.contains("cannot start /bin/true")));
    }
}

#[tokio::test]
async fn a_missing_folder_is_a_failure() {
    let mut case = Case::new();
    case.process.cwd = "/no/such/folder".into();
    assert_eq!(case.run(&["/bin/true"]).await.end, StepEnd::Failed);
    case.process.cwd = "relative".into();
    assert!(case.run(&["/bin/true"]).await.error.is_some_and(|error| error.contains("cwd relative is not absolute")));
}

#[tokio::test]
async fn a_user_is_changed_to_by_our_own_binary() {
    let mut case = Case::new();
    case.process.user = Some("nobody".into());
    case.settings.own_program = "/bin/echo".into();
    let result = case.run(&["/usr/bin/id", "-un"]).await;
    assert_eq!(result.stdout, "__exec --user nobody --set-home -- /usr/bin/id -un\n");
}

#[tokio::test]
async fn standard_input_is_the_event_a_text_or_nothing() {
    let mut case = Case::new();
    assert_eq!(case.run(&["/bin/cat"]).await.stdout, "");
    case.process.stdin = StdinCall::Text("text\n".into());
    assert_eq!(case.run(&["/bin/cat"]).await.stdout, "text\n");
    case.process.stdin = StdinCall::Event;
    case.event_body = Bytes::from_static(b"{\"a\": 1}\xff");
    assert_eq!(case.run(&["/usr/bin/od", "-An", "-c"]).await.stdout.split_whitespace().last(), Some("377"));
}

#[tokio::test]
async fn a_large_event_blocks_nobody() {
    let mut case = Case::new();
    case.process.stdin = StdinCall::Event;
    case.event_body = Bytes::from(vec![b'x'; 10 * 1024 * 1024]);
    assert_eq!(case.run(&["/bin/true"]).await.end, StepEnd::Succeeded);
    let echoed = case.run(&["/bin/cat"]).await;
    assert_eq!(echoed.stdout.len() as u64, 64 * 1024 + echoed.stdout.matches("[…").count() as u64 * marker(&echoed));
    assert_eq!(echoed.dropped_bytes, 10 * 1024 * 1024 - 64 * 1024);
}

/// The length of what stands where the middle was left out.
fn marker(result: &StepResult) -> u64 {
    format!("\n[… {} bytes left out …]\n", result.dropped_bytes).len() as u64
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    let mut case = Case::new();
    let result = case.shell("exit 3").await;
    assert_eq!((result.end, result.exit_code, result.signal), (StepEnd::Failed, Some(3), None));
    assert!(result.error.is_some_and(|error| error.contains("exited with code 3")));
    case.process.exit_codes = vec![0, 3];
    assert_eq!(case.shell("exit 3").await.end, StepEnd::Succeeded);
    let result = case.shell("kill -9 $$").await;
    assert_eq!((result.end, result.exit_code, result.signal), (StepEnd::Failed, None, Some(9)));
}

#[tokio::test]
async fn a_script_ends_at_its_first_failure_and_may_begin_with_a_dash() {
    let case = Case::new();
    assert_eq!(case.shell("false; echo on").await.stdout, "");
    assert_eq!(case.shell("echo $UNSET_VARIABLE").await.end, StepEnd::Failed);
    let result = case.shell("-x 2>/dev/null || echo ran").await;
    assert_eq!(result.stdout, "ran\n");
}

#[tokio::test]
async fn signals_have_their_default_meaning() {
    let result = Case::new().shell("yes | head -n 1").await;
    assert_eq!((result.end, &*result.stdout, &*result.stderr), (StepEnd::Succeeded, "y\n", ""));
}
