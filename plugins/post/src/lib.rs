//! Aggregate `post`: a post of a social network with its likes and comments.

mod post;

pub use post::{Comment, Lifecycle, Post, PostCommand, PostEvent};

foldhost_plugin_sdk::export_aggregate!(Post);
