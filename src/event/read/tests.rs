//! Bodies, sound and hostile.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);

fn read_bytes(body: impl Into<Vec<u8>>) -> Result<Event, BodyError> {
    read(Bytes::from(body.into()), "flashduty".into(), NOW)
}

fn read_value(body: &Value) -> Result<Event, BodyError> {
    read_bytes(body.to_string())
}

fn code(body: impl Into<Vec<u8>>) -> &'static str {
    read_bytes(body).unwrap_err().code()
}

fn incident_push() -> Value {
    json!({
        "event_id": "e-1", "event_time": 1_759_999_999_000_i64, "event_type": "i_new",
        "incident": { "incident_id": "65f0a1b2c3d4e5f6a7b8c9d0", "title": "disk full", "channel_id": 74_058_170_041_504_i64 },
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut body = incident_push();
    *body.pointer_mut(path).unwrap() = value;
    body
}

fn without(name: &str) -> Value {
    let mut body = incident_push();
    body.as_object_mut().unwrap().remove(name);
    body
}

#[test]
fn an_incident_push_is_read_whole() {
    let body = incident_push().to_string();
    let event = read_bytes(body.clone()).unwrap();
    assert_eq!(event.id.as_str(), "e-1");
    assert_eq!(&*event.event_type, "i_new");
    assert_eq!(event.entity, Entity::Incident("65f0a1b2c3d4e5f6a7b8c9d0".into()));
    assert_eq!(event.incident_id.as_deref(), Some("65f0a1b2c3d4e5f6a7b8c9d0"));
    assert_eq!(event.alert_id, None);
    assert_eq!((event.time.as_millis(), event.time_mark), (1_759_999_999_000, TimeMark::Sound));
    assert_eq!(event.received_at, NOW);
    assert_eq!(event.channel_id(), Some(74_058_170_041_504));
    assert_eq!(event.body, body.as_bytes());
    assert_eq!(event.body_hash, *blake3::hash(body.as_bytes()).as_bytes());
}

#[test]
fn an_alert_push_names_its_alert_and_its_incident() {
    let mut body = json!({ "event_type": "a_new", "alert": { "alert_id": "a1", "incident": { "incident_id": "i1" } } });
    let ids = |body: &Value| {
        let event = read_value(body).unwrap();
        (event.entity.to_string(), event.alert_id, event.incident_id)
    };
    assert_eq!(ids(&body), ("alert:a1".into(), Some("a1".into()), Some("i1".into())));
    body["alert"]["incident"] = json!({ "incident_id": "" });
    assert_eq!(ids(&body), ("alert:a1".into(), Some("a1".into()), None));
    body["alert"]["incident"] = Value::Null;
    assert_eq!(ids(&body), ("alert:a1".into(), Some("a1".into()), None));
    body["incident"] = json!({ "incident_id": "i2" });
    assert_eq!(ids(&body), ("alert:a1".into(), Some("a1".into()), Some("i2".into())));
    body["event_type"] = json!("i_new");
    assert_eq!(ids(&body), ("incident:i2".into(), None, Some("i2".into())));
}

#[test]
fn unknown_types_and_fields_are_accepted() {
    for kind in [json!("i_brand_new"), json!("whatever"), json!(""), Value::Null] {
        assert!(read_value(&with("/event_type", kind)).is_ok());
    }
    let mut body = incident_push();
    for name in ["dry_run", "approved", "files", "__proto__"] {
        body[name] = json!(true);
    }
    assert!(read_value(&body).is_ok());
}

#[test]
fn the_id_is_found_inside_the_incident_and_else_derived() {
    let mut body = without("event_id");
    body["incident"]["event_id"] = json!("inner");
    assert_eq!(read_value(&body).unwrap().id.as_str(), "inner");
    body["event_id"] = Value::Null;
    assert_eq!(read_value(&body).unwrap().id.as_str(), "inner");
    body["event_id"] = json!("outer");
    assert_eq!(read_value(&body).unwrap().id.as_str(), "outer");

    let derived = read_value(&without("event_id")).unwrap().id;
    assert!(derived.as_str().starts_with("body-"));
    assert_eq!(read_value(&without("event_id")).unwrap().id, derived);
    assert_ne!(read_value(&without("event_time")).unwrap().id, derived);
}

#[test]
fn unusable_ids_are_refused() {
    let too_long = "x".repeat(MAX_ID_CHARS + 1);
    for id in
        [json!(""), json!("{{event_id}}"), json!("a\nb"), json!("a\u{0}"), json!("\u{9b}1m"), json!(5), json!(too_long)]
    {
        for place in ["/event_id", "/incident/incident_id"] {
            assert_eq!(code(with(place, id.clone()).to_string()), "bad-id", "{id}");
        }
    }
    assert_eq!(code(with("/event_type", json!("a\u{1b}[31m")).to_string()), "bad-id");
    assert!(read_value(&with("/event_id", json!("界".repeat(MAX_ID_CHARS)))).is_ok());
    assert_eq!(code(r#"{"incident":{}}"#), "bad-id");
    assert_eq!(code(r#"{"event_type":"a_new","alert":{}}"#), "bad-id");
}

#[test]
fn what_is_no_push_is_refused() {
    for (body, expected) in [
        ("", "not-json"),
        ("{", "not-json"),
        ("{}x", "not-json"),
        ("{}{}", "not-json"),
        ("\u{feff}{}", "not-json"),
        ("{'a':1}", "not-json"),
        ("{\"a\":01}", "not-json"),
        ("{\"a\":NaN}", "not-json"),
        ("{\"a\":1e999}", "not-json"),
        ("[]", "not-an-object"),
        ("null", "not-an-object"),
        ("\"incident\"", "not-an-object"),
        ("{}", "no-subject"),
        (r#"{"incident":null,"alert":null}"#, "no-subject"),
        (r#"{"incident":[]}"#, "wrong-type"),
        (r#"{"event_type":5,"incident":{"incident_id":"i"}}"#, "wrong-type"),
    ] {
        assert_eq!(code(body), expected, "{body}");
    }
    assert_eq!(code(b"{\"incident\":{\"incident_id\":\"\xff\"}}"), "not-utf8");
    assert_eq!(code(b"\xff"), "not-utf8");
}

#[test]
fn duplicate_keys_are_refused_at_every_level() {
    for body in [
        r#"{"event_id":"a","event_id":"a"}"#,
        r#"{"incident":{"incident_id":"i","labels":{"a":"1","a":"2"}}}"#,
        r#"{"x":[[{"a":1,"a":2}]]}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"":1,"":2}"#,
    ] {
        assert_eq!(code(body), "duplicate-key", "{body}");
    }
    let long = "k".repeat(200_000);
    let error = read_bytes(format!(r#"{{"{long}":1,"{long}":2}}"#)).unwrap_err();
    assert!(error.to_string().len() < 500, "the message must not repeat the whole key");
}

#[test]
fn nesting_ends_at_the_limit() {
    let nested = |levels: usize| {
        // The payload itself is the first level.
        let inner = "[".repeat(levels - 1) + "]".repeat(levels - 1).as_str();
        format!(r#"{{"incident":{{"incident_id":"i"}},"x":{inner}}}"#)
    };
    assert!(read_bytes(nested(MAX_DEPTH)).is_ok());
    assert_eq!(code(nested(MAX_DEPTH + 1)), "too-deep");
    assert_eq!(code("[".repeat(250_000)), "too-deep");
    assert_eq!(code(r#"{"a":"#.repeat(50_000)), "too-deep");
}

#[test]
fn text_may_hold_anything_that_json_can_say() {
    let title = "\u{0}\u{1b}[31m\u{202e}{{ x }}\"'`$(id)\n界🔥";
    let event = read_value(&with("/incident/title", json!(title))).unwrap();
    assert_eq!(event.title(), Some(title));
    for lone in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\ud83dx"] {
        let body = incident_push().to_string().replace("disk full", lone);
        assert_eq!(code(body), "not-json", "{lone}");
    }
    let body = incident_push().to_string().replace("disk full", r"\ud83d\udd25");
    assert_eq!(read_bytes(body).unwrap().title(), Some("🔥"));
}

#[test]
fn event_times_are_marked() {
    let mark = |time: Value| read_value(&with("/event_time", time)).map(|event| (event.time, event.time_mark));
    let at = |ms: i64, mark| Ok((Timestamp::from_millis(ms), mark));
    let now = NOW.as_millis();
    assert_eq!(mark(json!(now + 300_000)), at(now + 300_000, TimeMark::Sound));
    assert_eq!(mark(json!(now + 300_001)), at(now + 300_001, TimeMark::Ahead));
    assert_eq!(mark(json!(now + 31_536_000_000)), at(now + 31_536_000_000, TimeMark::Ahead));
    assert_eq!(mark(json!(now * 1000)), at(now * 1000, TimeMark::Ahead));
    assert_eq!(mark(json!(i64::MAX)), at(i64::MAX, TimeMark::Ahead));
    assert_eq!(mark(json!(now / 1000)), at(now / 1000, TimeMark::Implausible));
    assert_eq!(mark(json!(0)), at(0, TimeMark::Implausible));
    assert_eq!(mark(json!(i64::MIN)), at(i64::MIN, TimeMark::Implausible));
    assert_eq!(mark(Value::Null), at(now, TimeMark::Absent));
    let absent = read_value(&without("event_time")).unwrap();
    assert_eq!((absent.time, absent.time_mark), (NOW, TimeMark::Absent));
    assert_eq!(mark(json!(now.to_string())), at(now, TimeMark::Sound), "a custom body may write it as text");
    for none in [json!(u64::MAX), json!(1.5), json!(1.7e12), json!("soon"), json!("{{time}}"), json!([]), json!(true)] {
        assert_eq!(mark(none), at(now, TimeMark::Implausible), "the event is taken, and orders nothing");
    }
}

fn any_json(depth: u32) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_cause_a_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(event) = read_bytes(body.clone()) {
            prop_assert_eq!(&event.body[..], &body[..]);
        }
    }

    #[test]
    fn no_damage_to_a_push_causes_a_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut body = incident_push().to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        body.truncate(cut.index(body.len() + 1));
        // Whatever it says, it must say it.
        match read_bytes(body.clone()) {
            Ok(event) => prop_assert_eq!(&event.body[..], &body[..]),
            Err(error) => prop_assert!(!error.code().is_empty() && error.to_string().len() < 1000),
        }
    }

    #[test]
    fn every_payload_is_kept_exactly(extra in any_json(8)) {
        let mut body = incident_push();
        body["extra"] = extra;
        let event = read_value(&body).unwrap();
        prop_assert_eq!(&event.payload.root().to_value(), &body);
        prop_assert_eq!(event.body, body.to_string().into_bytes());
    }

    #[test]
    fn a_repeated_key_is_found_wherever_it_is(key in any::<String>(), value in any_json(2), levels in 0_usize..12) {
        let key = Value::from(key);
        let mut body = format!("{{{key}:{value},{key}:{value}}}");
        for _ in 0..levels {
            body = format!(r#"{{"in":[{body}]}}"#);
        }
        prop_assert_eq!(code(body), "duplicate-key");
    }
}
