//! `schedules`.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use super::{Doc, Fields, Node, codes};
use crate::config::Schedule;
use crate::rule::yaml::values::LIST_MAX;

/// The days in the order of the week.
const DAYS: &[(&str, Weekday)] = &[
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

pub(super) fn read(doc: &Doc, node: &Node) -> BTreeMap<String, Schedule> {
    let mut schedules = BTreeMap::new();
    for (name, _, value) in doc.entries(node, "`schedules`").unwrap_or_default() {
        if let Some(schedule) = one(doc, value, &format!("schedule `{name}`")) {
            schedules.insert(name.to_owned(), schedule);
        }
    }
    schedules
}

fn one(doc: &Doc, node: &Node, what: &str) -> Option<Schedule> {
    let fields = Fields::open(doc, node, what)?;
    let days = fields.get("days").map(|node| days(doc, node)).unwrap_or_default();
    let dates = fields.get("dates").map(|node| dates(doc, node)).unwrap_or_default();
    let from = fields.get("from").and_then(|node| time(doc, node, "`from`"));
    let to = fields.get("to").and_then(|node| time(doc, node, "`to`"));
    let zone = match fields.get("zone") {
        None => Some(TimeZone::UTC),
        Some(node) => zone(doc, node),
    };
    if !["days", "dates", "from", "to"].iter().any(|name| fields.has(name)) {
        doc.error(codes::EMPTY, fields.head(), format!("{what} names neither days nor times"));
    }
    fields.close();
    Some(Schedule { days, dates, from: from.unwrap_or_default(), to: to.unwrap_or_default(), zone: zone? })
}

/// `mon`, `mon-fri`, `fri-mon`.
fn days(doc: &Doc, node: &Node) -> Vec<Weekday> {
    let place = |name: &str| DAYS.iter().position(|(day, _)| *day == name);
    let mut days = Vec::new();
    for (text, node) in doc.texts(node, "`days`").unwrap_or_default() {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (Some(first), Some(last)) = (place(first.trim()), place(last.trim())) else {
            let hint = "days are mon, tue, wed, thu, fri, sat, sun, and ranges such as mon-fri";
            doc.error_hint(codes::INVALID_VALUE, node.span.clone(), format!("`{text}` is not a day"), hint);
            continue;
        };
        let length = (last + DAYS.len() - first) % DAYS.len() + 1;
        for (_, day) in DAYS.iter().cycle().skip(first).take(length) {
            if !days.contains(day) {
                days.push(*day);
            }
        }
    }
    days
}

fn dates(doc: &Doc, node: &Node) -> Vec<Date> {
    let mut dates = Vec::new();
    for node in doc.list(node, "`dates`", LIST_MAX).unwrap_or_default() {
        let Some(text) = doc.text(node, "a date") else { continue };
        match text.parse() {
            Ok(date) => dates.push(date),
            Err(_) => {
                let message = format!("`{text}` is not a date");
                doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, "a date is 2026-12-31");
            }
        }
    }
    dates
}

fn time(doc: &Doc, node: &Node, what: &str) -> Option<Time> {
    let text = doc.text(node, what)?;
    if text == "24:00" {
        return Some(Time::midnight());
    }
    let parsed = text.split_once(':').and_then(|(hour, minute)| {
        let is_two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_two(hour) || !is_two(minute) {
            return None;
        }
        Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
    });
    if parsed.is_none() {
        let message = format!("{what}: `{text}` is not a time of day");
        doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, "a time is \"22:00\"");
    }
    parsed
}

fn zone(doc: &Doc, node: &Node) -> Option<TimeZone> {
    let text = doc.text(node, "`zone`")?;
    match TimeZone::get(text) {
        Ok(zone) => Some(zone),
        Err(_) => {
            let message = format!("`{text}` is not a time zone that this machine knows");
            doc.error_hint(codes::INVALID_VALUE, node.span.clone(), message, "a zone is Asia/Shanghai, or UTC");
            None
        }
    }
}
