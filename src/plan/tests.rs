use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;
use crate::event::{Event, read};
use crate::journal::record::RunId;
use crate::rule::guards::Guards;
use crate::rule::matching::Match;
use crate::rule::sandbox::Sandbox;
use crate::rule::step::{
    Action, DEFAULT_TIMEOUT, HttpBody, HttpSpec, JsonTemplate, ProcessSpec, Retry, RunSpec, ShellSpec, StatusPattern,
    Stdin,
};
use crate::rule::template::{Template, TemplateKind, TemplateNames};
use crate::rule::view::EventView;
use crate::rule::{Dedupe, DedupeFor, LatePolicy, Mode, Place, Reporting, Rule, RuleId};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn event(labels: &Value) -> Event {
    let body = json!({
        "event_id": "e-1", "event_time": 1_700_000_000_000_i64, "event_type": "i_new",
        "incident": {"incident_id": "65f1", "title": "disk full", "incident_severity": "Critical", "labels": labels}
    });
    read(body.to_string().into(), Arc::from("flashduty"), NOW).unwrap()
}

fn text(source: &str) -> Template {
    Template::parse(source, TemplateKind::Text).unwrap()
}

fn process() -> ProcessSpec {
    ProcessSpec {
        env: Vec::new(),
        stdin: Stdin::Event,
        cwd: PathBuf::from("/etc/stanch"),
        user: None,
        exit_codes: vec![0],
        allow_sudo: false,
    }
}

fn run(argv: &[&str]) -> Action {
    Action::Run(RunSpec {
        files: vec![],
        argv: argv.iter().map(|argument| text(argument)).collect(),
        program: PathBuf::from("/etc/stanch/scripts/x.sh"),
        process: process(),
    })
}

fn place() -> Place {
    Place { file: Arc::new(PathBuf::from("rules/x.yaml")), line: 1, column: 1 }
}

fn step(action: Action) -> Step {
    Step {
        name: None,
        timeout: DEFAULT_TIMEOUT,
        retry: None,
        condition: None,
        idempotent: false,
        continue_on_error: false,
        action,
        place: place(),
    }
}

fn rule(target: Option<&str>, steps: Vec<Step>) -> Rule {
    Rule {
        id: RuleId::new("disk-full"),
        description: None,
        owner: None,
        mode: Mode::Auto,
        matching: Match::default(),
        when: None,
        target: target.map(text),
        dedupe: Dedupe { by: Vec::new(), lasts: DedupeFor::Incident },
        late: LatePolicy::Ignore,
        guards: Guards::default(),
        steps: steps.into_iter().map(Arc::new).collect(),
        steps_from: None,
        verify: None,
        on_success: Vec::new(),
        on_failure: Vec::new(),
        report: Reporting::Off,
        place: place(),
    }
}

fn planned(target: Option<&str>, steps: Vec<Step>, labels: &Value) -> Result<Plan, String> {
    let event = event(labels);
    let sandbox = Sandbox::new(&[]).unwrap();
    plan(&rule(target, steps), &sandbox, &EventView::new(&event), NOW).map_err(|error| error.to_string())
}

#[test]
fn a_plan_reads_like_the_rule() {
    let mut clear = step(run(&["./scripts/clear-logs.sh", "--host", "{{ target }}"]));
    clear.name = Some("clear old logs".into());
    clear.timeout = Duration::from_secs(120);
    clear.retry = Some(Retry { attempts: 3, backoff: Duration::from_millis(1_500) });
    clear.idempotent = true;
    let mut shell = step(Action::Shell(ShellSpec {
        script: "echo \"$WHO\"".into(),
        process: ProcessSpec {
            env: vec![("WHO".into(), text("{{ labels.resource | upper }}"))],
            stdin: Stdin::Text(text("t={{ target }}")),
            user: Some("healer".into()),
            exit_codes: vec![0, 3],
            allow_sudo: true,
            ..process()
        },
    }));
    shell.continue_on_error = true;
    let http = step(Action::Http(Box::new(HttpSpec {
        method: "POST".into(),
        url: Template::parse("https://inv.internal/api/{{ target }}#top", TemplateKind::Url).unwrap(),
        authority: "inv.internal:443".into(),
        headers: vec![("X-Host".into(), text("{{ target }}"))],
        query: vec![("a b".into(), text("{{ labels.query }}"))],
        body: HttpBody::Json(JsonTemplate::Object(vec![
            ("host".into(), JsonTemplate::Text(text("{{ target }}"))),
            ("n".into(), JsonTemplate::List(vec![JsonTemplate::Literal(json!(1))])),
        ])),
        expect_status: vec![StatusPattern::Code(200), StatusPattern::Class(3)],
        expect_when: None,
    })));
    let wait = step(Action::Wait(Duration::from_secs(90)));
    let later = step(run(&["./scripts/x.sh", "{{ steps.probe.stdout }}"]));
    let plan = planned(
        Some("{{ labels.resource }}"),
        vec![clear, shell, http, wait, later],
        &json!({"resource": "db-07", "query": "x&y=1"}),
    )
    .unwrap();
    assert!(plan.steps[4].call.is_none());
    assert_eq!(
        plan.to_json(),
        json!({
            "target": "db-07",
            "steps": [
                {
                    "name": "clear old logs", "run": ["./scripts/clear-logs.sh", "--host", "db-07"],
                    "timeout": "2m", "retry": {"attempts": 3, "backoff": "1500ms"}, "idempotent": true,
                    "cwd": "/etc/stanch"
                },
                {
                    "shell": "echo \"$WHO\"", "env": {"WHO": "DB-07"}, "stdin": "t=db-07", "user": "healer",
                    "exit_codes": [0, 3], "allow_sudo": true, "continue_on_error": true, "cwd": "/etc/stanch"
                },
                {"http": {
                    "method": "POST", "url": "https://inv.internal/api/db-07?a%20b=x%26y%3D1#top",
                    "headers": {"X-Host": "db-07"}, "json": {"host": "db-07", "n": [1]},
                    "expect": {"status": [200, "3xx"]}
                }},
                {"wait": "90s"},
                {"run": ["./scripts/x.sh", "{{ steps.probe.stdout }}"], "deferred": true, "cwd": "/etc/stanch"}
            ]
        })
    );
}

#[test]
fn a_step_is_rendered_at_its_turn_with_what_ran_before() {
    let event = event(&json!({}));
    let view = EventView::new(&event);
    let names = [("steps", json!({"probe": {"stdout": "17"}})), ("run", json!({"error": "boom"}))];
    let names = TemplateNames { view: &view, target: Some("t"), now: NOW, names: &names };
    let call = render_step(&step(run(&["x", "{{ steps.probe.stdout }}", "{{ run.error }}"])), &names).unwrap();
    assert_eq!(call.to_json()["run"], json!(["x", "17", "boom"]));
}

#[test]
fn a_target_that_means_everything_or_nothing_is_refused() {
    let target =
        |value: &str| planned(Some("{{ labels.t }}"), Vec::new(), &json!({"t": value})).map(|plan| plan.target);
    assert_eq!(target("db-07"), Ok("db-07".into()));
    assert_eq!(target("allow"), Ok("allow".into()));
    for refused in ["", "  ", "*", " * ", "all", "ALL", " All ", "a\nb", "a\0", "\u{85}x", &"x".repeat(257)] {
        let error = target(refused).unwrap_err();
        assert!(error.starts_with("target: "), "{refused:?}: {error}");
    }
    assert_eq!(target(&"x".repeat(256)).map(|target| target.len()), Ok(256));
    let missing = planned(Some("{{ labels.nope }}"), Vec::new(), &json!({})).unwrap_err();
    assert!(missing.contains("`labels.nope` is not there"), "{missing}");
}

#[test]
fn without_a_target_the_incident_is_acted_upon_or_else_the_alert() {
    assert_eq!(planned(None, Vec::new(), &json!({})).unwrap().target, "incident:65f1");
    let alert = |body: Value| {
        let event = read(body.to_string().into(), Arc::from("flashduty"), NOW).unwrap();
        target(&rule(None, Vec::new()), &EventView::new(&event), NOW)
    };
    let own = json!({"event_id": "e", "event_type": "a_new", "alert": {"alert_id": "9a"}});
    assert_eq!(alert(own), Ok("alert:9a".into()));
    let of_incident =
        json!({"event_id": "e", "event_type": "a_new", "alert": {"alert_id": "9a", "incident": {"incident_id": "65"}}});
    assert_eq!(alert(of_incident), Ok("incident:65".into()));
}

#[test]
fn what_no_program_can_be_given_is_refused_with_its_place() {
    let labels = json!({"nul": "a\0b", "long": "x".repeat(ARGUMENT_BYTES_MAX), "cr": "a\r\nX-Evil: 1"});
    let mut named = step(run(&["./scripts/x.sh", "ok", "{{ labels.nul }}"]));
    named.name = Some("fix".into());
    let error = planned(None, vec![step(run(&["./scripts/x.sh"])), named], &labels).unwrap_err();
    assert_eq!(error, "steps[1] (fix), run[2]: it holds a NUL, which no program can be given");
    let error = planned(None, vec![step(run(&["./scripts/x.sh", "{{ labels.long }}"]))], &labels).unwrap_err();
    assert!(error.starts_with("steps[0], run[1]: it has 131072 bytes or more"), "{error}");
    let env = ProcessSpec { env: vec![("A".into(), text("{{ labels.nul }}"))], ..process() };
    let shell = Action::Shell(ShellSpec { script: "true".into(), process: env });
    assert!(planned(None, vec![step(shell)], &labels).unwrap_err().starts_with("steps[0], env.A: it holds a NUL"));
    let http = HttpSpec {
        method: "GET".into(),
        url: text("https://h/"),
        authority: "h:443".into(),
        headers: vec![("X-A".into(), text("{{ labels.cr }}"))],
        query: Vec::new(),
        body: HttpBody::Empty,
        expect_status: vec![StatusPattern::Class(2)],
        expect_when: None,
    };
    let error = planned(None, vec![step(Action::Http(Box::new(http)))], &labels).unwrap_err();
    assert_eq!(error, "steps[0], http.headers.X-A: it holds control characters");
}

#[test]
fn the_environment_names_the_event_and_leaves_out_what_is_doubtful() {
    let labels = json!({
        "resource": "db-07", "k8s.io/app": "x;$(id)", "k8s-io.app": "y", "nul": "a\0", "LD_PRELOAD": "/tmp/x",
        "x=y": "z", "long": "x".repeat(ARGUMENT_BYTES_MAX), "n": 5, "list": [1]
    });
    let event = event(&labels);
    let (variables, left_out) =
        environment(&event, "db-07", &RunId::new("r-1"), &RuleId::new("disk-full"), 2, "/home/stanch");
    for (name, value) in [
        ("PATH", PATH),
        ("LANG", "C.UTF-8"),
        ("HOME", "/home/stanch"),
        ("STANCH_RULE", "disk-full"),
        ("STANCH_RUN_ID", "r-1"),
        ("STANCH_EVENT_ID", "e-1"),
        ("STANCH_EVENT_TYPE", "i_new"),
        ("STANCH_EVENT_TIME", "1700000000000"),
        ("STANCH_INCIDENT_ID", "65f1"),
        ("STANCH_ALERT_ID", ""),
        ("STANCH_TITLE", "disk full"),
        ("STANCH_SEVERITY", "Critical"),
        ("STANCH_PROGRESS", ""),
        ("STANCH_CHANNEL_ID", ""),
        ("STANCH_TARGET", "db-07"),
        ("STANCH_ATTEMPT", "2"),
        ("STANCH_LABEL_RESOURCE", "db-07"),
        ("STANCH_LABEL_LD_PRELOAD", "/tmp/x"),
        ("STANCH_LABEL_X_Y", "z"),
        ("STANCH_LABEL_N", "5"),
    ] {
        assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(left_out, ["STANCH_LABEL_K8S_IO_APP", "STANCH_LABEL_LONG", "STANCH_LABEL_NUL"]);
    assert!(
        variables.keys().all(|name| ["PATH", "LANG", "HOME"].contains(&name.as_str()) || name.starts_with("STANCH_"))
    );
}

proptest! {
    #[test]
    fn an_argument_arrives_as_it_is(value in any::<String>().prop_filter("no NUL", |value| !value.contains('\0'))) {
        let steps = vec![step(run(&["./scripts/x.sh", "{{ labels.v }}", "--x={{ labels.v }}"]))];
        let plan = planned(None, steps, &json!({"v": value})).unwrap();
        let Some(Call::Run(call)) = &plan.steps[0].call else { panic!("not rendered") };
        prop_assert_eq!(&call.argv, &["./scripts/x.sh".to_owned(), value.clone(), format!("--x={value}")]);
    }

    #[test]
    fn a_label_never_becomes_another_variable(name in any::<String>(), value in any::<String>()) {
        let event = event(&json!({ name: value }));
        let (variables, left_out) =
            environment(&event, "t", &RunId::new("r"), &RuleId::new("rule"), 1, "/");
        prop_assert_eq!(variables.len() + left_out.len(), 20);
        for (name, value) in &variables {
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'));
            prop_assert!(!value.contains('\0'));
        }
        prop_assert_eq!(variables.get("PATH").map(String::as_str), Some(PATH));
    }
}
