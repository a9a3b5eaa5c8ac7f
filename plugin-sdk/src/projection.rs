//! Projections: events in, documents out.

use crate::{Collections, Documents, Envelope, Failure, Find, ForeignEvent, Query, Rejection};

/// A fold from the events of all streams to the documents of a read model.
///
/// A projection keeps nothing but its documents:
/// what it writes depends on the event and on the documents alone, so that a rebuild gives the same ones,
/// however the host cuts the events into batches.
/// The type itself is only a name for it: `pub struct Posts;`.
pub trait Projection: 'static {
    /// Unique among the host's projections: a lower-case letter, then letters, digits, `_` or `-`.
    const NAME: &'static str;

    /// The events it wants, an enum with `#[derive(Event)]` that says whose they are.
    ///
    /// It is the projection's own declaration of what it reads of them; it need not be all of their fields.
    type Event: ForeignEvent;

    /// The documents it keeps: a struct with `#[derive(Document)]`, or a tuple of them.
    type Documents: Collections;

    /// The named queries it answers: an enum with `#[derive(Query)]`, or [`NoQueries`](crate::NoQueries).
    type Query: Query;

    /// Folds one event.
    ///
    /// # Errors
    /// When the event cannot be folded: all that the batch wrote is dropped, and in the end the event is parked.
    fn project(
        event: Self::Event,
        envelope: &Envelope<'_>,
        documents: &mut Documents<'_>,
    ) -> Result<(), Failure>;

    /// Turns a named query into what the read store is to find.
    ///
    /// # Errors
    /// When parameters do not make sense together or in their values.
    fn plan(query: Self::Query) -> Result<Find, Rejection>;
}
