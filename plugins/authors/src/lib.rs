//! Projection `authors`: what each author wrote and received, over all of their posts.

mod authors;

pub use authors::{Author, AuthorOfPost, Authors, AuthorsQuery, By, PostEvent};

foldhost_plugin_sdk::export_projection!(Authors);
