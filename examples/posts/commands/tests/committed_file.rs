//! The committed file is what the generator gives, and what it promises to hold.

use std::collections::{BTreeMap, BTreeSet};

use posts_commands::{COUNT, Command, SEED, generate, read_lines, write_lines};

const COMMITTED: &str = include_str!("../../commands.jsonl");

fn lines(commands: &[Command]) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert!(write_lines(commands, &mut bytes).is_ok());
    bytes
}

#[test]
fn the_committed_file_is_what_the_generator_gives() {
    assert!(
        lines(&generate(SEED, COUNT)) == COMMITTED.as_bytes(),
        "write it anew: cargo run -p posts-commands > examples/posts/commands.jsonl"
    );
}

#[test]
fn what_is_written_is_read_back() {
    assert_eq!(read_lines(COMMITTED).unwrap(), generate(SEED, COUNT));
}

#[test]
fn another_seed_gives_other_commands() {
    assert_ne!(generate(SEED, 100), generate(SEED + 1, 100));
}

#[test]
fn there_are_five_thousand_different_commands_and_hundreds_of_repetitions() {
    let commands = generate(SEED, COUNT);
    let mut first = BTreeMap::new();
    let mut repetitions = 0;
    for command in &commands {
        match first.insert(&command.command_id, command) {
            Some(before) => {
                assert_eq!(before, command);
                repetitions += 1;
            }
            None => continue,
        }
    }
    assert!(first.len() >= 5_000, "{}", first.len());
    assert!(repetitions >= 300, "{repetitions}");
}

#[test]
fn a_tenth_of_the_posts_gets_most_of_the_commands() {
    let mut per_post = BTreeMap::<_, usize>::new();
    for command in generate(SEED, COUNT) {
        *per_post.entry(command.id).or_default() += 1;
    }
    let mut counts: Vec<usize> = per_post.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let top: usize = counts.iter().take(counts.len() / 10).sum();
    assert!(top * 2 > COUNT, "{top}");
}

#[test]
fn every_command_of_the_domain_occurs() {
    let names: BTreeSet<String> = generate(SEED, COUNT)
        .into_iter()
        .map(|command| command.command)
        .collect();
    let expected = [
        "add-comment",
        "create",
        "delete",
        "edit-comment",
        "edit-message",
        "like",
        "remove-comment",
    ];
    assert!(names.iter().eq(expected.iter()), "{names:?}");
}
