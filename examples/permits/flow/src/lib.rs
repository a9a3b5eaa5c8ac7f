//! Projection `flow`: how often one activity directly follows another, and which paths permits take.
//!
//! An event tells of one task alone, so what its permit did before is kept in a collection of its own, `flow-cases`.
//! When a permit goes on it leaves the path it was on and takes the longer one.

use foldhost_plugin_sdk::{
    Document, Documents, Envelope, Event, Failure, Filter, Find, Projection, Query, Rejection,
};

/// Projection `flow`.
#[derive(Debug)]
pub struct Flow;

/// What permits go through.
#[derive(Event)]
#[event(aggregate = "permit")]
#[allow(missing_docs, reason = "the aggregate `permit` documents its events")]
pub enum PermitEvent {
    TaskRecorded { activity: String },
}

/// Where a permit is. The id is the aggregate id.
#[derive(Document)]
#[document(collection = "flow-cases")]
pub struct Case {
    /// Its last activity.
    pub last: String,
    /// The id of the path that it has taken so far.
    pub path: String,
}

/// Two activities, one directly after the other. The id is a hash of both.
#[derive(Default, Document)]
#[document(
    collection = "flow-pairs",
    index("-count", "from", "to"),
    index("from", "-count"),
    index("to", "-count")
)]
pub struct Pair {
    /// The activity before.
    pub from: String,
    /// The activity after.
    pub to: String,
    /// How often.
    pub count: u64,
}

/// A whole path, from the first task of a permit to its last one so far.
///
/// The id is a hash of them, since a path may be longer than an id.
#[derive(Document)]
#[document(collection = "flow-paths", index("-permits", "tasks"))]
pub struct Path {
    /// The activities in order.
    pub activities: Vec<String>,
    /// How many they are.
    pub tasks: u64,
    /// How many permits have taken exactly this path.
    pub permits: u64,
}

/// What can be asked of the flow.
#[derive(Query)]
#[query(document = Pair)]
pub enum FlowQuery {
    /// The pairs of activities, the commonest first.
    CommonestPairs,
    /// What follows an activity, the commonest first.
    WhatFollows {
        /// Such as `Confirmation of receipt`.
        activity: String,
    },
    /// What comes before an activity, the commonest first.
    WhatPrecedes {
        /// Such as `T04 Determine confirmation of receipt`.
        activity: String,
    },
    /// The paths, the commonest first, short ones before long ones.
    #[query(document = Path)]
    CommonestPaths,
}

impl Projection for Flow {
    const NAME: &'static str = "flow";
    type Event = PermitEvent;
    type Documents = (Case, Pair, Path);
    type Query = FlowQuery;

    fn project(
        event: PermitEvent,
        envelope: &Envelope<'_>,
        documents: &mut Documents<'_>,
    ) -> Result<(), Failure> {
        let PermitEvent::TaskRecorded { activity } = event;
        let id = envelope.aggregate_id();
        let mut activities = match documents.get::<Case>(id)? {
            Some(case) => {
                count_pair(case.last, activity.clone(), documents)?;
                leave(&case.path, documents)?
            }
            None => Vec::new(),
        };
        activities.push(activity.clone());
        let path = take(activities, documents)?;
        let last = activity;
        documents.put(id, &Case { last, path })
    }

    fn plan(query: FlowQuery) -> Result<Find, Rejection> {
        Ok(match query {
            FlowQuery::CommonestPairs => Find::all().sort(["-count", "from", "to"]),
            FlowQuery::WhatFollows { activity } => {
                Find::matching(Filter::eq("from", activity)).sort(["-count"])
            }
            FlowQuery::WhatPrecedes { activity } => {
                Find::matching(Filter::eq("to", activity)).sort(["-count"])
            }
            FlowQuery::CommonestPaths => Find::all().sort(["-permits", "tasks"]),
        })
    }
}

fn count_pair(from: String, to: String, documents: &mut Documents<'_>) -> Result<(), Failure> {
    documents.upsert(&hash([&from, &to]), |pair: &mut Pair| {
        pair.from = from;
        pair.to = to;
        pair.count += 1;
    })
}

/// Takes one permit from a path, which goes with its last one; gives its activities.
fn leave(id: &str, documents: &mut Documents<'_>) -> Result<Vec<String>, Failure> {
    let Some(mut path) = documents.get::<Path>(id)? else {
        return Err(Failure::new(format!("there is no path {id} to go on from")));
    };
    path.permits -= 1;
    if path.permits == 0 {
        documents.delete::<Path>(id);
    } else {
        documents.put(id, &path)?;
    }
    Ok(path.activities)
}

/// Adds one permit to a path and gives the path's id.
fn take(activities: Vec<String>, documents: &mut Documents<'_>) -> Result<String, Failure> {
    let id = hash(&activities);
    let permits = match documents.get::<Path>(&id)? {
        Some(path) if path.activities == activities => path.permits,
        Some(_) => return Err(Failure::new(format!("two paths have the id {id}"))),
        None => 0,
    };
    let path = Path {
        tasks: activities.len() as u64,
        activities,
        permits: permits + 1,
    };
    documents.put(&id, &path)?;
    Ok(id)
}

/// FNV-1a in 128 bits, in hexadecimal: the standard library's hash may change with the compiler, and ids may not.
fn hash<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    // 0xff occurs in no UTF-8 text, so it keeps ["ab", "c"] and ["a", "bc"] apart.
    let bytes = names
        .into_iter()
        .flat_map(|name| name.bytes().chain([0xff]));
    let hash = bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    format!("{hash:032x}")
}

foldhost_plugin_sdk::export_projection!(Flow);
