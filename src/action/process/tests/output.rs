//! What is kept of the output.

use super::*;
use crate::journal::record::StepEnd;

const SECRET: &str = "hunter2-hunter2-hunter2";

#[tokio::test]
async fn endless_output_is_bounded_and_blocks_nobody() {
    let mut case = Case::new();
    case.settings.output_bytes = 1000;
    let result = case.shell("yes 0123456789 | head -c 100000000; echo done >&2; echo the end").await;
    assert_eq!(result.end, StepEnd::Succeeded);
    assert_eq!(result.dropped_bytes, 100_000_000 + 8 - 1000);
    assert!(result.stdout.starts_with("0123456789\n"));
    assert!(result.stdout.ends_with("the end\n"));
    assert_eq!(result.stderr, "done\n");
}

#[tokio::test]
async fn broken_text_is_replaced() {
    let result = Case::new().run(&["/usr/bin/printf", "a\\377b\\000c"]).await;
    assert_eq!(result.stdout, "a\u{fffd}b\0c");
}

#[tokio::test]
async fn secrets_are_taken_out_wherever_they_are_cut() {
    let mut case = Case::new();
    case.settings.redactor = Arc::new(Redactor::new([SECRET]).expect("it builds"));
    case.process.env = [("SECRET".into(), SECRET.into())].into();
    // In two writes with another process in between, so that the parts come in two reads.
    let split =
        r#"printf %s "${SECRET%-*}"; /bin/sleep 0.05; printf '%s\n' "-${SECRET##*-}"; printf '%s' "$SECRET" >&2"#;
    let result = case.shell(split).await;
    assert_eq!((&*result.stdout, &*result.stderr), ("***\n", "***"));
    case.settings.output_bytes = 40;
    for padding in 0..60 {
        let script = format!(r#"printf '%{padding}s%s%60s' '' "$SECRET" ''"#);
        let result = case.shell(&script).await;
        assert!(!result.stdout.contains("hunter") && !result.stdout.contains("er2"), "{padding}: {}", result.stdout);
    }
    let result = case.run(&["/bin/echo", SECRET]).await;
    assert_eq!(result.stdout, "***\n");
}

#[tokio::test]
async fn base64_of_a_secret_is_taken_out() {
    let mut case = Case::new();
    case.settings.redactor = Arc::new(Redactor::new([SECRET]).expect("it builds"));
    case.process.stdin = StdinCall::Text(format!("user:{SECRET}\n"));
    let result = case.run(&["/usr/bin/base64"]).await;
    assert!(result.stdout.contains("***"), "{}", result.stdout);
}
