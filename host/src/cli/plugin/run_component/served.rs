//! One plugin and what lives in it between requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhost::message::{Json, Rejection, StreamId};
use foldhost::plugin::{
    AggregateGuest, Fault, FindRequest, GuestState, Packed, Plugin, ProjectionGuest, Verdict,
    WorkingSet,
};
use serde_json::{Value, json};

use super::super::check;
use super::protocol::{Command, Request, from_hex, pack, to_hex};

/// Answers requests. What lives in an instance is gone when it traps; another one is made for the next request.
pub(super) struct Served {
    plugin: Arc<Plugin>,
    aggregate: Option<AggregateGuest>,
    projection: Option<ProjectionGuest>,
    states: HashMap<u64, (StreamId, GuestState)>,
    last_state: u64,
    documents: Documents,
}

/// All documents by collection and id.
type Documents = Arc<Mutex<BTreeMap<(String, String), Json>>>;

/// What is answered instead of `ok`.
enum Refusal {
    Rejected(Rejection),
    Malformed(String),
    Failure(usize, String),
    Trap(String),
    Error(String),
}

type Answered = Result<Value, Refusal>;

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::FoldFailed { index, message, .. } => Self::Failure(index, message),
            fault => Self::Trap(fault.to_string()),
        }
    }
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Error(reason)
    }
}

impl Refusal {
    fn to_json(&self) -> Value {
        match self {
            Self::Rejected(rejection) => {
                json!({ "rejected": { "code": rejection.code, "message": rejection.message } })
            }
            Self::Malformed(reason) => json!({ "malformed": reason }),
            Self::Failure(index, message) => {
                json!({ "failure": { "index": index, "message": message } })
            }
            Self::Trap(message) => json!({ "trap": message }),
            Self::Error(reason) => json!({ "error": reason }),
        }
    }
}

impl Served {
    pub(super) fn new(plugin: &Arc<Plugin>) -> Self {
        Self {
            plugin: Arc::clone(plugin),
            aggregate: None,
            projection: None,
            states: HashMap::new(),
            last_state: 0,
            documents: Documents::default(),
        }
    }

    /// Answers one request.
    pub(super) fn answer(&mut self, request: Request) -> Value {
        match self.try_answer(request) {
            Ok(value) => json!({ "ok": value }),
            Err(refusal) => refusal.to_json(),
        }
    }

    fn try_answer(&mut self, request: Request) -> Answered {
        match request {
            Request::Describe => Ok(check::descriptor(&self.plugin)),
            Request::New { stream } => self.open(&stream),
            Request::Restore { state, snapshot } => self.restore(state, &from_hex(&snapshot)?),
            Request::Evolve { state, events } => {
                let packed = pack(events)?;
                self.with_state(state, |guest, state| guest.evolve(state, &packed))
                    .map(|()| Value::Null)
            }
            Request::Decide { state, command } => self.decide(state, *command),
            Request::Snapshot { state } => self
                .with_state(state, AggregateGuest::snapshot)
                .map(|bytes| to_hex(&bytes).into()),
            Request::View { state } => self
                .with_state(state, AggregateGuest::view)
                .map(|view| view.to_value()),
            Request::Drop { state } => {
                self.with_state(state, AggregateGuest::close)?;
                self.states.remove(&state);
                Ok(Value::Null)
            }
            Request::Project { events } => self.project(&pack(events)?),
            Request::Documents { collection } => Ok(self.of_collection(&collection)),
            Request::Plan { query, parameters } => self.plan(&query, &Json::from(&parameters)),
        }
    }

    fn open(&mut self, stream: &str) -> Answered {
        let stream = StreamId::parse(stream).map_err(|error| error.to_string())?;
        let guest = match &mut self.aggregate {
            Some(guest) => guest,
            None => self.aggregate.insert(AggregateGuest::new(&self.plugin)?),
        };
        let opened = guest.open(&stream);
        self.bury();
        self.last_state += 1;
        self.states.insert(self.last_state, (stream, opened?));
        Ok(json!({ "state": self.last_state }))
    }

    /// A snapshot that is refused is a failure; only what breaks the instance is a trap.
    fn restore(&mut self, state: u64, snapshot: &[u8]) -> Answered {
        match self.with_state(state, |guest, state| guest.restore(state, snapshot)) {
            Err(Refusal::Trap(message)) if self.aggregate.is_some() => {
                Err(Refusal::Failure(0, message))
            }
            restored => restored.map(|()| Value::Null),
        }
    }

    fn decide(&mut self, state: u64, command: Command) -> Answered {
        let stream = self.state(state)?.0;
        let command = command.for_guest(stream)?;
        match self.with_state(state, |guest, state| guest.decide(state, &command))? {
            Verdict::Accepted(events) => {
                let event = |(event_type, schema_version, data): (Arc<str>, u32, Json)| json!({ "type": *event_type, "schema_version": schema_version, "data": data.to_value() });
                Ok(json!({ "events": events.into_iter().map(event).collect::<Vec<_>>() }))
            }
            Verdict::Rejected(rejection) => Err(Refusal::Rejected(rejection)),
            Verdict::Malformed(reason) => Err(Refusal::Malformed(reason)),
        }
    }

    fn state(&self, state: u64) -> Result<(StreamId, GuestState), Refusal> {
        let known = self.states.get(&state).cloned();
        known.ok_or_else(|| {
            Refusal::Error(format!(
                "there is no state {state}; a trap takes all of them along"
            ))
        })
    }

    fn with_state<R>(
        &mut self,
        state: u64,
        call: impl FnOnce(&mut AggregateGuest, GuestState) -> Result<R, Fault>,
    ) -> Result<R, Refusal> {
        let (_, state) = self.state(state)?;
        let Some(guest) = &mut self.aggregate else {
            return Err(Refusal::Error("there is no instance".to_owned()));
        };
        let result = call(guest, state);
        self.bury();
        Ok(result?)
    }

    /// Lets go of instances that have trapped.
    fn bury(&mut self) {
        if self
            .aggregate
            .as_ref()
            .is_some_and(AggregateGuest::is_poisoned)
        {
            self.aggregate = None;
            self.states.clear();
        }
        if self
            .projection
            .as_ref()
            .is_some_and(ProjectionGuest::is_poisoned)
        {
            self.projection = None;
        }
    }

    fn projection(&mut self) -> Result<&mut ProjectionGuest, Fault> {
        let guest = match self.projection.take() {
            Some(guest) => guest,
            None => ProjectionGuest::new(&self.plugin)?,
        };
        Ok(self.projection.insert(guest))
    }

    fn project(&mut self, packed: &Packed) -> Answered {
        let descriptor = self.plugin.descriptor.projection.as_ref();
        let collections = descriptor
            .map(|projection| Arc::clone(&projection.collections))
            .unwrap_or_default();
        let documents = Arc::clone(&self.documents);
        let fetch = move |collection: &str, id: &str| {
            Ok(lock(&documents)
                .get(&(collection.to_owned(), id.to_owned()))
                .cloned())
        };
        let working_set = WorkingSet::new(
            collections,
            self.plugin.limits.document_bytes,
            Box::new(fetch),
        );
        let (working_set, folded) = self.projection()?.project(packed, working_set);
        self.bury();
        folded?;
        let mut documents = lock(&self.documents);
        for (collection, id, document) in working_set
            .map(WorkingSet::into_changes)
            .unwrap_or_default()
        {
            match document {
                Some(document) => documents.insert((collection, id), document),
                None => documents.remove(&(collection, id)),
            };
        }
        Ok(Value::Null)
    }

    fn of_collection(&self, collection: &str) -> Value {
        let documents = lock(&self.documents);
        let of_it = documents.iter().filter(|((of, _), _)| of == collection);
        Value::Object(
            of_it
                .map(|((_, id), document)| (id.clone(), document.to_value()))
                .collect(),
        )
    }

    fn plan(&mut self, query: &str, parameters: &Json) -> Answered {
        let planned = self.projection()?.plan(query, parameters);
        self.bury();
        let FindRequest { filter, sort, most } = planned?.map_err(Refusal::Rejected)?;
        let sort = sort
            .into_iter()
            .map(|key| json!({ "path": key.path, "descending": key.descending }));
        Ok(json!({ "filter": filter.to_value(), "sort": sort.collect::<Vec<_>>(), "most": most }))
    }
}

fn lock(documents: &Documents) -> MutexGuard<'_, BTreeMap<(String, String), Json>> {
    documents.lock().unwrap_or_else(PoisonError::into_inner)
}
