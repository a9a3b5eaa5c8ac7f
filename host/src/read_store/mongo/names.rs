//! How things are named in the database.

use std::ops::Range;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::GenerationId;
use crate::message::{Digest, Position};

/// What a name shows as it is; everything else is percent-encoded, so that parts of a name can be told apart.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');
/// The longest readable part of a collection's name; the servers allow some 200 bytes for all of it.
const READABLE: usize = 80;

/// The alias documents, one per projection.
pub(super) const PROJECTIONS: &str = "foldhost_projections";
/// The checkpoints: the slots of each generation's redo log.
pub(super) const CHECKPOINTS: &str = "foldhost_checkpoints";
/// Writes that do not fit into their slot.
pub(super) const REDO: &str = "foldhost_redo";
/// Events set aside.
pub(super) const PARKED: &str = "foldhost_parked";

/// Names the collection that keeps a generation's documents of one declared collection.
pub(super) fn documents(prefix: &str, collection: &str, number: u64) -> String {
    let mut readable = escape(collection);
    if readable.len() > READABLE {
        let digest = Digest::of(collection.as_bytes()).to_string();
        readable.truncate(READABLE);
        readable = format!("{readable}-{}", &digest[..16.min(digest.len())]);
    }
    format!("{prefix}{readable}_g{number}")
}

/// Names a slot. The digits are padded, so that ids are ordered as the slots are.
pub(super) fn slot(generation: &GenerationId, slot: u64) -> String {
    format!("{}{slot:020}", under(generation))
}

/// Names a part of the writes of a slot.
pub(super) fn part(slot: &str, owner: &str, at: usize) -> String {
    format!("{slot}/{owner}/{at:06}")
}

/// Names a parked event.
pub(super) fn parked(generation: &GenerationId, position: Position) -> String {
    format!("{}{:020}", under(generation), position.0)
}

/// The range of all ids that are a generation's.
pub(super) fn all_of(generation: &GenerationId) -> Range<String> {
    let under = under(generation);
    // The character behind the slash.
    let end = format!("{}0", under.trim_end_matches('/'));
    under..end
}

/// The name of a generation's entry in its projection's alias document.
pub(super) fn entry(number: u64) -> String {
    format!("g{number}")
}

fn under(generation: &GenerationId) -> String {
    format!(
        "{}/{:010}/",
        escape(&generation.projection),
        generation.number
    )
}

fn escape(name: &str) -> String {
    utf8_percent_encode(name, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(projection: &str, number: u64) -> GenerationId {
        GenerationId {
            projection: projection.into(),
            number,
        }
    }

    #[test]
    fn a_generations_ids_are_its_own_whatever_projections_are_called() {
        let ours = all_of(&generation("a", 1));
        assert!(ours.contains(&slot(&generation("a", 1), 0)));
        assert!(ours.contains(&slot(&generation("a", 1), u64::MAX)));
        for (projection, number) in [
            ("a", 2),
            ("a", 10),
            ("a/0000000001", 1),
            ("b", 1),
            ("a%", 1),
        ] {
            let id = slot(&generation(projection, number), 5);
            assert!(!ours.contains(&id), "{id}");
        }
    }

    #[test]
    fn ids_are_ordered_as_their_slots() {
        let at = |number| slot(&generation("a", 1), number);
        assert!(at(9) < at(10) && at(99_999) < at(100_000));
    }

    #[test]
    fn collections_with_long_or_odd_names_have_names_of_their_own() {
        let long = |last| documents("p_", &format!("{}{last}", "é".repeat(100)), 1);
        assert_ne!(long('a'), long('b'));
        assert!(long('a').len() < 120);
        assert_eq!(documents("p_", "posts", 3), "p_posts_g3");
        assert_ne!(documents("", "a b", 1), documents("", "a%20b", 1));
    }
}
