//! Given recorded events, then these are the documents.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde_json::Value;

use super::filter::{field, find};
use super::laws::check_cuts;
use super::recorded::Entry;
use super::recorded::{Recorded, record};
use super::rig::{Collection, NewProjectionRig, ProjectionRig, ensure, pretty, projection_rigs};
use crate::guest::{BatchFailure, Fold, ProjectionGuest as _};
use crate::{Document, Find, Projection, Rejection, Time};

/// Folds recorded events of any streams, in this order.
///
/// ```
/// # use foldhost_plugin_sdk::*;
/// # struct Totals;
/// # #[derive(Event)]
/// # #[event(aggregate = "counter")]
/// # enum Wanted { Added { amount: u32 } }
/// # #[derive(Default, Document)]
/// # #[document(collection = "totals", index("total"))]
/// # struct Total { total: u32 }
/// # #[derive(Query)]
/// # #[query(document = Total)]
/// # enum TotalsQuery { TotalsOver { total: u32 } }
/// # impl Projection for Totals {
/// #     const NAME: &'static str = "totals";
/// #     type Event = Wanted;
/// #     type Documents = Total;
/// #     type Query = TotalsQuery;
/// #     fn project(event: Wanted, envelope: &Envelope<'_>, documents: &mut Documents<'_>) -> Result<(), Failure> {
/// #         let Wanted::Added { amount } = event;
/// #         documents.upsert(envelope.aggregate_id(), |total: &mut Total| total.total += amount)
/// #     }
/// #     fn plan(query: TotalsQuery) -> Result<Find, Rejection> {
/// #         let TotalsQuery::TotalsOver { total } = query;
/// #         Ok(Find::matching(Filter::gt("total", total)))
/// #     }
/// # }
/// use foldhost_plugin_sdk::testing::{given_recorded, on};
/// use serde_json::json;
///
/// given_recorded::<Totals>([
///     on("counter-a", Wanted::Added { amount: 1 }),
///     on("counter-b", Wanted::Added { amount: 2 }).at("2026-11-23T09:30:00Z").by("anna"),
///     on("counter-a", Wanted::Added { amount: 3 }),
/// ])
/// .then_document::<Total>("a", json!({ "total": 4 }))
/// .then_no_document::<Total>("c")
/// .then_query("totals-over", json!({ "total": 3 }), [json!({ "total": 4 })]);
/// ```
///
/// # Panics
/// When the documents depend on how the events are cut into batches,
/// or break what their collection declares.
#[track_caller]
pub fn given_recorded<P: Projection>(events: impl IntoIterator<Item = Recorded>) -> Projected<P> {
    let history = record(events);
    let mut outcomes = Vec::new();
    for new_rig in projection_rigs::<Fold<P>>() {
        match fold::<P>(new_rig, &history) {
            Ok(outcome) => outcomes.push(outcome),
            Err(broken) => panic!("{broken}"),
        }
    }
    Projected {
        outcomes,
        projection: PhantomData,
    }
}

/// Folds the history in one place, keeping to the laws.
fn fold<P: Projection>(new_rig: NewProjectionRig, history: &[Entry]) -> Result<Outcome, String> {
    let mut rig = new_rig();
    let folded = rig.project(history);
    let documents = documents_of::<P>(rig.as_mut());
    if folded.is_ok() {
        check_cuts::<P>(new_rig, history, &documents)?;
        check_declarations::<P>(&documents)?;
    }
    Ok(Outcome {
        rig,
        folded,
        documents,
    })
}

/// What came of recorded events.
pub struct Projected<P> {
    outcomes: Vec<Outcome>,
    projection: PhantomData<P>,
}

struct Outcome {
    rig: Box<dyn ProjectionRig>,
    folded: Result<(), BatchFailure>,
    documents: BTreeMap<String, Collection>,
}

impl<P: Projection> Projected<P> {
    /// The document of this id is this one.
    ///
    /// # Panics
    /// When it is another or there is none.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "ends a scenario too")]
    pub fn then_document<D: Document>(self, id: &str, expected: Value) -> Self {
        self.check::<D>(|documents| match documents.get(id) {
            Some(found) => ensure(*found == expected, || {
                let name = D::COLLECTION;
                format!(
                    "{name}/{id} is {}\nand not {}",
                    pretty(found),
                    pretty(&expected)
                )
            }),
            None => Err(format!(
                "there is no {}/{id}, but {:?}",
                D::COLLECTION,
                documents.keys()
            )),
        })
    }

    /// There is no document of this id.
    ///
    /// # Panics
    /// When there is one.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "ends a scenario too")]
    pub fn then_no_document<D: Document>(self, id: &str) -> Self {
        self.check::<D>(|documents| match documents.get(id) {
            Some(found) => Err(format!("{}/{id} is {}", D::COLLECTION, pretty(found))),
            None => Ok(()),
        })
    }

    /// The collection holds so many documents.
    ///
    /// # Panics
    /// When it holds more or fewer.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "ends a scenario too")]
    pub fn then_count<D: Document>(self, expected: usize) -> Self {
        self.check::<D>(|documents| {
            ensure(documents.len() == expected, || {
                let (name, count) = (D::COLLECTION, documents.len());
                format!("{name} holds {count} documents: {:?}", documents.keys())
            })
        })
    }

    /// The named query gives exactly these documents, in this order.
    ///
    /// # Panics
    /// When it gives others or is refused.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "ends a scenario too")]
    pub fn then_query(
        self,
        name: &str,
        parameters: Value,
        expected: impl IntoIterator<Item = Value>,
    ) -> Self {
        let expected = Value::Array(expected.into_iter().collect());
        self.plan(name, &parameters, |documents, planned| {
            let request =
                planned.map_err(|rejection| format!("`{name}` was refused: {rejection}"))?;
            let found = Value::Array(find(documents, &request));
            ensure(found == expected, || {
                format!(
                    "`{name}` gives {}\nand not {}",
                    pretty(&found),
                    pretty(&expected)
                )
            })
        })
    }

    /// The named query is refused with this code.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "ends a scenario too")]
    pub fn then_query_rejected(self, name: &str, parameters: Value, code: &str) -> Self {
        self.plan(name, &parameters, |_, planned| match planned {
            Ok(request) => Err(format!("`{name}` was planned: {request:?}")),
            Err(rejection) => ensure(rejection.code() == code, || {
                format!("`{name}` was refused with {rejection}")
            }),
        })
    }

    /// The event at this place, from 0, cannot be folded, with a message that holds this text.
    ///
    /// # Panics
    /// When all events are folded, or another one fails, or with another message.
    #[track_caller]
    pub fn then_failure(self, index: u32, text: &str) {
        for Outcome { rig, folded, .. } in &self.outcomes {
            match folded {
                Ok(()) => panic!("{}, all events were folded", rig.place()),
                Err(failure) => assert!(
                    failure.index == index && failure.message.contains(text),
                    "{}, event {} failed: {}",
                    rig.place(),
                    failure.index,
                    failure.message,
                ),
            }
        }
    }

    #[track_caller]
    fn check<D: Document>(self, check: impl Fn(&Collection) -> Result<(), String>) -> Self {
        for outcome in &self.outcomes {
            let checked =
                outcome
                    .folded()
                    .and_then(|()| match outcome.documents.get(D::COLLECTION) {
                        Some(documents) => check(documents),
                        None => Err(format!("`{}` is none of its collections", D::COLLECTION)),
                    });
            if let Err(message) = checked {
                panic!("{}, {message}", outcome.rig.place());
            }
        }
        self
    }

    #[track_caller]
    fn plan(
        mut self,
        name: &str,
        parameters: &Value,
        check: impl Fn(&Collection, Result<Find, Rejection>) -> Result<(), String>,
    ) -> Self {
        for outcome in &mut self.outcomes {
            let checked = outcome.folded().and_then(|()| {
                let collection = collection_of::<P>(name)?;
                let planned = outcome.rig.plan(name, parameters);
                check(&outcome.documents[&collection], planned)
            });
            if let Err(message) = checked {
                panic!("{}, {message}", outcome.rig.place());
            }
        }
        self
    }
}

impl Outcome {
    fn folded(&self) -> Result<(), String> {
        match &self.folded {
            Ok(()) => Ok(()),
            Err(failure) => Err(format!(
                "event {} failed: {}",
                failure.index, failure.message
            )),
        }
    }
}

/// All documents of all collections.
pub(super) fn documents_of<P: Projection>(
    rig: &mut dyn ProjectionRig,
) -> BTreeMap<String, Collection> {
    let collections = Fold::<P>::describe().collections.into_iter();
    collections
        .map(|collection| (collection.name.clone(), rig.documents(&collection.name)))
        .collect()
}

fn collection_of<P: Projection>(query: &str) -> Result<String, String> {
    let mut queries = Fold::<P>::describe().queries.into_iter();
    let declared = queries.find(|declared| declared.name == query);
    let collection = declared.map(|declared| declared.collection);
    collection.ok_or_else(|| format!("it declares no query `{query}`"))
}

/// What is indexed is a scalar, what is declared a date is one: the read stores rely on it.
pub(super) fn check_declarations<P: Projection>(
    documents: &BTreeMap<String, Collection>,
) -> Result<(), String> {
    let is_scalar = |value: &Value| !value.is_array() && !value.is_object();
    let is_time = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| text.parse::<Time>().is_ok())
    };
    for declared in Fold::<P>::describe().collections {
        let name = &declared.name;
        for (id, document) in &documents[name] {
            for indexed in declared.indexes.iter().flatten() {
                let path = indexed.path;
                ensure(field(document, path).is_none_or(is_scalar), || {
                    format!("{name}/{id}: `{path}` is indexed and no scalar")
                })?;
            }
            for path in &declared.date_fields {
                let is_date = |value: &Value| value.is_null() || is_time(value);
                ensure(field(document, path).is_none_or(is_date), || {
                    format!("{name}/{id}: `{path}` is declared a time and is none")
                })?;
            }
        }
    }
    Ok(())
}
