//! Traces, with a collector that takes OTLP over HTTP: one trace for each event, over restarts, and no harm where the
//! collector is not there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use serde_json::json;

use crate::flashduty::{APP_KEY, Vendor};
use crate::support::{Daemon, Folder, admin, incident, marking_rule, wait_for, with};

/// What each request to the collector has to carry.
const KEY: &str = "the-key-of-the-collector-0123456789";

#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    services: Vec<String>,
    keys: Vec<String>,
}

/// A collector on a port of its own; its thread ends with the process.
struct Collector {
    addr: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Taken::default()));
        let mine = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let (mut length, mut key) = (0, String::new());
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    let (name, value) = line.trim().split_once(": ").unwrap_or_default();
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.parse().unwrap(),
                        "x-api-key" => key = value.to_owned(),
                        _ => {}
                    }
                }
                let mut body = vec![0; length];
                if length == 0 || reader.read_exact(&mut body).is_err() {
                    continue;
                }
                let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
                let mut taken = mine.lock().unwrap();
                taken.keys.push(key);
                for of in request.resource_spans {
                    taken.services.extend(of.resource.map(|resource| text(&resource.attributes, "service.name")));
                    taken.spans.extend(of.scope_spans.into_iter().flat_map(|scope| scope.spans));
                }
                drop(taken);
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                reader.into_inner().write_all(answer.as_bytes()).ok();
            }
        });
        Self { addr, taken }
    }

    fn config(&self, more: &str) -> String {
        format!(
            "traces: {{ endpoint: \"http://{}/v1/traces\", headers: {{ X-Api-Key: {{ file: secrets/otlp }} }}{more} }}\n",
            self.addr
        )
    }

    /// The first span with this name, once it came.
    fn span(&self, name: &str) -> Span {
        wait_for(&format!("the span {name}"), || {
            let taken = self.taken.lock().unwrap();
            let names = || taken.spans.iter().map(|span| span.name.clone()).collect::<Vec<_>>();
            taken.spans.iter().find(|span| span.name == name).cloned().ok_or_else(|| format!("{:?}", names()))
        })
    }
}

fn text(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|found| found.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => number.to_string(),
        Some(Any::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    }
}

fn code(span: &Span) -> StatusCode {
    span.status.as_ref().map_or(StatusCode::Unset, |status| StatusCode::try_from(status.code).unwrap())
}

const RULES: &str = r#"rules:
  - id: heal
    match: { events: [i_new], channels: ["*"] }
    target: "{{ labels.resource }}"
    steps:
      - { name: look, shell: "echo $TRACEPARENT > traceparent" }
      - { name: mend, shell: "echo no >&2; exit 3" }
    on_failure: [ { flashduty: { comment: "Could not heal {{ target }}." } } ]
  - id: paused
    match: { events: [i_new], channels: ["*"] }
    target: other
    guards: { unless_acked: true }
    steps: [ { run: [/bin/true] } ]
"#;

fn folder(rules: &str, config: &str) -> Folder {
    let folder = Folder::with_rules(rules);
    folder.write("secrets/otlp", KEY, 0o600);
    folder.write("secrets/app-key", APP_KEY, 0o600);
    folder.config(config)
}

fn metrics(daemon: &Daemon) -> String {
    admin(&daemon.folder.path("data/stanch.sock"), "GET", "/metrics", "").unwrap().1
}

#[test]
fn an_event_is_one_trace_from_its_push_to_its_write_back_over_a_restart() {
    let (collector, vendor) = (Collector::start(), Vendor::start());
    vendor.open("inc-1");
    let flashduty = |api: &str| {
        format!(
            "flashduty: {{ api: \"{api}\", app_key: {{ file: secrets/app-key }}, report: false, catch_up: false }}\n"
        )
    };
    // Nobody listens there, so what is to be written back waits.
    let away = flashduty("http://127.0.0.1:9") + collector.config("").as_str();
    let daemon = folder(RULES, &away).start();
    let push = with(incident("e-1", "inc-1"), &[("/incident/progress", json!("Processing"))]);
    daemon.accept(&push);

    let root = collector.span("event i_new");
    let (decide, run) = (collector.span("decide"), collector.span("run heal"));
    let (look, mend) = (collector.span("step look"), collector.span("step mend"));
    let note = daemon.folder.read("traceparent");
    let folder = daemon.stop();
    let there = flashduty(&vendor.fake.url()) + collector.config("").as_str();
    let daemon = folder.config(&there).start();
    vendor.wait_for_calls("/incident/comment", 1);
    let back = collector.span("write back comment");
    daemon.stop();

    for span in [&decide, &run, &look, &mend, &back] {
        assert_eq!(span.trace_id, root.trace_id, "{}", span.name);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{}", span.name);
    }
    assert_eq!(root.parent_span_id, [0; 0]);
    assert_eq!(decide.parent_span_id, root.span_id);
    assert_eq!(run.parent_span_id, decide.span_id);
    assert_eq!((&look.parent_span_id, &mend.parent_span_id), (&run.span_id, &run.span_id));
    assert_eq!(back.parent_span_id, run.span_id);
    assert_eq!(text(&root.attributes, "stanch.event.id"), "e-1");
    assert_eq!((code(&look), code(&mend), code(&run), code(&back)), {
        (StatusCode::Ok, StatusCode::Error, StatusCode::Error, StatusCode::Ok)
    });
    assert_eq!(text(&mend.attributes, "process.exit.code"), "3");
    assert_eq!(text(&run.attributes, "stanch.run.state"), "failed");
    // What did not run says why.
    let paused = decide.events.iter().find(|event| event.name == "paused: suppressed").unwrap();
    assert_eq!(text(&paused.attributes, "stanch.decision.guard"), "unless_acked");
    assert!(!text(&paused.attributes, "stanch.reason").is_empty());
    // The step was told its own span.
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(note.trim(), format!("00-{}-{}-01", hex(&look.trace_id), hex(&look.span_id)));
    let taken = collector.taken.lock().unwrap();
    assert!(taken.services.iter().all(|name| name == "stanch"), "{:?}", taken.services);
    assert!(taken.keys.iter().all(|key| key == KEY), "{:?}", taken.keys);
    assert!(!format!("{:?}", taken.spans).contains(KEY));
    let roots = taken.spans.iter().filter(|span| span.parent_span_id.is_empty()).count();
    assert_eq!(roots, 1, "one trace has one root");
}

#[test]
fn a_collector_that_is_not_there_changes_nothing() {
    let gone = "traces: { endpoint: \"http://127.0.0.1:9/v1/traces\" }\n";
    let daemon = folder(&format!("rules:\n{}", marking_rule("mark", "")), gone).start();
    for nth in 0..5 {
        let id = format!("e-{nth}");
        daemon.accept(&with(incident(&id, &id), &[("/incident/labels/resource", json!(id))]));
    }
    for nth in 0..5 {
        assert_eq!(daemon.end_of(&format!("e-{nth}")), "succeeded");
    }
    assert_eq!(daemon.folder.read("runs").lines().count(), 5);
    wait_for("the log to say so", || match daemon.folder.read("log") {
        log if log.contains("the collector takes no traces") => Ok(()),
        log => Err(log),
    });
    let folder = daemon.stop();
    // It is said once, and not for each try.
    assert_eq!(folder.read("log").matches("the collector takes no traces").count(), 1);
}

#[test]
fn what_is_not_sampled_leaves_no_trace_anywhere() {
    let collector = Collector::start();
    let rule = "rules:\n  - id: look\n    match: { events: [i_new], channels: [\"*\"] }\n    steps: [ { shell: \"echo x${TRACEPARENT-none} > traceparent\" } ]\n";
    let daemon = folder(rule, &collector.config(", sample: 0.0")).start();
    daemon.accept(&incident("e-1", "inc-1"));
    assert_eq!(daemon.end_of("e-1"), "succeeded");
    assert_eq!(daemon.folder.read("traceparent"), "xnone\n");
    assert!(!metrics(&daemon).contains("stanch_trace_spans_total{"));
    // What is left is sent before the daemon ends.
    daemon.stop();
    assert!(collector.taken.lock().unwrap().spans.is_empty());
}

#[test]
fn a_run_that_the_daemon_died_in_is_told_with_the_step_that_was_cut_off() {
    let collector = Collector::start();
    let rule = "rules:\n  - id: hang\n    match: { events: [i_new], channels: [\"*\"] }\n    steps: [ { name: hang, shell: \"echo on > begun; sleep 600\" } ]\n";
    let daemon = folder(rule, &collector.config("")).start();
    daemon.accept(&incident("traces-cut-off", "inc-1"));
    wait_for("the step", || if daemon.folder.read("begun").is_empty() { Err(String::new()) } else { Ok(()) });
    let root = collector.span("event i_new");
    let daemon = daemon.kill().start();
    let (run, step) = (collector.span("run hang"), collector.span("step hang"));
    daemon.stop();
    assert_eq!((&run.trace_id, &step.trace_id), (&root.trace_id, &root.trace_id));
    assert_eq!(step.parent_span_id, run.span_id);
    assert_eq!(text(&run.attributes, "error.type"), "interrupted");
    assert_eq!((code(&run), code(&step)), (StatusCode::Error, StatusCode::Error));
}
