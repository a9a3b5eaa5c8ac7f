//! Plugins: WebAssembly components that define aggregates and projections.
//!
//! In come bytes ([`Plugin::load`]) and typed calls; out come verdicts, folded documents, or a [`Fault`].
//! Every guest call has a deadline, a memory cap and an output cap. A fault costs the instance, never the host.
//! `wasmtime` is known here and nowhere else.

mod bindings;
mod cache;
mod component;
mod descriptor;
mod fault;
mod guest;
mod limits;
mod packed;
mod sandbox;
mod translate;
mod wasi;
mod working_set;

pub use cache::CodeCache;
pub use component::{CONTRACT, MAX_COMPONENT_BYTES, NotAPlugin, Plugin};
pub use descriptor::{
    AggregateDescriptor, Collection, CommandType, Descriptor, EventType, Parameter, ParameterKind,
    ProjectionDescriptor, QueryType, RESERVED_PARAMETERS, WantedEvent,
};
pub use fault::Fault;
pub use guest::{AggregateGuest, FindRequest, GuestCommand, GuestState, ProjectionGuest, Verdict};
pub use limits::Limits;
pub use packed::Packed;
pub use sandbox::Sandbox;
pub use working_set::{Change, Fetch, Misuse, WorkingSet};
