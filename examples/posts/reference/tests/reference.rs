//! The reference itself, on the committed commands and on a few by hand.

use std::collections::BTreeMap;

use posts_commands::{COUNT, SEED, generate};
use posts_reference::{Command, Mismatch, Outcome, Reference};
use serde_json::{Value, json};

const TIME: &str = "2026-11-23T09:30:00.000Z";

fn command(id: &str, command: &str, payload: Value, command_id: &str) -> Command {
    Command {
        aggregate: "post".into(),
        id: id.into(),
        command: command.into(),
        payload,
        command_id: command_id.into(),
    }
}

fn create(id: &str, author: &str, command_id: &str) -> Command {
    let payload = json!({ "author": author, "message": "rain" });
    command(id, "create", payload, command_id)
}

/// How often each command had which outcome, over the committed file.
fn tally() -> BTreeMap<(String, String), usize> {
    let mut reference = Reference::default();
    let mut tally = BTreeMap::new();
    for command in generate(SEED, COUNT) {
        let outcome = match reference.apply(&command, TIME) {
            Outcome::Accepted { .. } => "accepted",
            Outcome::Repeated { .. } => "repeated",
            Outcome::Refused { code } => code,
        };
        *tally
            .entry((command.command, outcome.to_owned()))
            .or_default() += 1;
    }
    tally
}

#[test]
fn every_command_is_accepted_repeated_and_refused_for_every_reason() {
    let tally = tally();
    let anywhere = ["no-such-post", "post-deleted"];
    let reasons: [(&str, &[&str]); 7] = [
        (
            "create",
            &["already-exists", "blank-author", "blank-message"],
        ),
        ("edit-message", &["blank-message"]),
        ("like", &[]),
        ("add-comment", &["blank-comment", "comment-exists"]),
        (
            "edit-comment",
            &["blank-comment", "no-such-comment", "not-the-commenter"],
        ),
        ("remove-comment", &["no-such-comment", "not-the-commenter"]),
        ("delete", &["not-the-author"]),
    ];
    let mut expected: Vec<(String, String)> = Vec::new();
    for (command, codes) in reasons {
        let anywhere = anywhere.iter().filter(|_| command != "create");
        let outcomes = ["accepted", "repeated"].iter().chain(codes).chain(anywhere);
        expected.extend(outcomes.map(|outcome| (command.to_owned(), (*outcome).to_owned())));
    }
    expected.sort();
    assert!(tally.keys().eq(expected.iter()), "{tally:#?}");
    assert!(tally.values().all(|count| *count >= 3), "{tally:#?}");
}

#[test]
fn some_commands_that_were_refused_are_accepted_when_they_are_sent_again() {
    let mut reference = Reference::default();
    let mut refused = BTreeMap::new();
    let mut accepted_later = 0;
    for command in generate(SEED, COUNT) {
        match reference.apply(&command, TIME) {
            Outcome::Refused { code } => drop(refused.insert(command.command_id, code)),
            Outcome::Accepted { .. } if refused.contains_key(&command.command_id) => {
                accepted_later += 1;
            }
            Outcome::Accepted { .. } | Outcome::Repeated { .. } => {}
        }
    }
    assert!(accepted_later >= 10, "{accepted_later}");
}

#[test]
fn the_order_across_posts_changes_no_outcome() {
    let commands = generate(SEED, COUNT);
    let mut by_post: Vec<usize> = (0..commands.len()).collect();
    by_post.sort_by_key(|place| &commands[*place].id);
    let mut one = Reference::default();
    let straight: Vec<Outcome> = commands.iter().map(|c| one.apply(c, TIME)).collect();
    let mut other = Reference::default();
    for place in by_post {
        assert_eq!(other.apply(&commands[place], TIME), straight[place]);
    }
    assert_eq!(one.versions(), other.versions());
}

#[test]
fn documents_show_what_happened() {
    let mut reference = Reference::default();
    let comment = json!({ "comment": "hm", "comment_id": "k1", "username": "Bert" });
    for (place, command) in [
        create("p1", " Anna", "c-1"),
        create("p2", "ANNA", "c-2"),
        command("p1", "like", json!({}), "c-3"),
        command("p2", "add-comment", comment, "c-4"),
        command("p1", "like", json!({}), "c-3"),
    ]
    .iter()
    .enumerate()
    {
        reference.apply(command, &format!("2026-11-2{place}T09:30:00.000Z"));
    }
    let documents = reference.documents();
    assert_eq!(
        documents["authors"]["anna"],
        json!({ "author": " Anna", "author_key": "anna", "posts": 2, "likes_received": 1,
            "comments_received": 1, "last_activity_at": "2026-11-23T09:30:00.000Z" })
    );
    assert_eq!(
        documents["posts"]["p2"],
        json!({ "post_id": "p2", "author": "ANNA", "author_key": "anna", "message": "rain",
            "posted_at": "2026-11-21T09:30:00.000Z", "edited_at": null, "likes": 0, "comment_count": 1,
            "comments": [{ "comment_id": "k1", "username": "Bert", "comment": "hm",
                "commented_at": "2026-11-23T09:30:00.000Z", "edited": false }] })
    );
    assert_eq!(documents["activity"].len(), 4);
}

#[test]
fn deleting_a_post_takes_its_likes_from_its_author_and_not_from_its_day() {
    let mut reference = Reference::default();
    for command in [
        create("p1", "Anna", "c-1"),
        command("p1", "like", json!({}), "c-2"),
        command("p1", "delete", json!({ "username": "anna " }), "c-3"),
    ] {
        reference.apply(&command, TIME);
    }
    let documents = reference.documents();
    assert!(documents["posts"].is_empty());
    assert_eq!(documents["authors"]["anna"]["likes_received"], 0);
    assert_eq!(
        documents["activity"]["2026-11-23"],
        json!({ "day": "2026-11-23", "posts": 1, "likes": 1, "comments": 0, "deletions": 1 })
    );
}

#[test]
fn a_comment_without_an_id_gets_the_recorded_one() {
    let mut reference = Reference::default();
    reference.apply(&create("p1", "Anna", "c-1"), TIME);
    let added = json!({ "comment": "hm", "username": "Bert" });
    let event = json!({ "type": "CommentAdded", "version": 2, "time": TIME,
        "data": { "comment": "hm", "comment_id": "made-up", "username": "Bert" } });
    let add = command("p1", "add-comment", added, "c-2");
    assert_eq!(reference.record(&add, &event), Ok(()));
    let comments = &reference.documents()["posts"]["p1"]["comments"];
    assert_eq!(comments[0]["comment_id"], "made-up");
}

#[test]
fn an_event_that_had_not_to_be_is_a_mismatch() {
    let mut reference = Reference::default();
    let event = json!({ "type": "PostLiked", "version": 1, "time": TIME, "data": {} });
    let like = command("p1", "like", json!({}), "c-1");
    let mismatch = reference.record(&like, &event).unwrap_err();
    assert!(
        matches!(mismatch, Mismatch::NotAccepted { .. }),
        "{mismatch}"
    );

    let other = create("p1", "Anna", "c-2");
    let mismatch = reference.record(&other, &event).unwrap_err();
    assert!(
        matches!(mismatch, Mismatch::AnotherEvent { .. }),
        "{mismatch}"
    );
}
