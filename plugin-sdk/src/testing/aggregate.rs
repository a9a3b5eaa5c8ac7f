//! Given events of a stream, when a command comes, then this is decided.

use std::marker::PhantomData;

use serde_json::Value;

use super::laws::{check_decision, check_history};
use super::native::new_event;
use super::recorded::{Entry, Recorded, parse, parse_time, record, time_after};
use super::rig::{CommandToSend, Decision, ensure, on_each_aggregate, pretty};
use crate::guest::{NewEvent, Stream};
use crate::{Aggregate, Command as _, Event as _};

/// Starts a scenario from the events of one stream, none of them for a stream that does not exist yet.
///
/// ```
/// # use foldhost_plugin_sdk::{Aggregate, Command, Context, Envelope, Event, Json, Rejection};
/// # #[derive(Default, Json)]
/// # struct Counter { total: u32 }
/// # #[derive(Command)]
/// # enum CounterCommand { Add { amount: u32 } }
/// # #[derive(Event)]
/// # enum CounterEvent { Added { amount: u32 } }
/// # impl Aggregate for Counter {
/// #     const NAME: &'static str = "counter";
/// #     type Command = CounterCommand;
/// #     type Event = CounterEvent;
/// #     fn decide(&self, command: CounterCommand, _: &Context<'_>) -> Result<Vec<CounterEvent>, Rejection> {
/// #         let CounterCommand::Add { amount } = command;
/// #         if amount == 0 { return Err(Rejection::new("nothing-to-add", "add one or more")); }
/// #         Ok(vec![CounterEvent::Added { amount }])
/// #     }
/// #     fn evolve(&mut self, event: CounterEvent, _: &Envelope<'_>) {
/// #         let CounterEvent::Added { amount } = event;
/// #         self.total += amount;
/// #     }
/// # }
/// use foldhost_plugin_sdk::testing::given;
/// use serde_json::json;
///
/// let added = || CounterEvent::Added { amount: 2 };
/// given::<Counter>([]).when(CounterCommand::Add { amount: 2 }).then([added()]);
/// given::<Counter>([added()]).when(CounterCommand::Add { amount: 0 }).then_rejected("nothing-to-add");
/// given::<Counter>([]).when_raw("add", json!({ "amount": -1 })).then_malformed("amount");
/// given::<Counter>([added(), added()]).then_view(json!({ "total": 4 }));
/// ```
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given {
        stream: format!("{}-1", A::NAME),
        events: events.into_iter().map(A::Event::write).collect(),
        aggregate: PhantomData,
    }
}

/// A stream with its events.
#[derive(Debug)]
#[must_use = "a scenario does nothing without a `then`"]
pub struct Given<A> {
    stream: String,
    events: Vec<NewEvent>,
    aggregate: PhantomData<A>,
}

impl<A: Aggregate> Given<A> {
    /// The stream is that of this aggregate id, rather than of `1`.
    pub fn aggregate_id(mut self, id: &str) -> Self {
        self.stream = format!("{}-{id}", A::NAME);
        self
    }

    /// One more event, with data as it was once recorded, in a schema version of its time.
    pub fn and_raw(mut self, event_type: &str, schema_version: u32, data: Value) -> Self {
        let data = data.to_string().into_bytes();
        self.events.push(NewEvent {
            name: event_type.into(),
            schema_version,
            data,
        });
        self
    }

    /// One more event.
    pub fn and(mut self, event: A::Event) -> Self {
        self.events.push(event.write());
        self
    }

    /// A command comes.
    pub fn when(self, command: A::Command) -> When<A> {
        let (name, payload) = command.write();
        self.when_raw(name, parse(&payload))
    }

    /// A command comes with a payload as a client might send it.
    pub fn when_raw(self, name: &str, payload: Value) -> When<A> {
        let history = self.record();
        let command = CommandToSend {
            name: name.into(),
            payload,
            command_id: format!("command-{}", history.len() + 1),
            time: time_after(&history),
            actor: "tester".into(),
            correlation_id: "correlation".into(),
        };
        When {
            given: self,
            command,
        }
    }

    /// The state looks like this as JSON.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn then_view(self, expected: Value) {
        let history = self.record();
        on_each_aggregate::<Stream<A>>(|rig| {
            let view = check_history(rig, &self.stream, &history)?;
            ensure(view == expected, || {
                format!(
                    "{}, the state is {}\nand not {}",
                    rig.place(),
                    pretty(&view),
                    pretty(&expected)
                )
            })
        });
    }

    /// The state is like this; natively alone, since a component does not lend its state.
    ///
    /// # Panics
    /// When the events cannot be folded.
    #[track_caller]
    pub fn then_state(self, check: impl FnOnce(&A)) {
        use crate::guest::AggregateGuest as _;
        let mut stream = Stream::<A>::new(&self.stream);
        if let Err(failure) = stream.evolve(&super::recorded::pack_all(&self.record(), false)) {
            panic!(
                "event {} cannot be folded: {}",
                failure.index, failure.message
            );
        }
        check(stream.state());
    }

    /// An event cannot be read, with a message that holds this text.
    ///
    /// # Panics
    /// When all events can be folded, or the message is another.
    #[track_caller]
    pub fn then_unreadable(self, text: &str) {
        let history = self.record();
        on_each_aggregate::<Stream<A>>(|rig| {
            let state = rig.new_state(&self.stream);
            let folded = rig.evolve(state, &history);
            rig.drop_state(state);
            match folded {
                Ok(()) => Err(format!("{}, all events were folded", rig.place())),
                Err(failure) => ensure(failure.message.contains(text), || {
                    format!("{}, the message is: {}", rig.place(), failure.message)
                }),
            }
        });
    }

    fn record(&self) -> Vec<Entry> {
        record(
            self.events
                .iter()
                .map(|event| Recorded::new(&self.stream, event.clone())),
        )
    }
}

/// A command about to be decided.
#[derive(Debug)]
#[must_use = "a scenario does nothing without a `then`"]
pub struct When<A> {
    given: Given<A>,
    command: CommandToSend,
}

impl<A: Aggregate> When<A> {
    /// The command comes from this actor.
    pub fn by(mut self, actor: &str) -> Self {
        self.command.actor = actor.into();
        self
    }

    /// The command is accepted at this time, in RFC 3339.
    ///
    /// # Panics
    /// When the text is no time.
    #[track_caller]
    pub fn at(mut self, time: &str) -> Self {
        self.command.time = parse_time(time);
        self
    }

    /// The command has this id.
    pub fn command_id(mut self, id: &str) -> Self {
        self.command.command_id = id.into();
        self
    }

    /// Exactly these events happen, none of them for a command that changes nothing.
    ///
    /// # Panics
    /// When something else is decided.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) {
        let events = events.into_iter().map(|event| new_event(&event.write()));
        let expected = Decision::Accepted(events.collect());
        self.check(|decision| *decision == expected, &expected.describe());
    }

    /// The command is accepted with events that the test looks at itself.
    ///
    /// # Panics
    /// When the command is not accepted.
    #[track_caller]
    pub fn then_events(self, check: impl Fn(Vec<A::Event>)) {
        let accepted = |decision: &Decision| {
            let Decision::Accepted(events) = decision else {
                return false;
            };
            check(events.iter().map(read_event::<A>).collect());
            true
        };
        self.check(accepted, "accepted");
    }

    /// The command is refused with this code.
    ///
    /// # Panics
    /// When something else is decided, or the code is not kebab-case.
    #[track_caller]
    pub fn then_rejected(self, code: &str) {
        self.check(
            |decision| matches!(decision, Decision::Rejected(rejection) if rejection.code() == code),
            &format!("rejected with `{code}`"),
        );
    }

    /// The payload is refused with a message that holds this text, such as the name of the field.
    ///
    /// # Panics
    /// When something else is decided.
    #[track_caller]
    pub fn then_malformed(self, text: &str) {
        self.check(
            |decision| matches!(decision, Decision::Malformed(message) if message.contains(text)),
            &format!("malformed with `{text}`"),
        );
    }

    /// Decides the command everywhere, keeping to the laws.
    #[track_caller]
    fn check(&self, is_expected: impl Fn(&Decision) -> bool, expected: &str) {
        let stream = &self.given.stream;
        let history = self.given.record();
        on_each_aggregate::<Stream<A>>(|rig| {
            check_history(rig, stream, &history)?;
            let decision = check_decision(rig, stream, &history, &self.command)?;
            ensure(is_expected(&decision), || {
                let (place, decision) = (rig.place(), decision.describe());
                format!("{place}, the command was {decision}\nand not {expected}")
            })
        });
    }
}

#[track_caller]
fn read_event<A: Aggregate>(event: &Value) -> A::Event {
    let name = event["type"].as_str().unwrap_or_default();
    let schema_version = event["schema_version"]
        .as_u64()
        .and_then(|version| version.try_into().ok());
    let data = event["data"].to_string();
    match A::Event::read(
        A::NAME,
        name,
        schema_version.unwrap_or_default(),
        data.as_bytes(),
    ) {
        Ok(Some(event)) => event,
        Ok(None) => panic!("`{name}` is none of the aggregate's events"),
        Err(error) => panic!("{error}"),
    }
}
