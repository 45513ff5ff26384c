//! Pushes and rules that many tests use, and what they left on disk.

use std::path::Path;

use serde_json::{Value, json};

/// All records of a journal as they lie on disk, without the bodies of pushes.
pub(crate) fn records(journal: &Path) -> String {
    let db = rusqlite::Connection::open(journal).unwrap();
    let mut select = db.prepare("SELECT data FROM record ORDER BY seq").unwrap();
    let lines = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    lines.collect::<Result<Vec<String>, _>>().unwrap().join("\n")
}

/// A new incident.
pub(crate) fn incident(event: &str, incident: &str) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    json!({
        "event_id": event,
        "event_time": u64::try_from(now).unwrap(),
        "event_type": "i_new",
        "incident": {
            "incident_id": incident,
            "title": "disk full on db-07",
            "incident_severity": "Warning",
            "incident_status": "Warning",
            "progress": "Triggered",
            "channel_id": 1_163_577_812_973_i64,
            "channel_name": "Order System",
            "alert_cnt": 1,
            "labels": { "check": "disk full", "resource": "db-07" }
        }
    })
}

/// A push changed in some fields, given by JSON pointer.
pub(crate) fn with(mut push: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        push.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value.clone());
    }
    push
}

/// A rule that appends its run's id to `runs` in the folder, with further lines of YAML.
pub(crate) fn marking_rule(id: &str, extra: &str) -> String {
    format!(
        "  - id: {id}\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    target: \"{{{{ labels.resource }}}}\"\n    steps:\n      - shell: echo \"$STANCH_RULE $STANCH_RUN_ID $STANCH_TARGET\" >> runs\n{extra}"
    )
}
