//! The fold from what happened to posts to the posts as they stand, and what can be asked of them.

use foldhost_plugin_sdk::{
    Document, Documents, Envelope, Event, Failure, Filter, Find, Json, Projection, Query,
    Rejection, Time, fold_name,
};

/// Projection `posts`.
#[derive(Debug)]
pub struct Posts;

/// What happens to posts, as far as it is shown.
#[derive(Event)]
#[event(aggregate = "post")]
#[allow(missing_docs, reason = "the aggregate `post` documents its events")]
pub enum PostEvent {
    PostCreated {
        author: String,
        message: String,
    },
    MessageEdited {
        message: String,
    },
    PostLiked,
    CommentAdded {
        comment_id: String,
        comment: String,
        username: String,
    },
    CommentEdited {
        comment_id: String,
        comment: String,
    },
    CommentRemoved {
        comment_id: String,
    },
    PostDeleted,
}

/// A post as it stands; there is none once it is deleted.
#[derive(Document)]
#[document(
    collection = "posts",
    index("post_id"),
    index("-posted_at"),
    index("author_key", "-posted_at"),
    index("comment_count"),
    index("-likes")
)]
pub struct PostDocument {
    /// The aggregate id.
    pub post_id: String,
    /// Who wrote it, as written.
    pub author: String,
    /// The author's name folded for comparison.
    pub author_key: String,
    /// What it says now.
    pub message: String,
    /// When it was written.
    pub posted_at: Time,
    /// When its message was last edited.
    pub edited_at: Option<Time>,
    /// How often it was liked.
    pub likes: u64,
    /// How many comments there are.
    pub comment_count: u64,
    /// The comments in the order in which they were added.
    pub comments: Vec<CommentEntry>,
}

/// A comment on a post.
#[derive(Json)]
pub struct CommentEntry {
    /// Unique within the post.
    pub comment_id: String,
    /// Who wrote it, as written.
    pub username: String,
    /// What it says now.
    pub comment: String,
    /// When it was added.
    pub commented_at: Time,
    /// Whether it was edited since.
    pub edited: bool,
}

/// What can be asked of the posts.
#[derive(Query)]
#[query(document = PostDocument)]
pub enum PostsQuery {
    /// All posts, the newest first.
    FindAllPosts,
    /// One post.
    FindPostById {
        /// The aggregate id.
        id: String,
    },
    /// The posts of one author, the newest first.
    FindPostsByAuthor {
        /// Compared without the white space around it and without its case.
        author: String,
    },
    /// The posts that have comments, the newest first.
    FindPostsWithComments,
    /// The posts with at least so many likes, the most liked first.
    FindPostsWithLikes {
        /// How many.
        likes: i64,
    },
}

impl Projection for Posts {
    const NAME: &'static str = "posts";
    type Event = PostEvent;
    type Documents = PostDocument;
    type Query = PostsQuery;

    fn project(
        event: PostEvent,
        envelope: &Envelope<'_>,
        documents: &mut Documents<'_>,
    ) -> Result<(), Failure> {
        let id = envelope.aggregate_id();
        let time = envelope.time;
        match event {
            PostEvent::PostCreated { author, message } => {
                documents.put(id, &PostDocument::new(id, author, message, time))
            }
            PostEvent::PostDeleted => {
                documents.delete::<PostDocument>(id);
                Ok(())
            }
            change => {
                let was_there =
                    documents.update(id, |post: &mut PostDocument| post.change(change, time))?;
                refuse_unless(was_there, id)
            }
        }
    }

    fn plan(query: PostsQuery) -> Result<Find, Rejection> {
        Ok(match query {
            PostsQuery::FindAllPosts => Find::all().sort(["-posted_at"]),
            PostsQuery::FindPostById { id } => Find::matching(Filter::eq("post_id", id)),
            PostsQuery::FindPostsByAuthor { author } => {
                Find::matching(Filter::eq("author_key", fold_name(&author))).sort(["-posted_at"])
            }
            PostsQuery::FindPostsWithComments => {
                Find::matching(Filter::gt("comment_count", 0)).sort(["-posted_at"])
            }
            PostsQuery::FindPostsWithLikes { likes } => {
                Find::matching(Filter::gte("likes", likes)).sort(["-likes"])
            }
        })
    }
}

impl PostDocument {
    fn new(post_id: &str, author: String, message: String, posted_at: Time) -> Self {
        Self {
            post_id: post_id.into(),
            author_key: fold_name(&author),
            author,
            message,
            posted_at,
            edited_at: None,
            likes: 0,
            comment_count: 0,
            comments: Vec::new(),
        }
    }

    /// Folds what happens to a post between its creation and its deletion, which are the caller's.
    fn change(&mut self, event: PostEvent, time: Time) {
        match event {
            PostEvent::MessageEdited { message } => {
                self.message = message;
                self.edited_at = Some(time);
            }
            PostEvent::PostLiked => self.likes += 1,
            PostEvent::CommentAdded {
                comment_id,
                comment,
                username,
            } => self.comments.push(CommentEntry {
                comment_id,
                username,
                comment,
                commented_at: time,
                edited: false,
            }),
            PostEvent::CommentEdited {
                comment_id,
                comment,
            } => {
                for entry in &mut self.comments {
                    if entry.comment_id == comment_id {
                        entry.comment.clone_from(&comment);
                        entry.edited = true;
                    }
                }
            }
            PostEvent::CommentRemoved { comment_id } => {
                self.comments.retain(|entry| entry.comment_id != comment_id);
            }
            PostEvent::PostCreated { .. } | PostEvent::PostDeleted => {}
        }
        self.comment_count = self.comments.len() as u64;
    }
}

/// A post that is changed was created before; if it is not there, something was lost.
fn refuse_unless(was_there: bool, id: &str) -> Result<(), Failure> {
    if was_there {
        return Ok(());
    }
    Err(Failure::new(format!("there is no post {id} to change")))
}
