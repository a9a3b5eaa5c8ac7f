//! What the documents of `authors` gather from many streams.

use authors::{Author, AuthorOfPost, Authors, PostEvent};
use foldhost_plugin_sdk::testing::{Recorded, given_recorded, on, projection_laws};
use serde_json::{Value, json};

fn created(stream: &str, author: &str) -> Recorded {
    on(
        stream,
        PostEvent::PostCreated {
            author: author.into(),
        },
    )
}

/// Anna with posts, likes and comments, last active in this minute of the history.
fn anna(posts: u64, likes: u64, comments: u64, minute: u64) -> Value {
    json!({
        "author": "Anna",
        "author_key": "anna",
        "posts": posts,
        "likes_received": likes,
        "comments_received": comments,
        "last_activity_at": format!("2026-01-01T00:{minute:02}:00.000Z"),
    })
}

#[test]
fn the_posts_of_one_author_are_counted_over_all_streams() {
    given_recorded::<Authors>([
        created("post-1", "Anna"),
        created("post-2", "Bert"),
        created("post-3", "Anna"),
    ])
    .then_document::<Author>("anna", anna(2, 0, 0, 3))
    .then_count::<Author>(2);
}

#[test]
fn one_author_written_in_several_ways_is_one_and_keeps_the_first_name() {
    given_recorded::<Authors>([
        created("post-1", "Anna"),
        created("post-2", " ANNA"),
        created("post-3", "anna "),
    ])
    .then_document::<Author>("anna", anna(3, 0, 0, 3))
    .then_count::<Author>(1);
}

#[test]
fn likes_and_comments_go_to_the_author_of_the_post() {
    given_recorded::<Authors>([
        created("post-1", "Anna"),
        created("post-2", "Anna"),
        on("post-1", PostEvent::PostLiked),
        on("post-2", PostEvent::PostLiked),
        on("post-2", PostEvent::CommentAdded),
    ])
    .then_document::<Author>("anna", anna(2, 2, 1, 5));
}

#[test]
fn a_removed_comment_is_taken_from_the_author() {
    given_recorded::<Authors>([
        created("post-1", "Anna"),
        on("post-1", PostEvent::CommentAdded),
        on("post-1", PostEvent::CommentAdded),
        on("post-1", PostEvent::CommentRemoved),
    ])
    .then_document::<Author>("anna", anna(1, 0, 1, 4));
}

#[test]
fn a_deleted_post_takes_its_likes_and_comments_from_its_author() {
    given_recorded::<Authors>([
        created("post-1", "Anna"),
        created("post-2", "Anna"),
        on("post-1", PostEvent::PostLiked),
        on("post-1", PostEvent::CommentAdded),
        on("post-1", PostEvent::CommentAdded),
        on("post-1", PostEvent::CommentRemoved),
        on("post-2", PostEvent::PostLiked),
        on("post-1", PostEvent::PostDeleted),
    ])
    .then_document::<Author>("anna", anna(1, 1, 0, 8))
    .then_no_document::<AuthorOfPost>("1")
    .then_count::<AuthorOfPost>(1);
}

#[test]
fn an_author_without_posts_stays() {
    given_recorded::<Authors>([
        created("post-1", "Anna"),
        on("post-1", PostEvent::PostDeleted),
    ])
    .then_document::<Author>("anna", anna(0, 0, 0, 2));
}

#[test]
fn edits_count_as_activity_alone() {
    given_recorded::<Authors>([
        created("post-1", "Anna"),
        on("post-1", PostEvent::CommentAdded),
        on("post-1", PostEvent::CommentEdited),
        on("post-1", PostEvent::MessageEdited),
    ])
    .then_document::<Author>("anna", anna(1, 0, 1, 4));
}

#[test]
fn the_last_activity_is_the_latest_even_if_another_stream_has_an_earlier_time() {
    given_recorded::<Authors>([
        created("post-1", "Anna").at("2026-01-01T00:09:00Z"),
        created("post-2", "Anna").at("2026-01-01T00:05:00Z"),
    ])
    .then_document::<Author>("anna", anna(2, 0, 0, 9));
}

#[test]
fn the_top_authors_come_in_the_order_asked_for() {
    let bert = json!({
        "author": "Bert",
        "author_key": "bert",
        "posts": 1,
        "likes_received": 1,
        "comments_received": 0,
        "last_activity_at": "2026-01-01T00:04:00.000Z",
    });
    let anna = || anna(2, 0, 1, 5);
    given_recorded::<Authors>([
        created("post-1", "Anna"),
        created("post-2", "Anna"),
        created("post-3", "Bert"),
        on("post-3", PostEvent::PostLiked),
        on("post-1", PostEvent::CommentAdded),
    ])
    .then_query(
        "top-authors",
        json!({ "by": "posts" }),
        [anna(), bert.clone()],
    )
    .then_query(
        "top-authors",
        json!({ "by": "likes" }),
        [bert.clone(), anna()],
    )
    .then_query("top-authors", json!({ "by": "comments" }), [anna(), bert]);
}

#[test]
fn another_order_is_refused() {
    given_recorded::<Authors>([])
        .then_query_rejected("top-authors", json!({ "by": "fame" }), "invalid-parameter")
        .then_query_rejected("top-authors", json!({}), "invalid-parameter");
}

#[test]
fn a_comment_on_a_post_that_was_never_created_is_a_failure() {
    given_recorded::<Authors>([on("post-1", PostEvent::CommentAdded)])
        .then_failure(0, "there is no post 1");
}

#[test]
fn a_removed_comment_that_was_never_added_is_a_failure() {
    given_recorded::<Authors>([
        created("post-1", "Anna"),
        on("post-1", PostEvent::CommentRemoved),
    ])
    .then_failure(1, "loses more than it received");
}

#[test]
fn a_post_without_an_author_is_a_failure() {
    given_recorded::<Authors>([created("post-1", " ")]).then_failure(0, "without an author");
}

#[test]
fn authors_keep_the_laws() {
    projection_laws::<Authors>();
}
