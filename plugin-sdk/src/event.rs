//! Events: what an aggregate writes and what a projection wants.

use serde_json::Value;

use crate::describe::EventType;
use crate::guest::NewEvent;

/// Turns the data of one schema version into the next.
pub type Upcaster = fn(Value) -> Result<Value, String>;

/// The events of an aggregate, or those that a projection wants; implemented by `#[derive(Event)]` on an enum.
///
/// One variant is one event type: its name is the type, its fields are the JSON data.
/// Data fields that are not known are ignored, missing ones are an error, unless `#[serde(default)]` says otherwise.
///
/// `#[event(..)]` on a variant takes
/// - `name = ".."`: a type other than the variant's name,
/// - `version = 2`: the schema version that is written, 1 unless said,
/// - `upcast(1 => function, ..)`: how data of an older version becomes data of the next, see [`Upcaster`],
/// - `aggregate = ".."`: whose event it is; a projection has to say it, for each variant or for the whole enum.
///
/// ```
/// use foldhost_plugin_sdk::Event;
/// use serde_json::{Value, json};
///
/// #[derive(Event)]
/// enum CounterEvent {
///     #[event(version = 2, upcast(1 => call_it_amount))]
///     Added { amount: u32 },
/// }
///
/// fn call_it_amount(old: Value) -> Result<Value, String> {
///     Ok(json!({ "amount": old["by"] }))
/// }
///
/// let event = CounterEvent::read("counter", "Added", 1, br#"{"by": 3}"#).unwrap();
/// assert!(matches!(event, Some(CounterEvent::Added { amount: 3 })));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no enum of events",
    note = "add `#[derive(Event)]` to the enum"
)]
pub trait Event: Sized {
    /// Descriptors of all event types.
    fn types() -> Vec<EventType>;

    /// Reads a recorded event; `None` when it is of none of these types.
    ///
    /// # Errors
    /// What is wrong with the data, naming the event.
    fn read(
        aggregate: &str,
        name: &str,
        schema_version: u32,
        data: &[u8],
    ) -> Result<Option<Self>, String>;

    /// Writes the event in its newest schema version.
    fn write(self) -> NewEvent;
}

/// Events of which it is said whose they are, as a projection needs it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whose events it wants",
    note = "add `#[derive(Event)]` and `#[event(aggregate = \"..\")]` to the enum, or the latter to each variant"
)]
pub trait ForeignEvent: Event {}
