//! The projection `saboteur`: harm when a recorded event is folded, and healthy documents otherwise.

use foldhost_plugin_sdk::{
    Document, Documents, Envelope, Event, Failure, Find, Json, Projection, Query, Rejection,
};

use crate::harm::{Harm, text_of};

/// Projection `saboteur`.
#[derive(Debug)]
pub struct SabotagedProjection;

/// What is folded.
#[derive(Event)]
#[event(aggregate = "saboteur")]
pub enum FoldedEvent {
    /// Healthy.
    Behaved {
        /// How often.
        times: u32,
    },
    /// Harmful.
    Sabotage {
        /// What is done.
        how: Harm,
    },
}

/// What a saboteur did. The id is the aggregate id.
#[derive(Default, Document)]
#[document(collection = "saboteur", index("-behaved"))]
pub struct SaboteurDocument {
    /// How often it behaved.
    pub behaved: u64,
    /// How many harmful events were folded and survived.
    pub survived: u64,
}

/// A document that is too large for any read store, in the declared collection.
#[derive(Document)]
#[document(collection = "saboteur")]
pub struct HugeDocument {
    /// As large as asked for.
    pub text: String,
}

/// A document in a collection that is not declared.
#[derive(Document)]
#[document(collection = "saboteur_undeclared")]
struct UndeclaredDocument {
    behaved: u64,
}

/// What is no object, in the declared collection.
#[derive(Json)]
#[serde(transparent)]
struct NotAnObject(Vec<u64>);

impl Document for NotAnObject {
    const COLLECTION: &'static str = SaboteurDocument::COLLECTION;
}

/// What can be asked of saboteurs.
#[derive(Query)]
#[query(document = SaboteurDocument)]
pub enum SaboteurQuery {
    /// Saboteurs, those that behaved most first.
    BestSaboteurs,
    /// Does harm while the query is planned.
    PlanBadly {
        /// What is done.
        how: Harm,
    },
}

impl Projection for SabotagedProjection {
    const NAME: &'static str = "saboteur";
    type Event = FoldedEvent;
    type Documents = SaboteurDocument;
    type Query = SaboteurQuery;

    fn project(
        event: FoldedEvent,
        envelope: &Envelope<'_>,
        documents: &mut Documents<'_>,
    ) -> Result<(), Failure> {
        let id = envelope.aggregate_id();
        match event {
            FoldedEvent::Behaved { times } => {
                documents.upsert(id, |document: &mut SaboteurDocument| {
                    document.behaved += u64::from(times);
                })
            }
            FoldedEvent::Sabotage { how } => {
                sabotage(how, id, documents)?;
                documents.upsert(id, |document: &mut SaboteurDocument| document.survived += 1)
            }
        }
    }

    fn plan(query: SaboteurQuery) -> Result<Find, Rejection> {
        if let SaboteurQuery::PlanBadly { how } = query {
            how.be_done()
                .map_err(|failure| Rejection::new("refused", failure.message()))?;
        }
        Ok(Find::all().sort(["-behaved"]))
    }
}

fn sabotage(how: Harm, id: &str, documents: &mut Documents<'_>) -> Result<(), Failure> {
    // A document of its own, so that the healthy one can still be read when the host lets this one pass.
    let harmful = format!("{id}-harmful");
    match how {
        Harm::UndeclaredCollection => documents.put(&harmful, &UndeclaredDocument { behaved: 0 }),
        Harm::HugeDocument => documents.put(&harmful, &HugeDocument { text: text_of(32) }),
        Harm::NotAnObject => documents.put(&harmful, &NotAnObject(vec![1, 2, 3])),
        _ => how.be_done(),
    }
}
