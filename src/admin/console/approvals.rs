//! Runs that wait for a person.

use maud::{Markup, html};

use super::text::{badge, left, link, path, plan, shown, time};
use super::{Page, Shown, Visit};
use crate::admin::api::runs::{ApprovalView, waiting_for_a_person};
use crate::admin::api::state::REASON_CHARS_MAX;
use crate::admin::views::RunView;

/// The page of approvals.
pub(super) async fn show(visit: &Visit) -> Shown {
    let waiting = waiting_for_a_person(&visit.desk.handle).await?;
    let content = html! {
        div #approvals data-live="" {
            @if waiting.is_empty() { p.lead #none { "Nothing waits for a person." } }
            @for approval in &waiting { (card(visit, approval)) }
        }
    };
    Ok(Page { title: "Approvals".into(), content })
}

fn card(visit: &Visit, approval: &ApprovalView) -> Markup {
    let ApprovalView { run, event, plan: what } = approval;
    let title = event.as_ref().and_then(|event| event.title.as_deref()).unwrap_or("(no title)");
    let heading = format!("title-{}", run.run);
    html! {
        article.card #{ "approval-" (run.run) } aria-labelledby=(heading) {
            h2 id=(heading) { (shown(&run.rule)) " wants to act on " (shown(&run.target)) }
            p {
                @if let Some(event) = event {
                    a href=(path("events", &event.event)) { (shown(title)) }
                    @if let Some(severity) = &event.severity { " " (badge(severity)) }
                }
            }
            @if let Some(what) = what { (plan(what)) }
            p.facts {
                "asked " (time(run.since))
                @if let Some(until) = run.until {
                    span { "expires in " (left(visit.desk.handle.now(), until)) }
                }
                span { "run " (link("runs", &run.run)) }
            }
            (ask(visit, run))
        }
    }
}

/// The form that asks a person about a run.
pub(super) fn ask(visit: &Visit, run: &RunView) -> Markup {
    if !visit.may_act() {
        return html! { p.quiet { "The read token sees this, and cannot answer it." } };
    }
    let (field, to) = (format!("reason-{}", run.run), path("runs", &run.run));
    visit.form(
        &format!("{to}/approve"),
        html! {
            div.field {
                label for=(field) { "Reason " span.quiet { "(for the record)" } }
                input id=(field) type="text" name="reason" maxlength=(REASON_CHARS_MAX) autocomplete="off";
            }
            div.row {
                button.primary type="submit" { "Approve" span.unseen { " " (shown(&run.rule)) " on " (shown(&run.target)) } }
                button.danger type="submit" formaction={ (to) "/deny" } {
                    "Deny" span.unseen { " " (shown(&run.rule)) " on " (shown(&run.target)) }
                }
            }
        },
    )
}
