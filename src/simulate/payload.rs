//! The body of a test's event: its payload, with what `with` lays over it.

use serde_json::{Map, Value};

use super::LoadFixture;
use crate::event::path;
use crate::rule::test_case::{Payload, TestEvent};

/// The payload of an event. `number` counts the events of the test, from 0.
pub(super) fn payload(event: &TestEvent, number: usize, load: &LoadFixture<'_>) -> Result<Map<String, Value>, String> {
    let value = match &event.payload {
        Payload::Inline(value) => value.clone(),
        Payload::Fixture(file) => load(file)?,
    };
    let Value::Object(mut payload) = value else { return Err("its body must be a JSON object".into()) };
    for (path, value) in &event.with {
        path::set(&mut payload, path, value.clone()).map_err(|error| error.to_string())?;
    }
    if event.fresh {
        // The number makes it one of its own, and the same in every run.
        payload.insert("event_id".into(), format!("fresh-{}", number + 1).into());
    }
    Ok(payload)
}
