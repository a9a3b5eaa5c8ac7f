//! Projection `posts`: one document a post, as it stands now.

mod posts;

pub use posts::{CommentEntry, PostDocument, PostEvent, Posts, PostsQuery};

foldhost_plugin_sdk::export_projection!(Posts);
