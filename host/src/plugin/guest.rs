//! Running guests: typed calls into one instance.

use std::sync::Arc;

use wasmtime::component::ResourceAny;

use super::bindings::aggregate_world::AggregatePlugin;
use super::bindings::aggregate_world::exports::foldhost::plugin::aggregate as a;
use super::bindings::projection_world::ProjectionPlugin;
use super::component::Plugin;
use super::fault::Fault;
use super::packed::Packed;
use super::sandbox::Cell;
use super::wasi::Seed;
use super::working_set::WorkingSet;
use crate::message::{Json, JsonLimits, Rejection, StoreId, StreamId, Time};
use crate::read_store::{Filter, SortKey};

/// An aggregate's instance with any number of states in it.
pub struct AggregateGuest {
    plugin: Arc<Plugin>,
    cell: Cell,
    world: AggregatePlugin,
}

/// A state that lives in a guest; worthless once the guest has trapped.
#[derive(Clone, Copy, Debug)]
pub struct GuestState(ResourceAny);

/// A command as the guest sees it.
#[derive(Clone, Debug)]
pub struct GuestCommand {
    /// Which store it is decided for: part of the seed.
    pub store: StoreId,
    /// Which stream: part of the seed.
    pub stream: StreamId,
    /// The command's name.
    pub name: Arc<str>,
    /// What it takes.
    pub payload: Json,
    /// Its identity: part of the seed.
    pub command_id: Arc<str>,
    /// What the guest's clock shows.
    pub time: Time,
    /// Who sent it.
    pub actor: Arc<str>,
    /// Correlates what one outside request set in motion.
    pub correlation_id: Arc<str>,
}

/// What a guest decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Accepted, with these events: type, schema version, data.
    Accepted(Vec<(Arc<str>, u32, Json)>),
    /// Refused by the state.
    Rejected(Rejection),
    /// The payload is not what the command takes.
    Malformed(String),
}

impl AggregateGuest {
    /// Makes an instance.
    pub fn new(plugin: &Arc<Plugin>) -> Result<Self, Fault> {
        let mut cell = plugin.cell();
        let Some(pre) = &plugin.aggregate else {
            return Err(cell.broken("instantiate", "it defines no aggregate"));
        };
        let limit = plugin.limits.project_deadline();
        let world = cell.call("instantiate", limit, still(), |store| {
            pre.instantiate(store)
        })?;
        Ok(Self {
            plugin: Arc::clone(plugin),
            cell,
            world,
        })
    }

    /// Returns the plugin version that runs here.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Returns how many bytes of linear memory are in use.
    pub fn memory(&self) -> usize {
        self.cell.memory()
    }

    /// Tells whether a call has trapped, so that all states in it are lost.
    pub fn is_poisoned(&self) -> bool {
        self.cell.is_poisoned()
    }

    /// Makes the state of a stream before any event.
    pub fn open(&mut self, stream: &StreamId) -> Result<GuestState, Fault> {
        let states = self.world.foldhost_plugin_aggregate().state();
        let limit = self.plugin.limits.deadline();
        let state = self.cell.call("constructor", limit, still(), |store| {
            states.call_constructor(store, stream.as_str())
        })?;
        Ok(GuestState(state))
    }

    /// Puts a snapshot back.
    pub fn restore(&mut self, state: GuestState, snapshot: &[u8]) -> Result<(), Fault> {
        let states = self.world.foldhost_plugin_aggregate().state();
        let limit = self.plugin.limits.project_deadline();
        let restored = self.cell.call("restore", limit, still(), |store| {
            states.call_restore(store, state.0, snapshot)
        })?;
        restored.map_err(|message| self.cell.broken("restore", message))
    }

    /// Folds packed events into a state.
    pub fn evolve(&mut self, state: GuestState, packed: &Packed) -> Result<(), Fault> {
        let states = self.world.foldhost_plugin_aggregate().state();
        let limit = self.plugin.limits.deadline();
        let folded = self.cell.call("evolve", limit, still(), |store| {
            states.call_evolve(store, state.0, &packed.0)
        })?;
        folded.map_err(|failure| Fault::FoldFailed {
            plugin: self.plugin.descriptor.name.clone(),
            index: failure.index as usize,
            message: failure.message,
        })
    }

    /// Decides a command on a state, and checks what comes out against what the plugin declares.
    pub fn decide(&mut self, state: GuestState, command: &GuestCommand) -> Result<Verdict, Fault> {
        let seed = Seed(vec![
            command.store.to_string().into(),
            command.stream.as_str().into(),
            Arc::clone(&command.command_id),
        ]);
        let given = a::Command {
            name: command.name.to_string(),
            payload: command.payload.as_str().as_bytes().to_vec(),
            command_id: command.command_id.to_string(),
            time: command.time.0,
            actor: command.actor.to_string(),
            correlation_id: command.correlation_id.to_string(),
        };
        let states = self.world.foldhost_plugin_aggregate().state();
        let limit = self.plugin.limits.deadline();
        let decided = self
            .cell
            .call("decide", limit, (command.time, seed), |store| {
                states.call_decide(store, state.0, &given)
            })?;
        match decided {
            Ok(events) => self.check_events(events).map(Verdict::Accepted),
            Err(a::Refusal::Rejected(told)) => Ok(Verdict::Rejected(self.cell.rejection(
                "decide",
                told.code,
                &told.message,
            )?)),
            Err(a::Refusal::Malformed(reason)) => Ok(Verdict::Malformed(shortened(&reason))),
        }
    }

    /// Takes a snapshot of a state.
    pub fn snapshot(&mut self, state: GuestState) -> Result<Vec<u8>, Fault> {
        let states = self.world.foldhost_plugin_aggregate().state();
        let limit = self.plugin.limits.deadline();
        self.cell.call("snapshot", limit, still(), |store| {
            states.call_snapshot(store, state.0)
        })
    }

    /// Shows a state to people.
    pub fn view(&mut self, state: GuestState) -> Result<Json, Fault> {
        let states = self.world.foldhost_plugin_aggregate().state();
        let limit = self.plugin.limits.deadline();
        let view = self.cell.call("view", limit, still(), |store| {
            states.call_view(store, state.0)
        })?;
        Json::parse(&view, JsonLimits::bytes(self.plugin.limits.output_bytes()))
            .map_err(|error| self.cell.broken("view", error.to_string()))
    }

    /// Drops a state.
    pub fn close(&mut self, state: GuestState) -> Result<(), Fault> {
        let limit = self.plugin.limits.deadline();
        self.cell
            .call("drop", limit, still(), |store| state.0.resource_drop(store))
    }

    fn check_events(&self, events: Vec<a::NewEvent>) -> Result<Vec<(Arc<str>, u32, Json)>, Fault> {
        let limits = &self.plugin.limits;
        if events.len() > limits.events_per_command {
            let (given, most) = (events.len(), limits.events_per_command);
            return Err(self.cell.broken(
                "decide",
                format!("{given} events for one command, {most} are the most"),
            ));
        }
        events
            .into_iter()
            .map(|event| self.check_event(event))
            .collect()
    }

    fn check_event(&self, event: a::NewEvent) -> Result<(Arc<str>, u32, Json), Fault> {
        let broken = |message: String| Err(self.cell.broken("decide", message));
        let declared = self
            .plugin
            .descriptor
            .aggregate
            .as_ref()
            .and_then(|aggregate| aggregate.event(&event.type_));
        let Some(declared) = declared else {
            return broken(format!("event type {:?} is not declared", event.type_));
        };
        if event.schema_version != declared.schema_version {
            let (given, written) = (event.schema_version, declared.schema_version);
            return broken(format!(
                "event {} has schema version {given}, declared is {written}",
                event.type_
            ));
        }
        match Json::parse(
            &event.data,
            JsonLimits::bytes(self.plugin.limits.event_bytes),
        ) {
            Ok(data) => Ok((Arc::clone(&declared.name), event.schema_version, data)),
            Err(error) => broken(format!("the data of event {}: {error}", event.type_)),
        }
    }
}

/// A projection's instance.
pub struct ProjectionGuest {
    plugin: Arc<Plugin>,
    cell: Cell,
    world: ProjectionPlugin,
}

/// A named query as the read store understands it.
#[derive(Clone, Debug)]
pub struct FindRequest {
    /// Which documents.
    pub filter: Filter,
    /// In which order.
    pub sort: Vec<SortKey>,
    /// The most documents over all pages.
    pub most: Option<u32>,
}

impl ProjectionGuest {
    /// Makes an instance.
    pub fn new(plugin: &Arc<Plugin>) -> Result<Self, Fault> {
        let mut cell = plugin.cell();
        let Some(pre) = &plugin.projection else {
            return Err(cell.broken("instantiate", "it defines no projection"));
        };
        let limit = plugin.limits.project_deadline();
        let world = cell.call("instantiate", limit, still(), |store| {
            pre.instantiate(store)
        })?;
        Ok(Self {
            plugin: Arc::clone(plugin),
            cell,
            world,
        })
    }

    /// Tells whether a call has trapped.
    pub fn is_poisoned(&self) -> bool {
        self.cell.is_poisoned()
    }

    /// Folds packed events over a working set, which comes back in either case.
    ///
    /// It is absent only when the call could not begin.
    pub fn project(
        &mut self,
        packed: &Packed,
        documents: WorkingSet,
    ) -> (Option<WorkingSet>, Result<(), Fault>) {
        self.cell.store.data_mut().documents = Some(documents);
        let projection = self.world.foldhost_plugin_projection();
        let limit = self.plugin.limits.project_deadline();
        let folded = self.cell.call("project", limit, still(), |store| {
            projection.call_project(store, &packed.0)
        });
        let documents = self.cell.store.data_mut().documents.take();
        let result = folded.and_then(|folded| {
            folded.map_err(|failure| Fault::FoldFailed {
                plugin: self.plugin.descriptor.name.clone(),
                index: failure.index as usize,
                message: failure.message,
            })
        });
        (documents, result)
    }

    /// Turns a named query into a find request; the inner error is the plugin's refusal of the parameters.
    pub fn plan(
        &mut self,
        query: &str,
        parameters: &Json,
    ) -> Result<Result<FindRequest, Rejection>, Fault> {
        let parameters = parameters.as_str().as_bytes().to_vec();
        let projection = self.world.foldhost_plugin_projection();
        let limit = self.plugin.limits.deadline();
        let planned = self.cell.call("plan", limit, still(), |store| {
            projection.call_plan(store, query, &parameters)
        })?;
        let request = match planned {
            Ok(request) => request,
            Err(told) => {
                return Ok(Err(self.cell.rejection(
                    "plan",
                    told.code,
                    &told.message,
                )?));
            }
        };
        let filter = serde_json::from_slice(&request.filter).map_err(|error| {
            self.cell
                .broken("plan", format!("the filter is not JSON: {error}"))
        })?;
        let filter = Filter::parse(&filter).map_err(|error| {
            self.cell
                .broken("plan", format!("the filter is not sound: {error}"))
        })?;
        let sort = request.sort.into_iter().map(|key| SortKey {
            path: key.path,
            descending: key.descending,
        });
        Ok(Ok(FindRequest {
            filter,
            sort: sort.collect(),
            most: request.most,
        }))
    }
}

/// The most characters of what a guest tells people in one answer.
const MAX_TOLD: usize = 2_000;

impl Cell {
    /// Checks a refusal: its code is for programs and must be one, its message is cut to a length for people.
    fn rejection(
        &self,
        call: &'static str,
        code: String,
        message: &str,
    ) -> Result<Rejection, Fault> {
        let is_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if code.is_empty() || code.len() > 100 || !code.chars().all(is_code) {
            let shown = code.chars().take(60).collect::<String>();
            return Err(self.broken(
                call,
                format!("the rejection code {shown:?} is not kebab-case of 1 to 100 characters"),
            ));
        }
        Ok(Rejection {
            code,
            message: shortened(message),
        })
    }
}

fn shortened(told: &str) -> String {
    told.chars().take(MAX_TOLD).collect()
}

/// Folding sees a clock that stands still and a fixed seed: time comes from the event.
fn still() -> (Time, Seed) {
    (Time::default(), Seed::default())
}
