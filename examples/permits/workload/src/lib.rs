//! Projection `workload`: how many tasks each resource did on each day.

use foldhost_plugin_sdk::{
    Day, Document, Documents, Envelope, Event, Failure, Filter, Find, Projection, Query, Rejection,
    Time,
};

/// Projection `workload`.
#[derive(Debug)]
pub struct Workload;

/// What is counted.
#[derive(Event)]
#[event(aggregate = "permit")]
#[allow(missing_docs, reason = "the aggregate `permit` documents its events")]
pub enum PermitEvent {
    TaskRecorded { resource: String, at: Time },
}

/// What one resource did on one day. The id is `<day>/<resource>`.
#[derive(Default, Document)]
#[document(
    collection = "workload",
    index("resource", "day"),
    index("day", "-tasks"),
    index("-tasks")
)]
pub struct DayOfWork {
    /// The day in UTC, by the times of the tasks.
    pub day: Day,
    /// Who worked.
    pub resource: String,
    /// Tasks done.
    pub tasks: u64,
}

/// What can be asked of the workload.
#[derive(Query)]
#[query(document = DayOfWork)]
pub enum WorkloadQuery {
    /// The days on which a resource did something, in order.
    WorkloadOfResource {
        /// Such as `Resource01`.
        resource: String,
        /// The first day, such as 2011-10-01.
        from: Option<Day>,
        /// The last day, included.
        to: Option<Day>,
    },
    /// What everybody did on a day, those who did the most first.
    WorkloadOnDay {
        /// Such as 2011-10-11.
        day: Day,
    },
    /// The most tasks that anybody did on a day, the most first.
    BusiestDays,
}

impl Projection for Workload {
    const NAME: &'static str = "workload";
    type Event = PermitEvent;
    type Documents = DayOfWork;
    type Query = WorkloadQuery;

    fn project(
        event: PermitEvent,
        _: &Envelope<'_>,
        documents: &mut Documents<'_>,
    ) -> Result<(), Failure> {
        let PermitEvent::TaskRecorded { resource, at } = event;
        let day = at.day();
        documents.upsert(&format!("{day}/{resource}"), |work: &mut DayOfWork| {
            work.day = day;
            work.resource = resource;
            work.tasks += 1;
        })
    }

    fn plan(query: WorkloadQuery) -> Result<Find, Rejection> {
        Ok(match query {
            WorkloadQuery::WorkloadOfResource { resource, from, to } => {
                refuse_backwards(from, to)?;
                let from = from.map(|day| Filter::gte("day", day));
                let to = to.map(|day| Filter::lte("day", day));
                let filters = [Some(Filter::eq("resource", resource)), from, to];
                Find::matching(Filter::all_of(filters.into_iter().flatten())).sort(["day"])
            }
            WorkloadQuery::WorkloadOnDay { day } => {
                Find::matching(Filter::eq("day", day)).sort(["-tasks"])
            }
            WorkloadQuery::BusiestDays => Find::all().sort(["-tasks"]),
        })
    }
}

fn refuse_backwards(from: Option<Day>, to: Option<Day>) -> Result<(), Rejection> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => {
            let message = format!("{from} is after {to}");
            Err(Rejection::new("from-after-to", message))
        }
        _ => Ok(()),
    }
}

foldhost_plugin_sdk::export_projection!(Workload);
