//! Projection `permits`: one document a permit, with how far it is, what was done and how long it took.

use foldhost_plugin_sdk::{
    Document, Documents, Envelope, Event, Failure, Filter, Find, Json, Projection, Query,
    Rejection, Time,
};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Projection `permits`.
#[derive(Debug)]
pub struct Permits;

/// What happens to permits.
#[derive(Event)]
#[event(aggregate = "permit")]
#[allow(missing_docs, reason = "the aggregate `permit` documents its events")]
pub enum PermitEvent {
    PermitRegistered {
        channel: String,
        department: String,
        group: Option<String>,
        responsible: String,
        started_at: Time,
        ended_at: Option<Time>,
        deadline: Option<Time>,
    },
    TaskRecorded {
        activity: String,
        at: Time,
    },
}

/// How far a permit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Json)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has no end date.
    Open,
    /// It has one.
    Closed,
}

/// A permit. The id is the aggregate id.
#[derive(Document)]
#[document(
    collection = "permits",
    index("state", "started_at"),
    index("responsible", "started_at"),
    index("channel", "-elapsed_seconds"),
    index("-elapsed_seconds")
)]
pub struct PermitDocument {
    /// The aggregate id.
    pub permit_id: String,
    /// How far it is.
    pub state: State,
    /// How it came in.
    pub channel: String,
    /// Which department handles it.
    pub department: String,
    /// Which group handles it, if one does.
    pub group: Option<String>,
    /// Who is responsible for it.
    pub responsible: String,
    /// When it came in.
    pub started_at: Time,
    /// When it was closed. In the real log this may be before tasks that were done later.
    pub ended_at: Option<Time>,
    /// When it has to be decided.
    pub deadline: Option<Time>,
    /// When the last task was done.
    pub last_task_at: Option<Time>,
    /// From the start to the last task, in whole seconds.
    pub elapsed_seconds: i64,
    /// How many tasks were done.
    pub tasks: u64,
    /// The activities of those tasks, in order.
    pub path: Vec<String>,
}

/// What can be asked of the permits.
#[derive(Query)]
#[query(document = PermitDocument)]
pub enum PermitsQuery {
    /// The permits without an end date, the oldest first.
    OpenPermits,
    /// The permits that somebody is responsible for, the oldest first.
    PermitsOfResponsible {
        /// Such as `Resource21`.
        responsible: String,
    },
    /// All permits, or those of one channel, those that took longest first.
    SlowestPermits {
        /// Such as `Internet`.
        channel: Option<String>,
    },
}

impl Projection for Permits {
    const NAME: &'static str = "permits";
    type Event = PermitEvent;
    type Documents = PermitDocument;
    type Query = PermitsQuery;

    fn project(
        event: PermitEvent,
        envelope: &Envelope<'_>,
        documents: &mut Documents<'_>,
    ) -> Result<(), Failure> {
        let id = envelope.aggregate_id();
        match event {
            PermitEvent::PermitRegistered {
                channel,
                department,
                group,
                responsible,
                started_at,
                ended_at,
                deadline,
            } => {
                let permit = PermitDocument {
                    permit_id: id.to_owned(),
                    state: ended_at.map_or(State::Open, |_| State::Closed),
                    channel,
                    department,
                    group,
                    responsible,
                    started_at,
                    ended_at,
                    deadline,
                    last_task_at: None,
                    elapsed_seconds: 0,
                    tasks: 0,
                    path: Vec::new(),
                };
                documents.put(id, &permit)
            }
            PermitEvent::TaskRecorded { activity, at } => {
                let was_there = documents.update(id, |permit: &mut PermitDocument| {
                    permit.take_task(activity, at);
                })?;
                refuse_unless(was_there, id)
            }
        }
    }

    fn plan(query: PermitsQuery) -> Result<Find, Rejection> {
        Ok(match query {
            PermitsQuery::OpenPermits => {
                Find::matching(Filter::eq("state", "open")).sort(["started_at"])
            }
            PermitsQuery::PermitsOfResponsible { responsible } => {
                Find::matching(Filter::eq("responsible", responsible)).sort(["started_at"])
            }
            PermitsQuery::SlowestPermits { channel } => channel
                .map_or_else(Find::all, |channel| {
                    Find::matching(Filter::eq("channel", channel))
                })
                .sort(["-elapsed_seconds"]),
        })
    }
}

impl PermitDocument {
    fn take_task(&mut self, activity: String, at: Time) {
        self.last_task_at = Some(at);
        self.elapsed_seconds = at.micros_since(self.started_at) / MICROS_PER_SECOND;
        self.tasks += 1;
        self.path.push(activity);
    }
}

fn refuse_unless(was_there: bool, id: &str) -> Result<(), Failure> {
    if was_there {
        return Ok(());
    }
    Err(Failure::new(format!("permit {id} was never registered")))
}

foldhost_plugin_sdk::export_projection!(Permits);
