//! Holding back one rule or one channel, and letting it go on.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::Visit;
use super::text::{badge, link, shown, time};
use crate::admin::api::ApiError;
use crate::admin::api::rules::{RuleView, list_of};
use crate::admin::api::state::REASON_CHARS_MAX;
use crate::admin::views::PauseView;
use crate::journal::record::PauseScope;
use crate::rule::RuleId;

/// How many names of channels a form offers; any other can be typed.
const OFFERED_MAX: usize = 200;

/// Every rule and channel that is held back, each to be let go on, and the form for a further channel. `channel` is
/// the one that somebody came for.
pub(super) async fn section(visit: &Visit, channel: Option<&str>) -> Result<Markup, ApiError> {
    let scoped: Vec<&PauseView> =
        visit.status.pauses.iter().filter(|pause| pause.scope != PauseScope::Everything).collect();
    let channels = if visit.may_act() { known(&list_of(&visit.desk.handle).await?) } else { BTreeSet::new() };
    Ok(html! {
        section.card aria-labelledby="pauses" {
            h2 #pauses { "Rules and channels" }
            @if scoped.is_empty() { p { "None is held back by itself. A rule is paused on its page." } }
            @else { ul.plain { @for pause in scoped { li { (one(visit, pause)) } } } }
            @if visit.may_act() {
                (visit.form("/pause", html! {
                    input type="hidden" name="scoped" value="true";
                    div.field {
                        label for="channel" { "Channel, by its name or its id" }
                        input #channel type="text" name="channel" list="channels" required autocomplete="off"
                            value=[channel.map(shown)];
                        datalist #channels { @for name in &channels { option value=(shown(name)) {} } }
                    }
                    (reason_and_time("channel"))
                    button.danger type="submit" { "Pause this channel" }
                }))
            }
        }
    })
}

/// The channels that the rules name, for those who do not want to type.
fn known(rules: &[RuleView]) -> BTreeSet<String> {
    let names = rules.iter().flat_map(|rule| rule.channels.iter());
    names.filter(|name| !name.contains('*')).take(OFFERED_MAX).cloned().collect()
}

/// Pausing one rule, or letting it go on.
pub(super) fn of_rule(visit: &Visit, rule: &str) -> Markup {
    let scope = PauseScope::Rule(RuleId::new(rule));
    let pause = visit.status.pauses.iter().find(|pause| pause.scope == scope);
    html! {
        @match pause {
            Some(pause) => (one(visit, pause)),
            None if visit.may_act() => details {
                summary { "Pause this rule" }
                p { "What comes in is decided as before, and nothing new of this rule starts; that is not made up for." }
                (visit.form("/pause", html! {
                    input type="hidden" name="rule" value=(shown(rule));
                    (reason_and_time("rule"))
                    button.danger type="submit" { "Pause this rule" }
                }))
            },
            None => {},
        }
    }
}

/// A pause, and the form that ends it.
fn one(visit: &Visit, pause: &PauseView) -> Markup {
    let (field, name) = match &pause.scope {
        PauseScope::Everything => return html! {},
        PauseScope::Rule(rule) => ("rule", rule.as_str()),
        PauseScope::Channel(channel) => ("channel", channel.as_str()),
    };
    html! {
        p {
            (badge("paused")) " " (field) " "
            @if field == "rule" { (link("rules", name)) } @else { strong { (shown(name)) } }
            @if let Some(until) = pause.until { " until " (time(until)) }
            @if let Some(by) = &pause.by { span.quiet { ", by " (shown(by)) } }
        }
        @if let Some(reason) = &pause.reason { p.reason { (shown(reason)) } }
        @if visit.may_act() {
            (visit.form("/resume", html! {
                input type="hidden" name=(field) value=(shown(name));
                button.primary type="submit" { "Let it go on" span.unseen { ": " (field) " " (shown(name)) } }
            }))
        }
    }
}

/// The fields of a form that pauses something; `of` tells those of one page apart.
pub(super) fn reason_and_time(of: &str) -> Markup {
    let (reason, lasts, now) = (format!("reason-{of}"), format!("for-{of}"), format!("now-{of}"));
    html! {
        div.field {
            label for=(reason) { "Reason " span.quiet { "(everyone sees it)" } }
            input id=(reason) type="text" name="reason" maxlength=(REASON_CHARS_MAX) autocomplete="off";
        }
        div.field {
            label for=(lasts) { "For how long" }
            select id=(lasts) name="for" {
                @for (value, name) in [("", "until it is resumed"), ("15m", "15 minutes"), ("1h", "1 hour"), ("8h", "8 hours")] {
                    option value=(value) { (name) }
                }
            }
        }
        div.field.check {
            input id=(now) type="checkbox" name="now" value="true";
            label for=(now) { "also end what runs now" }
        }
    }
}
