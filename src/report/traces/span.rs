//! Building spans: ids, times, attributes with their bounds, and how they ended.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::clock::Timestamp;
use crate::report::printable;
use crate::report::redact::Redactor;

/// Characters of a text in a span. Reasons and names are shorter; what steps printed is not told at all.
pub(super) const TEXT_CHARS_MAX: usize = 512;
/// Events of one span: decisions on one event, or tries of a write-back. The rest is counted.
pub(super) const SPAN_EVENTS_MAX: usize = 128;

/// Makes spans of one trace.
pub(super) struct Trace {
    pub(super) id: [u8; 16],
    pub(super) redactor: Arc<Redactor>,
}

impl Trace {
    /// A span from `start` to `end`.
    pub(super) fn span(
        &self,
        id: [u8; 8],
        parent: Option<[u8; 8]>,
        name: &str,
        [start, end]: [Timestamp; 2],
    ) -> Building<'_> {
        let span = Span {
            trace_id: self.id.to_vec(),
            span_id: id.to_vec(),
            parent_span_id: parent.map(|parent| parent.to_vec()).unwrap_or_default(),
            // Sampled, as W3C's flags say it.
            flags: 1,
            name: self.text(name),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: nanos(start.min(end)),
            end_time_unix_nano: nanos(end),
            ..Span::default()
        };
        Building { span, trace: self }
    }

    /// A text of others: without secrets and steering characters, and of bounded length.
    fn text(&self, text: &str) -> String {
        let cut = text.char_indices().nth(TEXT_CHARS_MAX).map_or(text.len(), |(at, _)| at);
        // What is looked at beyond the cut lets a secret that reaches over it be seen.
        let reach = text.len().min(cut + self.redactor.longest());
        let reach = (reach..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let kept = self.redactor.redact_part(text.get(..reach).unwrap_or_default().as_bytes(), 0..cut);
        printable(&String::from_utf8_lossy(&kept)).into_owned()
    }

    fn attribute(&self, key: &str, value: Attribute<'_>) -> KeyValue {
        let value = match value {
            Attribute::Text(text) => Value::StringValue(self.text(text)),
            Attribute::Number(number) => Value::IntValue(number),
            Attribute::Flag(flag) => Value::BoolValue(flag),
        };
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Attribute<'a> {
    Text(&'a str),
    Number(i64),
    Flag(bool),
}

impl<'a> From<&'a str> for Attribute<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Attribute<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Attribute<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// A span that is being made.
pub(super) struct Building<'t> {
    span: Span,
    trace: &'t Trace,
}

impl Building<'_> {
    pub(super) fn kind(mut self, kind: SpanKind) -> Self {
        self.span.kind = kind.into();
        self
    }

    pub(super) fn with<'a>(mut self, key: &str, value: impl Into<Attribute<'a>>) -> Self {
        self.span.attributes.push(self.trace.attribute(key, value.into()));
        self
    }

    pub(super) fn with_some<'a>(self, key: &str, value: Option<impl Into<Attribute<'a>>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Something at a point in time of the span.
    pub(super) fn event(mut self, at: Timestamp, name: &str, attributes: &[(&str, Attribute<'_>)]) -> Self {
        if self.span.events.len() >= SPAN_EVENTS_MAX {
            self.span.dropped_events_count += 1;
            return self;
        }
        let attributes = attributes.iter().map(|(key, value)| self.trace.attribute(key, *value)).collect();
        let (time_unix_nano, name) = (nanos(at), self.trace.text(name));
        self.span.events.push(Event { time_unix_nano, name, attributes, dropped_attributes_count: 0 });
        self
    }

    pub(super) fn ok(mut self) -> Self {
        self.span.status = Some(Status { message: String::new(), code: StatusCode::Ok.into() });
        self
    }

    /// It failed: `kind` is a word of a closed set, `why` is for people.
    pub(super) fn failed(mut self, kind: &str, why: Option<&str>) -> Self {
        let message = self.trace.text(why.unwrap_or(kind));
        self.span.status = Some(Status { message, code: StatusCode::Error.into() });
        self.with("error.type", kind)
    }

    pub(super) fn done(self) -> Span {
        self.span
    }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_hold_no_secret_and_nothing_that_steers() {
        let secret = "a-secret-of-the-tests-0123456789";
        let trace = Trace { id: [1; 16], redactor: Arc::new(Redactor::new([secret]).unwrap()) };
        // One reaches over the cut.
        let text = format!("\u{1b}[31m{}{secret}", "x".repeat(TEXT_CHARS_MAX - 12));
        let at = Timestamp::from_millis(5);
        let span = trace.span([2; 8], None, &text, [at, at]).with("a", secret).done();
        assert!(span.name.chars().count() < TEXT_CHARS_MAX + 16, "{}", span.name.len());
        assert!(!span.name.contains("a-sec") && !span.name.contains('\u{1b}'), "{}", span.name);
        assert!(!format!("{span:?}").contains(secret));
    }

    #[test]
    fn what_is_beyond_the_limit_of_events_is_counted() {
        let trace = Trace { id: [1; 16], redactor: Arc::new(Redactor::none()) };
        let at = Timestamp::from_millis(5);
        let mut building = trace.span([2; 8], Some([3; 8]), "decide", [at, at]);
        for _ in 0..SPAN_EVENTS_MAX + 2 {
            building = building.event(at, "r", &[]);
        }
        let span = building.done();
        assert_eq!((span.events.len(), span.dropped_events_count), (SPAN_EVENTS_MAX, 2));
    }
}
