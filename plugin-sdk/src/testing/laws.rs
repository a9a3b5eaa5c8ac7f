//! What holds for every plugin, whatever it means.
//!
//! - Replay: the same events give the same state and the same documents, however they are cut.
//! - Snapshots: a snapshot and the events after it give what all events give.
//! - Decisions: the same command on the same state gives the same decision, and the state folds what it decided.
//!
//! A broken law is an `Err` with the message, so that the panic is raised at the author's own line.

use std::collections::BTreeMap;

use serde_json::Value;

use super::projection::documents_of;
use super::recorded::{Entry, Recorded, continue_with};
use super::rig::{
    AggregateRig, Collection, CommandToSend, Decision, NewProjectionRig, ensure, pretty,
};
use crate::Projection;

/// Every cut is tried on histories up to this length; longer ones are cut at as many places, evenly spread.
const MOST_CUTS: usize = 64;

/// Folds the history in many ways, which must all give one state; gives that state's view.
pub(super) fn check_history(
    rig: &mut dyn AggregateRig,
    stream: &str,
    history: &[Entry],
) -> Result<Value, String> {
    let whole = fold(rig, stream, &[history])?;
    for cut in cuts(history.len()) {
        let (head, tail) = history.split_at(cut);
        let resumed = fold_over_snapshot(rig, stream, head, tail)?;
        ensure(resumed == whole, || {
            format!(
                "{}, a snapshot after event {cut} and the events after it give {}\nand all events give {}",
                rig.place(),
                pretty(&resumed),
                pretty(&whole),
            )
        })?;
    }
    let one_by_one: Vec<_> = history.chunks(1).collect();
    let again = fold(rig, stream, &one_by_one)?;
    ensure(again == whole, || {
        format!(
            "{}, folding again gives {}\nand not {}",
            rig.place(),
            pretty(&again),
            pretty(&whole)
        )
    })?;
    Ok(whole)
}

fn fold(rig: &mut dyn AggregateRig, stream: &str, batches: &[&[Entry]]) -> Result<Value, String> {
    let state = rig.new_state(stream);
    for batch in batches {
        evolve(rig, state, batch)?;
    }
    let view = rig.view(state);
    rig.drop_state(state);
    Ok(view)
}

fn fold_over_snapshot(
    rig: &mut dyn AggregateRig,
    stream: &str,
    head: &[Entry],
    tail: &[Entry],
) -> Result<Value, String> {
    let before = rig.new_state(stream);
    evolve(rig, before, head)?;
    let snapshot = rig.snapshot(before);
    rig.drop_state(before);

    let state = rig.new_state(stream);
    rig.restore(state, &snapshot).map_err(|error| {
        format!(
            "{}, its own snapshot cannot be restored: {error}",
            rig.place()
        )
    })?;
    evolve(rig, state, tail)?;
    let view = rig.view(state);
    rig.drop_state(state);
    Ok(view)
}

fn evolve(rig: &mut dyn AggregateRig, state: u64, events: &[Entry]) -> Result<(), String> {
    rig.evolve(state, events).map_err(|failure| {
        let (place, index, message) = (rig.place(), failure.index, failure.message);
        format!("{place}, event {index} cannot be folded: {message}")
    })
}

/// Decides a command twice, on states made anew, and folds what was decided.
pub(super) fn check_decision(
    rig: &mut dyn AggregateRig,
    stream: &str,
    history: &[Entry],
    command: &CommandToSend,
) -> Result<Decision, String> {
    let decision = decide(rig, stream, history, command)?;
    let again = decide(rig, stream, history, command)?;
    ensure(decision == again, || {
        format!(
            "{}, `{}` was {} and, decided again, {}",
            rig.place(),
            command.name,
            decision.describe(),
            again.describe(),
        )
    })?;
    if let Decision::Rejected(rejection) = &decision {
        ensure(is_kebab_case(rejection.code()), || {
            format!("the code `{}` is not kebab-case", rejection.code())
        })?;
    }
    Ok(decision)
}

fn decide(
    rig: &mut dyn AggregateRig,
    stream: &str,
    history: &[Entry],
    command: &CommandToSend,
) -> Result<Decision, String> {
    let state = rig.new_state(stream);
    evolve(rig, state, history)?;
    let before = rig.view(state);
    let decision = rig.decide(state, command);
    ensure(rig.view(state) == before, || {
        format!(
            "{}, deciding `{}` changed the state",
            rig.place(),
            command.name
        )
    })?;
    if let Decision::Accepted(events) = &decision {
        let new = events.iter().map(|event| decided(stream, event, command));
        evolve(rig, state, &continue_with(history, new))?;
    }
    rig.drop_state(state);
    Ok(decision)
}

/// A decided event as it will be recorded.
pub(super) fn decided(stream: &str, event: &Value, command: &CommandToSend) -> Recorded {
    let name = event["type"].as_str().unwrap_or_default();
    let version = event["schema_version"].as_u64();
    let version = version.and_then(|version| version.try_into().ok());
    Recorded::raw(
        stream,
        name,
        version.unwrap_or_default(),
        event["data"].clone(),
    )
    .at_time(command.time)
    .by(&command.actor)
}

fn is_kebab_case(code: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    code.split('-')
        .all(|word| !word.is_empty() && word.chars().all(allowed))
}

/// The places, from 0 to the length, at which a history is cut.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    let count = length.min(MOST_CUTS);
    (0..=count).map(move |cut| cut * length / count.max(1))
}

/// Folds the history in other cuts, which must give the same documents.
///
/// In a component each fold takes a process of its own, so there it is folded once more alone.
pub(super) fn check_cuts<P: Projection>(
    new_rig: NewProjectionRig,
    history: &[Entry],
    expected: &BTreeMap<String, Collection>,
) -> Result<(), String> {
    check_batches::<P>(new_rig, history.chunks(1), expected, "folded one by one")?;
    if new_rig().is_native() {
        for cut in cuts(history.len()) {
            let (head, tail) = history.split_at(cut);
            let how = format!("cut after event {cut}");
            check_batches::<P>(new_rig, [head, tail], expected, &how)?;
        }
    }
    Ok(())
}

fn check_batches<'h, P: Projection>(
    new_rig: NewProjectionRig,
    batches: impl IntoIterator<Item = &'h [Entry]>,
    expected: &BTreeMap<String, Collection>,
    how: &str,
) -> Result<(), String> {
    let mut rig = new_rig();
    for batch in batches {
        rig.project(batch).map_err(|failure| {
            let (place, index, message) = (rig.place(), failure.index, failure.message);
            format!("{place}, {how}, event {index} fails: {message}")
        })?;
    }
    for (name, documents) in documents_of::<P>(rig.as_mut()) {
        ensure(documents == expected[&name], || {
            format!(
                "{}, {how}, `{name}` holds {documents:#?}\nand, folded in one batch, {:#?}",
                rig.place(),
                expected[&name],
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_histories_are_cut_everywhere_and_long_ones_evenly() {
        assert_eq!(cuts(0).collect::<Vec<_>>(), [0]);
        assert_eq!(cuts(3).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(cuts(1000).count(), MOST_CUTS + 1);
        assert_eq!(cuts(1000).last(), Some(1000));
    }

    #[test]
    fn codes_are_kebab_case() {
        assert!(is_kebab_case("no-such-post") && is_kebab_case("gone"));
        assert!(!is_kebab_case("NoSuchPost") && !is_kebab_case("no_such"));
        assert!(!is_kebab_case("-") && !is_kebab_case(""));
    }
}
