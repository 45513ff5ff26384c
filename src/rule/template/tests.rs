use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;
use crate::event::{Event, read};
use crate::rule::view::EventView;

fn event(labels: &Value) -> Event {
    let body = json!({
        "event_id": "e-1", "event_type": "i_new",
        "incident": {
            "incident_id": "65f1", "title": "disk full", "alert_cnt": 3, "labels": labels, "nothing": null,
            "channel_id": 74_058_170_041_504_i64,
            "fields": {"max": u64::MAX, "half": 0.5, "on": true, "tags": ["b", "a"], "none": []},
            "alerts": [{"labels": {"host": "web-1"}}]
        }
    });
    // Written by hand, since a JSON value cannot hold a whole number beyond 64 bits.
    let body = body.to_string().replace("\"half\":", "\"huge\":1e30,\"half\":");
    read(body.into(), Arc::from("flashduty"), Timestamp::from_millis(0)).unwrap()
}

fn rendered(source: &str, kind: TemplateKind, labels: &Value) -> Result<String, String> {
    let template = Template::parse(source, kind).map_err(|error| format!("{}: {}", error.offset, error.message))?;
    let event = event(labels);
    let names = [("run", json!({"error": "exit 1"}))];
    let view = EventView::new(&event);
    let names = TemplateNames { view: &view, target: Some("db-07"), now: Timestamp::from_millis(5_999), names: &names };
    template.render(&names).map_err(|error| error.message)
}

fn labels() -> Value {
    json!({"resource": "db-07", "a/b.c": "odd", "evil": "{{ target }} {% x %}", "dots": ".."})
}

fn text(source: &str) -> Result<String, String> {
    rendered(source, TemplateKind::Text, &labels())
}

#[test]
fn values_are_written_into_text() {
    for (source, expected) in [
        ("plain } }} %} text", "plain } }} %} text"),
        ("", ""),
        ("{{ labels.resource }}", "db-07"),
        ("a{{labels.resource}}b{{ target }}c", "adb-07bdb-07c"),
        ("{{ labels[\"a/b.c\"] }}{{ labels['a/b.c'] }}", "oddodd"),
        ("{{ incident.channel_id }} {{ channel.id }}", "74058170041504 74058170041504"),
        ("{{ fields.max }} {{ fields.half }} {{ fields.on }}", "18446744073709551615 0.5 true"),
        ("{{ event.incident.alerts[0].labels.host }} {{ alerts.0.labels.host }}", "web-1 web-1"),
        ("{{ now }} {{ run.error }}", "5 exit 1"),
        ("{{ labels.evil }}", "{{ target }} {% x %}"),
        ("{{ \"{{\" }} {{ '}}' }} {{ \"\\\"\\n\" }}", "{{ }} \"\n"),
        ("{{ target | upper }} {{ target|replace(\"db\", \"web\") | truncate(5) }}", "DB-07 web-0"),
        ("{{ fields.tags | join(\", \") }} {{ fields.tags | first }} {{ fields.tags | last | upper }}", "b, a b A"),
        (
            "{{ fields.tags | length }} {{ fields.tags | tojson }} {{ \" x \" | trim }}{{ 'X' | lower }}",
            "2 [\"b\",\"a\"] xx",
        ),
    ] {
        assert_eq!(text(source), Ok(expected.to_owned()), "{source}");
    }
}

#[test]
fn what_cannot_be_written_is_an_error_that_names_it() {
    for (source, expected) in [
        ("{{ labels.resurce }}", "`labels.resurce` is not there in this event (did you mean `resource`?)"),
        ("{{ alert.title }}", "`alert` is not there in this event"),
        ("{{ labels.a/b.c }}", "in brackets"),
        ("{{ labels.resource.x }}", "`labels.resource.x` is not there"),
        ("{{ steps.x.stdout }}", "`steps` is not there"),
        ("{{ incident.nothing }}", "`incident.nothing` is null"),
        ("{{ fields.tags }}", "`fields.tags` is a list"),
        ("{{ labels }}", "`labels` is a map"),
        ("{{ fields.none | first }}", "`fields.none` is an empty list (filter `first`)"),
        ("{{ fields.huge }}", "`fields.huge` is a number that 64 bits cannot hold"),
        ("{{ fields | tojson }}", "64 bits"),
        ("{{ labels | upper }}", "is a map"),
    ] {
        let error = text(source).expect_err(source);
        assert!(error.contains(expected), "{source}: {error}");
    }
    let odd = rendered("{{ labels.b.c }}", TemplateKind::Text, &json!({"b.c": "x"})).unwrap_err();
    assert!(odd.contains("labels[\"b.c\"]"), "{odd}");
}

#[test]
fn only_paths_and_filters_are_templates() {
    for (source, offset, expected) in [
        ("x {% if a %}", 2, "no `{%`"),
        ("{# note #}", 0, "no `{#`"),
        ("ab {{ target", 3, "has no `}}`"),
        ("{{ }}", 3, "a path"),
        ("{{ 1 + 1 }}", 3, "a path"),
        ("{{ target * 9 }}", 10, "`*` cannot stand here"),
        ("{{ target ~ target }}", 10, "cannot stand here"),
        ("{{ labels.a-b }}", 11, "in brackets"),
        ("{{ range(9) }}", 8, "functions cannot be called"),
        ("{{ target | defualt(1) }}", 12, "there is no filter `defualt`"),
        ("{{ target | default('x') }}", 12, "there is no filter"),
        ("{{ target | truncate }}", 12, "`truncate(length)`"),
        ("{{ target | replace('', 'x') }}", 12, "something to look for"),
        ("{{ labels['x }}", 10, "not closed"),
        ("{{ labels. }}", 10, "after the dot"),
        ("{{- target }}", 2, ""),
        ("é{{ 🦀 }}", 5, "a path"),
    ] {
        let error = Template::parse(source, TemplateKind::Text).expect_err(source);
        assert!(error.message.contains(expected) && error.offset == offset, "{source}: {error:?}");
    }
}

#[test]
fn names_tell_what_a_template_reads() {
    let source = "{{ labels[\"a/b.c\"] }} {{ steps.probe.stdout | trim }} {{ steps.probe.stdout }} {{ 'x' }}";
    let template = Template::parse(source, TemplateKind::Text).unwrap();
    assert_eq!(template.names(), ["labels.a/b.c", "steps.probe.stdout"]);
    assert!(template.mentions("steps") && template.mentions("labels") && !template.mentions("probe"));
    assert!(!template.is_literal() && Template::parse("x", TemplateKind::Url).unwrap().is_literal());
    assert_eq!(template.source(), source);
}

#[test]
fn output_is_bounded() {
    let long = "x".repeat(OUTPUT_BYTES_MAX);
    let labels = json!({"long": long});
    assert_eq!(rendered("{{ labels.long }}", TemplateKind::Text, &labels).map(|text| text.len()), Ok(OUTPUT_BYTES_MAX));
    for source in ["{{ labels.long }}x", "{{ labels.long | replace('x', 'yyyyyyyyyyyyyyyyyyyyyyyyyy') }}"] {
        assert!(rendered(source, TemplateKind::Text, &labels).unwrap_err().contains("limit"));
    }
    let long = "x".repeat(TEMPLATE_BYTES_MAX + 1);
    assert!(Template::parse(&long, TemplateKind::Text).is_err());
}

#[test]
fn a_url_takes_each_value_as_one_segment() {
    let url = |source: &str, value: &str| rendered(source, TemplateKind::Url, &json!({"v": value}));
    let base = "https://inventory.internal/api/{{ labels.v }}/x?q={{ labels.v }}";
    let encoded = "https://inventory.internal/api/a%2F..%2Fb%3Fc%23d%20%25/x?q=a%2F..%2Fb%3Fc%23d%20%25";
    assert_eq!(url(base, "a/../b?c#d %"), Ok(encoded.to_owned()));
    assert_eq!(url(base, "ü"), Ok(base.replace("{{ labels.v }}", "%C3%BC")));
    assert!(url(base, ".").is_err() && url(base, "..").is_err() && url(base, "").is_err());
    assert!(url("https://h/.{{ labels.v }}/x", ".").is_err());
    assert!(url("https://h/{{ labels.v }}{{ labels.v }}/x", ".").is_err());
    assert!(url("https://h/%2e{{ labels.v }}/x", ".").is_err());
    assert!(url("https://h/x?q={{ labels.v }}", "").is_ok());
}

proptest! {
    #[test]
    fn a_url_keeps_its_shape(value in ".{1,20}|[./%?#&=@:\\\\]{1,6}") {
        let source = "https://host.internal:8443/a/{{ labels.v }}/z?q={{ labels.v }}&r=1";
        let labels = json!({"v": value});
        if let Ok(rendered) = rendered(source, TemplateKind::Url, &labels) {
            let url = url::Url::parse(&rendered).unwrap();
            prop_assert_eq!(url.host_str(), Some("host.internal"));
            prop_assert_eq!(url.port(), Some(8443));
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 3);
            let segment = percent_encoding::percent_decode_str(segments[1]).decode_utf8().unwrap();
            prop_assert_eq!(&*segment, value.as_str());
            let query: Vec<_> = url.query_pairs().collect();
            prop_assert_eq!(query.len(), 2);
            prop_assert_eq!(&*query[0].1, value.as_str());
            prop_assert_eq!(url.fragment(), None);
        } else {
            prop_assert!(value == "." || value == "..");
        }
    }

    #[test]
    fn text_takes_any_value_as_it_is(value in any::<String>()) {
        let labels = json!({"v": value});
        prop_assert_eq!(rendered("<{{ labels.v }}>", TemplateKind::Text, &labels), Ok(format!("<{value}>")));
    }

    #[test]
    fn parsing_never_panics(source in "[{}%#|.\\[\\]\"'a0é \\\\()-]{0,24}") {
        if let Ok(template) = Template::parse(&source, TemplateKind::Text) {
            prop_assert_eq!(template.source(), source.as_str());
        }
    }
}
