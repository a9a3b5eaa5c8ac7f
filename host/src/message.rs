//! The vocabulary: pure types that every other module speaks in.
//!
//! Nothing here does I/O, nothing is tied to a wire or storage format, and nothing imports another module of ours.
//! Values are parsed where they enter ([`StreamId::parse`], [`Json::parse`]) and trusted from there on.

mod command;
mod event;
mod ids;
mod json;
mod time;

pub use command::{Command, CommandReceipt, EventReceipt, Expected, Rejection};
pub use event::{NewEvent, RecordedEvent, StreamHead};
pub use ids::{AggregateName, CommandId, Digest, InvalidId, Position, StoreId, StreamId, Version};
pub use json::{InvalidJson, Json, JsonLimits};
pub use time::Time;
