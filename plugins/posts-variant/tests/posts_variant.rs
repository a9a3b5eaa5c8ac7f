//! How the variant differs from `posts`.

use foldhost_plugin_sdk::testing::{given_recorded, on, projection_laws};
use posts_variant::posts::PostEvent;
use posts_variant::{MarkedPost, PostsVariant};
use serde_json::{Value, json};

fn history() -> [foldhost_plugin_sdk::testing::Recorded; 2] {
    let created = PostEvent::PostCreated {
        author: "Anna".into(),
        message: "Hello".into(),
    };
    [on("post-1", created), on("post-1", PostEvent::PostLiked)]
}

fn marked() -> Value {
    json!({
        "post_id": "1",
        "author": "Anna",
        "author_key": "anna",
        "message": "Hello",
        "posted_at": "2026-01-01T00:01:00.000Z",
        "edited_at": null,
        "likes": 1,
        "comment_count": 0,
        "comments": [],
        "variant": "b",
    })
}

#[test]
fn every_document_carries_the_mark() {
    given_recorded::<PostsVariant>(history())
        .then_document::<MarkedPost>("1", marked())
        .then_query("find-posts-with-likes", json!({ "likes": 1 }), [marked()]);
}

#[test]
fn a_deleted_post_is_gone_with_its_mark() {
    let deleted = on("post-1", PostEvent::PostDeleted);
    given_recorded::<PostsVariant>(history().into_iter().chain([deleted]))
        .then_no_document::<MarkedPost>("1");
}

#[test]
fn the_variant_keeps_the_laws() {
    projection_laws::<PostsVariant>();
}
