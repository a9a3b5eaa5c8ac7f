//! The fold from all events to one document a day, counting what happened; nothing is ever taken back.

use foldhost_plugin_sdk::{
    Day, Document, Documents, Envelope, Event, Failure, Filter, Find, Projection, Query, Rejection,
};

/// Projection `activity`.
#[derive(Debug)]
pub struct Activity;

/// What is counted.
#[derive(Event)]
#[event(aggregate = "post")]
#[allow(missing_docs, reason = "the aggregate `post` documents its events")]
pub enum PostEvent {
    PostCreated,
    PostLiked,
    CommentAdded,
    PostDeleted,
}

/// One day in UTC, by the times of the events. The id is the day.
#[derive(Default, Document)]
#[document(collection = "activity", index("day"))]
pub struct DayOfActivity {
    /// The day.
    pub day: Day,
    /// Posts written.
    pub posts: u64,
    /// Likes given.
    pub likes: u64,
    /// Comments added.
    pub comments: u64,
    /// Posts deleted.
    pub deletions: u64,
}

/// What can be asked of the days.
#[derive(Query)]
#[query(document = DayOfActivity)]
pub enum ActivityQuery {
    /// The days from one to another, both included, in order; days on which nothing happened are not there.
    ActivityBetween {
        /// The first day, such as 2026-11-01.
        from: Day,
        /// The last day, such as 2026-11-30.
        to: Day,
    },
}

impl Projection for Activity {
    const NAME: &'static str = "activity";
    type Event = PostEvent;
    type Documents = DayOfActivity;
    type Query = ActivityQuery;

    fn project(
        event: PostEvent,
        envelope: &Envelope<'_>,
        documents: &mut Documents<'_>,
    ) -> Result<(), Failure> {
        let day = envelope.time.day();
        documents.upsert(&day.to_string(), |activity: &mut DayOfActivity| {
            activity.day = day;
            match event {
                PostEvent::PostCreated => activity.posts += 1,
                PostEvent::PostLiked => activity.likes += 1,
                PostEvent::CommentAdded => activity.comments += 1,
                PostEvent::PostDeleted => activity.deletions += 1,
            }
        })
    }

    fn plan(query: ActivityQuery) -> Result<Find, Rejection> {
        let ActivityQuery::ActivityBetween { from, to } = query;
        Ok(Find::matching(Filter::gte("day", from).and(Filter::lte("day", to))).sort(["day"]))
    }
}
