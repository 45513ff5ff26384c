//! What is sent, and what is given up without being sent. The rest is tested with the whole daemon.

use std::time::Duration;

use super::*;
use crate::clock::{ManualClock, Timestamp};
use crate::event::EventId;
use crate::fake_flashduty::Fake;
use crate::journal::Refused;
use crate::journal::history::WRITE_BACKS_MAX;
use crate::journal::record::{Record, RunId, WriteBack, WriteBackCall, WriteBackId, WriteBackOutcome};
use crate::report::flashduty::Pace;
use crate::report::redact::Redactor;
use crate::rule::RuleId;

const QUEUED: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const APP_KEY: &str = "an-app-key-that-nobody-may-see";

/// Records in the order in which they came.
#[derive(Clone, Default)]
struct List(watch::Sender<Vec<Record>>);

impl RecordSink for List {
    async fn append(&self, records: Vec<Record>) -> Result<(), Refused> {
        self.0.send_modify(|list| list.extend(records));
        Ok(())
    }

    fn append_later(&self, record: Record) -> Result<(), Refused> {
        self.0.send_modify(|list| list.push(record));
        Ok(())
    }
}

fn waiting(name: &str, call: WriteBackCall) -> Waiting {
    let write_back = WriteBack {
        id: WriteBackId::derive(&[name]),
        incident: "i1".into(),
        event: EventId::new("e1"),
        run: Some(RunId::new("r-1")),
        rule: RuleId::new("a"),
        call,
    };
    Waiting { write_back, queued_at: QUEUED, tries: 0, in_doubt: false }
}

fn comment(text: &str) -> WriteBackCall {
    WriteBackCall::Comment { comment: text.into() }
}

async fn fake() -> (Fake, Client) {
    let fake = Fake::start("127.0.0.1:0".parse().unwrap(), APP_KEY).await.unwrap();
    let incident = serde_json::json!({ "incident_id": "i1" });
    fake.open(incident.as_object().unwrap().clone());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, APP_KEY).unwrap();
    let key = crate::config::secret::SecretRef::File(file).resolve().unwrap();
    let client = Client::new(&fake.url(), key, Arc::new(Pace::new())).unwrap();
    (fake, client)
}

/// What becomes of each of `waiting`, so long after they were queued: outcome, try and reason.
async fn ends(client: Option<Client>, waiting: Vec<Waiting>, after: Duration) -> Vec<(WriteBackOutcome, u32, String)> {
    let (list, count) = (List::default(), waiting.len());
    let (sender, queued) = mpsc::unbounded_channel();
    let wiring = Wiring {
        sink: list.clone(),
        client: Arc::new(ArcSwapOption::new(client.map(Arc::new))),
        room: Room::beside(count),
        clock: Arc::new(ManualClock::at(QUEUED.plus(after))),
        report: Arc::new(Report::new()),
        redactor: Arc::new(arc_swap::ArcSwap::from_pointee(Redactor::none())),
        only_dry_runs: false,
    };
    let outbox = Outbox::start(wiring, waiting, queued);
    let of = |records: &[Record]| -> Vec<(WriteBackOutcome, u32, String)> {
        let ends = records.iter().filter_map(|record| match record {
            Record::WrittenBack { outcome, attempt, error, .. } if outcome.is_final() => {
                Some((*outcome, *attempt, error.clone().unwrap_or_default()))
            }
            _ => None,
        });
        ends.collect()
    };
    let mut records = list.0.subscribe();
    let records = records.wait_for(|records| of(records).len() == count).await.unwrap().clone();
    drop(sender);
    outbox.stop().await;
    of(&records)
}

#[tokio::test]
async fn what_waited_too_long_is_given_up_unsent() {
    let (fake, client) = fake().await;
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let both = || vec![waiting("ack", WriteBackCall::Ack), waiting("comment", comment("x"))];
    let ended = ends(Some(client.clone()), both(), hours(1)).await;
    assert_eq!((ended[0].0, ended[0].1), (WriteBackOutcome::Failed, 0));
    assert!(ended[0].2.contains("waited for 1h"), "{ended:?}");
    assert_eq!(ended[1].0, WriteBackOutcome::Sent, "what a comment tells is of use later too");
    let ended = ends(Some(client), both(), hours(24)).await;
    assert!(ended.iter().all(|(outcome, tries, _)| (*outcome, *tries) == (WriteBackOutcome::Failed, 0)), "{ended:?}");
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn of_what_is_in_doubt_only_the_repeatable_is_sent() {
    let (fake, client) = fake().await;
    let in_doubt = |name, call| Waiting { in_doubt: true, tries: 1, ..waiting(name, call) };
    let ended =
        ends(Some(client), vec![in_doubt("a", comment("x")), in_doubt("b", WriteBackCall::Ack)], Duration::ZERO);
    let ended = ended.await;
    assert_eq!((ended[0].0, ended[1].0), (WriteBackOutcome::Unknown, WriteBackOutcome::Sent), "{ended:?}");
    assert_eq!(ended[1].1, 2, "the tries before count");
    assert_eq!(fake.seen().iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(), ["/incident/ack"]);
}

#[tokio::test]
async fn without_a_section_in_the_config_nothing_waits_for_ever() {
    let ended = ends(None, vec![waiting("a", comment("x"))], Duration::ZERO).await;
    assert_eq!(ended[0].0, WriteBackOutcome::Failed);
    assert!(ended[0].2.contains("no `flashduty` section"), "{ended:?}");
}

#[test]
fn the_outbox_has_so_many_places_and_says_when_it_has_none() {
    let room = Room::beside(WRITE_BACKS_MAX - 2);
    assert!(room.take(3).is_err(), "all or none");
    assert!(room.take(2).is_ok());
    assert_eq!(room.take(1), Err(Full));
    room.give_back();
    assert!(room.take(1).is_ok());
    assert!(Full.to_string().contains("the outbox is full"));
    assert_eq!(Room::beside(WRITE_BACKS_MAX + 5).take(1), Err(Full));
}
