//! The documents of the three projections, each computed from everything.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::{Comment, Post, name_key};

/// The length of a day in RFC 3339, `2026-11-23`.
const DAY: usize = 10;

/// One document a post that is there.
pub(crate) fn posts(posts: &BTreeMap<String, Post>) -> BTreeMap<String, Value> {
    let living = posts.iter().filter(|(_, post)| !post.deleted);
    living
        .map(|(id, post)| (id.clone(), post_document(id, post)))
        .collect()
}

fn post_document(id: &str, post: &Post) -> Value {
    let comments: Vec<Value> = post.comments.iter().map(comment_entry).collect();
    json!({
        "post_id": id,
        "author": post.author,
        "author_key": name_key(&post.author),
        "message": post.message,
        "posted_at": post.posted_at,
        "edited_at": post.edited_at,
        "likes": post.likes,
        "comment_count": comments.len(),
        "comments": comments,
    })
}

fn comment_entry(comment: &Comment) -> Value {
    json!({
        "comment_id": comment.id,
        "username": comment.username,
        "comment": comment.text,
        "commented_at": comment.commented_at,
        "edited": comment.edited,
    })
}

/// One document for everybody who ever wrote a post; `names` has all of them, in the order of their posts.
pub(crate) fn authors(posts: &BTreeMap<String, Post>, names: &[String]) -> BTreeMap<String, Value> {
    let mut documents = BTreeMap::new();
    for name in names {
        let key = name_key(name);
        if documents.contains_key(&key) {
            continue;
        }
        let of_author = || posts.values().filter(|post| name_key(&post.author) == key);
        let living: Vec<&Post> = of_author().filter(|post| !post.deleted).collect();
        let document = json!({
            "author": name,
            "author_key": key,
            "posts": living.len(),
            "likes_received": living.iter().map(|post| post.likes).sum::<u64>(),
            "comments_received": living.iter().map(|post| post.comments.len()).sum::<usize>(),
            // Times of one form and one offset are in order as text.
            "last_activity_at": of_author().flat_map(|post| &post.times).max(),
        });
        documents.insert(key, document);
    }
    documents
}

/// One document a day on which something was posted, liked, commented on or deleted.
pub(crate) fn activity(happened: &[(String, &'static str)]) -> BTreeMap<String, Value> {
    let mut days: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (time, kind) in happened {
        let day = time.chars().take(DAY).collect();
        days.entry(day).or_default().push(kind);
    }
    let counted = ["PostCreated", "PostLiked", "CommentAdded", "PostDeleted"];
    days.retain(|_, kinds| kinds.iter().any(|kind| counted.contains(kind)));
    let document = |day: &str, kinds: &[&str]| {
        let count = |kind: &str| kinds.iter().filter(|happened| **happened == kind).count();
        json!({
            "day": day,
            "posts": count("PostCreated"),
            "likes": count("PostLiked"),
            "comments": count("CommentAdded"),
            "deletions": count("PostDeleted"),
        })
    };
    days.iter()
        .map(|(day, kinds)| (day.clone(), document(day, kinds)))
        .collect()
}
