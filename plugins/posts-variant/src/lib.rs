//! Plugin `posts` in a later version whose documents differ: each carries `"variant": "b"`.
//!
//! For tests that swap plugins; it is the source of `posts` itself with a mark put on what it wrote.

#[path = "../../posts/src/posts.rs"]
pub mod posts;

use foldhost_plugin_sdk::{Document, Documents, Envelope, Failure, Find, Projection, Rejection};
use posts::{PostDocument, PostEvent, Posts, PostsQuery};

/// Projection `posts` with marked documents.
#[derive(Debug)]
pub struct PostsVariant;

/// A post with a mark.
#[derive(Document)]
#[document(
    collection = "posts",
    index("post_id"),
    index("-posted_at"),
    index("author_key", "-posted_at"),
    index("comment_count"),
    index("-likes")
)]
pub struct MarkedPost {
    /// The post as `posts` writes it.
    #[serde(flatten)]
    pub post: PostDocument,
    /// The mark.
    #[serde(default)]
    pub variant: String,
}

impl Projection for PostsVariant {
    const NAME: &'static str = Posts::NAME;
    type Event = PostEvent;
    type Documents = MarkedPost;
    type Query = PostsQuery;

    fn project(
        event: PostEvent,
        envelope: &Envelope<'_>,
        documents: &mut Documents<'_>,
    ) -> Result<(), Failure> {
        Posts::project(event, envelope, documents)?;
        documents.update(envelope.aggregate_id(), |marked: &mut MarkedPost| {
            marked.variant = "b".into();
        })?;
        Ok(())
    }

    fn plan(query: PostsQuery) -> Result<Find, Rejection> {
        Posts::plan(query)
    }
}

foldhost_plugin_sdk::export_projection!(PostsVariant, name = "posts", version = "0.2.0");
