//! The test kit finds what it promises to find, and says so at the author's own line.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use foldhost_plugin_sdk::testing::{
    Recorded, aggregate_laws, given, given_recorded, on, projection_laws,
};
use foldhost_plugin_sdk::{
    Aggregate, Command, Context, Document, Documents, Envelope, Event, Failure, Find, Json,
    NoQueries, Projection, Rejection,
};
use serde_json::{Value, json};

static CALLS: AtomicU64 = AtomicU64::new(0);

/// What no plugin shall do: to answer differently each time.
fn impure() -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed)
}

/// Runs a scenario that has to fail and gives its message.
#[track_caller]
fn failure_of(scenario: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(scenario)).expect_err("the scenario succeeded");
    *panic
        .downcast::<String>()
        .expect("the kit formats its messages")
}

#[derive(Command)]
enum Ask {
    Add { amount: u64 },
    AddSomething,
    RefuseWith { code: String },
}

#[derive(Event)]
#[event(aggregate = "counter")]
enum Happened {
    Added {
        amount: u64,
    },
    #[event(version = 3, upcast(1 => from_nothing, 2 => from_text))]
    Upgraded {
        amount: u64,
    },
}

fn from_nothing(_: Value) -> Result<Value, String> {
    Ok(json!({ "text": "7" }))
}

fn from_text(old: Value) -> Result<Value, String> {
    let amount: u64 = old["text"]
        .as_str()
        .ok_or("no text")?
        .parse()
        .map_err(|_| "no number")?;
    Ok(json!({ "amount": amount }))
}

fn decide(command: Ask) -> Result<Vec<Happened>, Rejection> {
    match command {
        Ask::Add { amount } => Ok(vec![Happened::Added { amount }]),
        Ask::AddSomething => Ok(vec![Happened::Added { amount: impure() }]),
        Ask::RefuseWith { code } => Err(Rejection::new(code, "as asked")),
    }
}

fn amount(event: Happened) -> u64 {
    match event {
        Happened::Added { amount } | Happened::Upgraded { amount } => amount,
    }
}

/// A sound counter, as long as nobody asks for a flaw.
#[derive(Default, Json)]
struct Counter {
    total: u64,
}

impl Aggregate for Counter {
    const NAME: &'static str = "counter";
    type Command = Ask;
    type Event = Happened;

    fn decide(&self, command: Ask, _: &Context<'_>) -> Result<Vec<Happened>, Rejection> {
        decide(command)
    }

    fn evolve(&mut self, event: Happened, _: &Envelope<'_>) {
        self.total = self.total.wrapping_add(amount(event));
    }
}

/// Its snapshots forget the total.
#[derive(Default, Json)]
struct Forgetful {
    total: u64,
}

impl Aggregate for Forgetful {
    const NAME: &'static str = "counter";
    type Command = Ask;
    type Event = Happened;

    fn decide(&self, command: Ask, _: &Context<'_>) -> Result<Vec<Happened>, Rejection> {
        decide(command)
    }

    fn evolve(&mut self, event: Happened, _: &Envelope<'_>) {
        self.total += amount(event);
    }

    fn to_snapshot(&self) -> Vec<u8> {
        br#"{"total": 0}"#.to_vec()
    }
}

/// It folds the same event differently each time.
#[derive(Default, Json)]
struct Fickle {
    total: u64,
}

impl Aggregate for Fickle {
    const NAME: &'static str = "counter";
    type Command = Ask;
    type Event = Happened;

    fn decide(&self, command: Ask, _: &Context<'_>) -> Result<Vec<Happened>, Rejection> {
        decide(command)
    }

    fn evolve(&mut self, _: Happened, _: &Envelope<'_>) {
        self.total = impure();
    }
}

fn added(amount: u64) -> Happened {
    Happened::Added { amount }
}

#[test]
fn a_snapshot_that_forgets_is_found() {
    let message = failure_of(|| given::<Forgetful>([added(2)]).then_view(json!({ "total": 2 })));
    assert!(
        message.starts_with("natively, a snapshot after event 1"),
        "{message}"
    );
}

#[test]
fn a_fold_that_depends_on_more_than_the_events_is_found() {
    let message = failure_of(|| {
        given::<Fickle>([added(2)])
            .when(Ask::Add { amount: 1 })
            .then([added(1)]);
    });
    assert!(message.contains("all events give"), "{message}");
}

#[test]
fn a_decision_that_depends_on_more_than_the_state_is_found() {
    let message = failure_of(aggregate_laws::<Counter>);
    assert!(
        message.contains("`add-something` was accepted"),
        "{message}"
    );
    assert!(message.contains("decided again"), "{message}");
}

#[test]
fn a_code_that_is_not_kebab_case_is_found() {
    let refuse = Ask::RefuseWith {
        code: "NotSo".into(),
    };
    let message = failure_of(|| given::<Counter>([]).when(refuse).then_rejected("NotSo"));
    assert_eq!(message, "the code `NotSo` is not kebab-case");
}

#[test]
fn an_unexpected_decision_is_shown() {
    let refuse = Ask::RefuseWith { code: "no".into() };
    let message = failure_of(|| given::<Counter>([]).when(refuse).then([]));
    assert_eq!(
        message,
        "natively, the command was rejected: no: as asked\nand not accepted with []"
    );
}

#[test]
fn old_events_are_upcast_along_the_whole_chain() {
    given::<Counter>([added(1)])
        .and_raw("Upgraded", 1, json!({}))
        .and_raw("Upgraded", 2, json!({ "text": "20" }))
        .and(Happened::Upgraded { amount: 300 })
        .then_view(json!({ "total": 328 }));
}

#[test]
fn events_that_cannot_be_read_are_failures_that_say_why() {
    given::<Counter>([])
        .and_raw("Upgraded", 4, json!({}))
        .then_unreadable("schema version 4");
    given::<Counter>([])
        .and_raw("Upgraded", 2, json!({}))
        .then_unreadable("no text");
    given::<Counter>([])
        .and_raw("Added", 1, json!({}))
        .then_unreadable("Added: missing field `amount`");
    given::<Counter>([])
        .and_raw("Lost", 1, json!({}))
        .then_unreadable("does not know the event `Lost`");
}

#[test]
fn fields_of_events_that_are_not_known_are_ignored() {
    given::<Counter>([])
        .and_raw("Added", 1, json!({ "amount": 2, "since": "later" }))
        .then_view(json!({ "total": 2 }));
}

/// A document with an index over whatever is in it.
#[derive(Default, Document)]
#[document(collection = "totals", index("total"))]
struct Total {
    total: Value,
}

/// A document whose collection nobody declares.
#[derive(Default, Document)]
#[document(collection = "secret")]
struct Secret {
    total: u64,
}

/// Does with the total what the last digit of an event's amount says.
struct Totals;

impl Projection for Totals {
    const NAME: &'static str = "totals";
    type Event = Happened;
    type Documents = Total;
    type Query = NoQueries;

    fn project(
        event: Happened,
        envelope: &Envelope<'_>,
        documents: &mut Documents<'_>,
    ) -> Result<(), Failure> {
        let id = envelope.aggregate_id();
        let total = match amount(event) {
            1 => json!(impure()),
            2 => json!([1, 2]),
            3 => return documents.put(id, &Secret { total: 1 }),
            4 => Err("four is too much")?,
            5 => panic!("five is far too much"),
            other => json!(other),
        };
        documents.put(id, &Total { total })
    }

    fn plan(query: NoQueries) -> Result<Find, Rejection> {
        match query {}
    }
}

fn totals(amounts: &[u64]) -> impl Iterator<Item = Recorded> {
    amounts.iter().map(|amount| on("counter-a", added(*amount)))
}

#[test]
fn documents_that_depend_on_more_than_the_events_are_found() {
    let message = failure_of(|| drop(given_recorded::<Totals>(totals(&[1]))));
    assert!(
        message.starts_with("natively, folded one by one, `totals` holds"),
        "{message}"
    );
}

#[test]
fn an_index_over_what_is_no_scalar_is_found() {
    let message = failure_of(|| drop(given_recorded::<Totals>(totals(&[2]))));
    assert_eq!(message, "totals/a: `total` is indexed and no scalar");
}

#[test]
fn a_write_to_a_collection_that_is_not_declared_is_found() {
    let message = failure_of(|| drop(given_recorded::<Totals>(totals(&[3]))));
    assert!(
        message.contains("does not declare the collection `secret`"),
        "{message}"
    );
}

#[test]
fn a_failure_names_the_event_and_drops_what_its_batch_wrote() {
    given_recorded::<Totals>(totals(&[7, 4])).then_failure(1, "four is too much");
    let message =
        failure_of(|| drop(given_recorded::<Totals>(totals(&[4])).then_count::<Total>(0)));
    assert_eq!(message, "natively, event 0 failed: four is too much");
}

#[test]
fn the_laws_of_a_projection_meet_what_no_test_wrote_down() {
    failure_of(projection_laws::<Totals>);
}

#[test]
fn a_sound_projection_is_found_sound() {
    given_recorded::<Totals>(totals(&[7, 8]).chain([on("counter-b", added(9))]))
        .then_document::<Total>("a", json!({ "total": 8 }))
        .then_document::<Total>("b", json!({ "total": 9 }))
        .then_count::<Total>(2);
}

#[test]
fn a_query_that_is_not_declared_is_said_so() {
    let message =
        failure_of(|| drop(given_recorded::<Totals>([]).then_query("all", json!({}), [])));
    assert_eq!(message, "natively, it declares no query `all`");
}
