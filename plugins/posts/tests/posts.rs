//! What the documents of `posts` show, and what its queries find.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use foldhost_plugin_sdk::testing::{Recorded, given_recorded, on, projection_laws};
use posts::{PostDocument, PostEvent, Posts};
use serde_json::{Value, json};

fn created(stream: &str, author: &str) -> Recorded {
    on(
        stream,
        PostEvent::PostCreated {
            author: author.into(),
            message: "Hello".into(),
        },
    )
}

fn commented(stream: &str, comment_id: &str) -> Recorded {
    on(
        stream,
        PostEvent::CommentAdded {
            comment_id: comment_id.into(),
            comment: "Well said".into(),
            username: "Bert".into(),
        },
    )
}

fn liked(stream: &str) -> Recorded {
    on(stream, PostEvent::PostLiked)
}

/// A post of Anna's, written with the first event of a history.
fn document(id: &str, change: Value) -> Value {
    let mut document = json!({
        "post_id": id,
        "author": "Anna",
        "author_key": "anna",
        "message": "Hello",
        "posted_at": "2026-01-01T00:01:00.000Z",
        "edited_at": null,
        "likes": 0,
        "comment_count": 0,
        "comments": [],
    });
    for (field, value) in change.as_object().unwrap() {
        document[field] = value.clone();
    }
    document
}

#[test]
fn a_created_post_has_a_document() {
    given_recorded::<Posts>([created("post-1", "Anna")])
        .then_document::<PostDocument>("1", document("1", json!({})))
        .then_count::<PostDocument>(1);
}

#[test]
fn an_aggregate_id_may_hold_dashes() {
    given_recorded::<Posts>([created("post-2026-11-23", "Anna")])
        .then_document::<PostDocument>("2026-11-23", document("2026-11-23", json!({})));
}

#[test]
fn an_edited_message_is_shown_with_its_time() {
    let edited = on(
        "post-1",
        PostEvent::MessageEdited {
            message: "Hi".into(),
        },
    );
    given_recorded::<Posts>([
        created("post-1", "Anna"),
        edited.at("2026-11-23T09:30:00.123456Z"),
    ])
    .then_document::<PostDocument>(
        "1",
        document(
            "1",
            json!({ "message": "Hi", "edited_at": "2026-11-23T09:30:00.123Z" }),
        ),
    );
}

#[test]
fn likes_are_counted_for_each_post() {
    given_recorded::<Posts>([
        created("post-1", "Anna"),
        created("post-2", "Bert"),
        liked("post-1"),
        liked("post-1"),
    ])
    .then_document::<PostDocument>("1", document("1", json!({ "likes": 2 })))
    .then_query(
        "find-posts-with-likes",
        json!({ "likes": 1 }),
        [document("1", json!({ "likes": 2 }))],
    )
    .then_query("find-posts-with-likes", json!({ "likes": 3 }), []);
}

#[test]
fn comments_are_shown_in_the_order_in_which_they_were_added() {
    let comment = |id: &str, time: &str| json!({ "comment_id": id, "username": "Bert", "comment": "Well said", "commented_at": time, "edited": false });
    let comments = [
        comment("c2", "2026-01-01T00:02:00.000Z"),
        comment("c1", "2026-01-01T00:03:00.000Z"),
    ];
    given_recorded::<Posts>([
        created("post-1", "Anna"),
        commented("post-1", "c2"),
        commented("post-1", "c1"),
    ])
    .then_document::<PostDocument>(
        "1",
        document("1", json!({ "comment_count": 2, "comments": comments })),
    );
}

#[test]
fn an_edited_comment_is_marked_and_a_removed_one_is_gone() {
    let edited = PostEvent::CommentEdited {
        comment_id: "c2".into(),
        comment: "Well done".into(),
    };
    let removed = PostEvent::CommentRemoved {
        comment_id: "c1".into(),
    };
    let comments = json!([{
        "comment_id": "c2",
        "username": "Bert",
        "comment": "Well done",
        "commented_at": "2026-01-01T00:03:00.000Z",
        "edited": true,
    }]);
    given_recorded::<Posts>([
        created("post-1", "Anna"),
        commented("post-1", "c1"),
        commented("post-1", "c2"),
        on("post-1", edited),
        on("post-1", removed),
    ])
    .then_document::<PostDocument>(
        "1",
        document("1", json!({ "comment_count": 1, "comments": comments })),
    );
}

#[test]
fn a_deleted_post_is_gone() {
    given_recorded::<Posts>([
        created("post-1", "Anna"),
        created("post-2", "Anna"),
        on("post-1", PostEvent::PostDeleted),
    ])
    .then_no_document::<PostDocument>("1")
    .then_count::<PostDocument>(1);
}

#[test]
fn all_posts_are_found_the_newest_first() {
    let second = document("2", json!({ "posted_at": "2026-01-01T00:02:00.000Z" }));
    given_recorded::<Posts>([created("post-1", "Anna"), created("post-2", "Anna")]).then_query(
        "find-all-posts",
        json!({}),
        [second, document("1", json!({}))],
    );
}

#[test]
fn without_posts_all_queries_find_nothing() {
    given_recorded::<Posts>([])
        .then_query("find-all-posts", json!({}), [])
        .then_query("find-post-by-id", json!({ "id": "1" }), [])
        .then_query("find-posts-by-author", json!({ "author": "Anna" }), [])
        .then_query("find-posts-with-comments", json!({}), [])
        .then_query("find-posts-with-likes", json!({ "likes": 0 }), []);
}

#[test]
fn a_post_is_found_by_its_id() {
    given_recorded::<Posts>([created("post-1", "Anna"), created("post-2", "Anna")]).then_query(
        "find-post-by-id",
        json!({ "id": "1" }),
        [document("1", json!({}))],
    );
}

#[test]
fn posts_are_found_by_their_author_whatever_the_case() {
    given_recorded::<Posts>([created("post-1", "Anna"), created("post-2", "Bert")]).then_query(
        "find-posts-by-author",
        json!({ "author": " ANNA " }),
        [document("1", json!({}))],
    );
}

#[test]
fn posts_with_comments_are_found_until_the_last_comment_is_removed() {
    let removed = PostEvent::CommentRemoved {
        comment_id: "c1".into(),
    };
    given_recorded::<Posts>([
        created("post-1", "Anna"),
        created("post-2", "Anna"),
        commented("post-1", "c1"),
        on("post-1", removed),
    ])
    .then_query("find-posts-with-comments", json!({}), []);
}

#[test]
fn a_parameter_of_another_kind_is_refused() {
    given_recorded::<Posts>([])
        .then_query_rejected(
            "find-posts-with-likes",
            json!({ "likes": "many" }),
            "invalid-parameter",
        )
        .then_query_rejected("find-post-by-id", json!({}), "invalid-parameter")
        .then_query_rejected("find-all-posts", json!({ "page": 2 }), "invalid-parameter");
}

#[test]
fn events_of_other_aggregates_are_passed_over() {
    let foreign = Recorded::raw("pillar-1", "PostLiked", 1, json!({}));
    given_recorded::<Posts>([created("post-1", "Anna"), foreign])
        .then_document::<PostDocument>("1", document("1", json!({})));
}

#[test]
fn a_like_of_a_post_that_was_never_created_is_a_failure() {
    given_recorded::<Posts>([created("post-1", "Anna"), liked("post-2")])
        .then_failure(1, "there is no post 2");
}

#[test]
fn posts_keep_the_laws() {
    projection_laws::<Posts>();
}
