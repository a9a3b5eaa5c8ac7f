//! The laws over histories that nobody wrote: made up from the schemas, the same in every run.

use super::laws::{check_cuts, check_decision, check_history, decided};
use super::made_up::MadeUp;
use super::projection::{check_declarations, documents_of};
use super::recorded::{Entry, Recorded, record};
use super::rig::{
    AggregateRig, CommandToSend, Decision, NewProjectionRig, on_each_aggregate, projection_rigs,
};
use crate::describe::EventType;
use crate::guest::{AggregateGuest as _, Fold, NewEvent, ProjectionGuest as _, Stream};
use crate::{Aggregate, Projection};

/// Histories that one call makes up.
const HISTORIES: u64 = 24;

/// How many commands or events it tries for each.
///
/// Together enough to meet every pair of a dozen commands several times, in about a second natively.
const LENGTH: usize = 48;

/// How many of the histories a component gets, where each fold of a projection takes a process.
const HISTORIES_IN_COMPONENT: u64 = 2;

/// Checks the laws of an aggregate over histories that it decides itself, from commands made up by their schemas.
///
/// ```no_run
/// # use foldhost_plugin_sdk::{Aggregate, testing::aggregate_laws};
/// # fn of<Post: Aggregate>() {
/// // #[test]
/// fn a_post_keeps_the_laws<Post: Aggregate>() {
///     aggregate_laws::<Post>();
/// }
/// # }
/// ```
///
/// # Panics
/// When a law is broken, saying which and where.
#[track_caller]
pub fn aggregate_laws<A: Aggregate>() {
    on_each_aggregate::<Stream<A>>(|rig| {
        for seed in 0..HISTORIES {
            let stream = format!("{}-{seed}", A::NAME);
            let history = decide_history::<A>(rig, &stream, &mut MadeUp::new(seed))?;
            check_history(rig, &stream, &history)?;
        }
        Ok(())
    });
}

/// Sends made-up commands to a new stream and gives the events it decided.
fn decide_history<A: Aggregate>(
    rig: &mut dyn AggregateRig,
    stream: &str,
    made_up: &mut MadeUp,
) -> Result<Vec<Entry>, String> {
    let commands = Stream::<A>::describe().commands;
    let mut events = Vec::new();
    for number in 0..LENGTH {
        let Some(command) = made_up.choose(&commands) else {
            break;
        };
        let history = record(events.clone());
        let command = CommandToSend {
            name: command.name.clone(),
            payload: made_up.value(&command.schema),
            command_id: format!("command-{number}"),
            time: made_up.time_after(&history),
            actor: made_up.text(),
            correlation_id: format!("correlation-{number}"),
        };
        if let Decision::Accepted(new) = check_decision(rig, stream, &history, &command)? {
            for event in &new {
                // Later commands shall meet what earlier ones made, such as ids.
                made_up.remember(&event["data"]);
                events.push(decided(stream, event, &command));
            }
        }
    }
    Ok(record(events))
}

/// Checks the laws of a projection over events made up by their schemas.
///
/// Such histories need not make sense: an event that the projection refuses is left out, as parking leaves it out.
///
/// # Panics
/// When a law is broken, or the projection itself panics.
#[track_caller]
pub fn projection_laws<P: Projection>() {
    for seed in 0..HISTORIES {
        if let Err(broken) = check_made_up::<P>(seed) {
            panic!("{broken}");
        }
    }
}

fn check_made_up<P: Projection>(seed: u64) -> Result<(), String> {
    let rigs = projection_rigs::<Fold<P>>();
    let events = Fold::<P>::describe().events;
    let history = make_up_history(rigs[0], &events, &mut MadeUp::new(seed));
    for new_rig in rigs {
        let mut rig = new_rig();
        if !rig.is_native() && seed >= HISTORIES_IN_COMPONENT {
            continue;
        }
        rig.project(&history).map_err(|failure| {
            let (place, index, message) = (rig.place(), failure.index, failure.message);
            format!("{place}, event {index} fails in a batch and not alone: {message}")
        })?;
        let documents = documents_of::<P>(rig.as_mut());
        check_cuts::<P>(new_rig, &history, &documents)?;
        check_declarations::<P>(&documents)?;
    }
    Ok(())
}

/// Makes up events on a few streams and gives those that the projection takes.
fn make_up_history(
    new_rig: NewProjectionRig,
    events: &[EventType],
    made_up: &mut MadeUp,
) -> Vec<Entry> {
    let mut rig = new_rig();
    let mut history: Vec<Entry> = Vec::new();
    let mut taken: Vec<Recorded> = Vec::new();
    for _ in 0..LENGTH {
        let Some(event) = made_up.choose(events) else {
            break;
        };
        let aggregate = event.aggregate.unwrap_or_default();
        let stream = format!("{aggregate}-{}", made_up.below(3));
        let data = made_up.value(&event.schema);
        made_up.remember(&data);
        let new = NewEvent {
            name: event.name.into(),
            schema_version: event.schema_version,
            data: data.to_string().into_bytes(),
        };
        taken.push(Recorded::new(&stream, new).at_time(made_up.time_after(&history)));
        let longer = record(taken.clone());
        if rig.project(&longer[history.len()..]).is_ok() {
            history = longer;
        } else {
            taken.pop();
        }
    }
    history
}
