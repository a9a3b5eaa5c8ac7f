//! The fold from the events of many streams to one document an author.
//!
//! An event of a post does not say whose post it is, and what a deleted post had received is taken from its author.
//! Both need to be known by post, so there is a second collection, `authors_posts`, with a document for each living one.

use foldhost_plugin_sdk::describe::ParameterKind;
use foldhost_plugin_sdk::{
    Document, Documents, Envelope, Event, Failure, Find, Json, Parameter, Projection, Query,
    Rejection, Time, fold_name,
};

/// Projection `authors`.
#[derive(Debug)]
pub struct Authors;

/// What happens to posts, as far as it counts for their authors.
#[derive(Event)]
#[event(aggregate = "post")]
#[allow(missing_docs, reason = "the aggregate `post` documents its events")]
pub enum PostEvent {
    PostCreated { author: String },
    MessageEdited,
    PostLiked,
    CommentAdded,
    CommentEdited,
    CommentRemoved,
    PostDeleted,
}

/// An author; stays when the last post is deleted. The id is the folded name.
#[derive(Document)]
#[document(
    collection = "authors",
    index("-posts"),
    index("-likes_received"),
    index("-comments_received")
)]
pub struct Author {
    /// The name as it was first written.
    pub author: String,
    /// The name folded for comparison.
    pub author_key: String,
    /// How many of the author's posts there are now.
    pub posts: u64,
    /// Likes of those posts.
    pub likes_received: u64,
    /// Comments that stand under those posts now.
    pub comments_received: u64,
    /// The latest time at which anything happened to any of the author's posts, whoever did it,
    /// deletions included.
    pub last_activity_at: Time,
}

/// What a living post adds to its author. The id is the aggregate id.
#[derive(Document)]
#[document(collection = "authors_posts")]
pub struct AuthorOfPost {
    /// The author's folded name.
    pub author_key: String,
    /// Likes of this post.
    pub likes: u64,
    /// Comments that stand under it now.
    pub comments: u64,
}

/// What authors are ranked by.
#[derive(Clone, Copy, Debug, Json)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Living posts.
    Posts,
    /// Likes received.
    Likes,
    /// Comments received.
    Comments,
}

impl Parameter for By {
    const KIND: ParameterKind = ParameterKind::Text;
}

/// What can be asked of the authors.
#[derive(Query)]
#[query(document = Author)]
pub enum AuthorsQuery {
    /// All authors, those with the most first.
    TopAuthors {
        /// The most of what: `posts`, `likes` or `comments`.
        by: By,
    },
}

impl Projection for Authors {
    const NAME: &'static str = "authors";
    type Event = PostEvent;
    type Documents = (Author, AuthorOfPost);
    type Query = AuthorsQuery;

    fn project(
        event: PostEvent,
        envelope: &Envelope<'_>,
        documents: &mut Documents<'_>,
    ) -> Result<(), Failure> {
        let post_id = envelope.aggregate_id();
        match event {
            PostEvent::PostCreated { author } => create(post_id, author, envelope.time, documents),
            PostEvent::PostDeleted => delete(post_id, envelope.time, documents),
            change => touch(post_id, &change, envelope.time, documents),
        }
    }

    fn plan(query: AuthorsQuery) -> Result<Find, Rejection> {
        let AuthorsQuery::TopAuthors { by } = query;
        Ok(Find::all().sort([match by {
            By::Posts => "-posts",
            By::Likes => "-likes_received",
            By::Comments => "-comments_received",
        }]))
    }
}

fn create(
    post_id: &str,
    name: String,
    time: Time,
    documents: &mut Documents<'_>,
) -> Result<(), Failure> {
    let author_key = fold_name(&name);
    // The aggregate refuses such a post; without a name there is no document to keep it in.
    if author_key.is_empty() {
        return Err(Failure::new("a post without an author"));
    }
    let mut author = match documents.get::<Author>(&author_key)? {
        Some(author) => author,
        None => Author::new(name, author_key.clone(), time),
    };
    author.posts += 1;
    author.was_active(time);
    documents.put(&author_key, &author)?;

    let post = AuthorOfPost {
        author_key,
        likes: 0,
        comments: 0,
    };
    documents.put(post_id, &post)
}

/// Folds what happens to a post between its creation and its deletion.
fn touch(
    post_id: &str,
    event: &PostEvent,
    time: Time,
    documents: &mut Documents<'_>,
) -> Result<(), Failure> {
    let (mut post, mut author) = find(post_id, documents)?;
    match event {
        PostEvent::PostLiked => {
            post.likes += 1;
            author.likes_received += 1;
        }
        PostEvent::CommentAdded => {
            post.comments += 1;
            author.comments_received += 1;
        }
        PostEvent::CommentRemoved => {
            post.comments = less(post.comments, 1, post_id)?;
            author.comments_received = less(author.comments_received, 1, post_id)?;
        }
        PostEvent::MessageEdited
        | PostEvent::CommentEdited
        | PostEvent::PostCreated { .. }
        | PostEvent::PostDeleted => {}
    }
    author.was_active(time);
    documents.put(&post.author_key, &author)?;
    documents.put(post_id, &post)
}

fn delete(post_id: &str, time: Time, documents: &mut Documents<'_>) -> Result<(), Failure> {
    let (post, mut author) = find(post_id, documents)?;
    author.posts = less(author.posts, 1, post_id)?;
    author.likes_received = less(author.likes_received, post.likes, post_id)?;
    author.comments_received = less(author.comments_received, post.comments, post_id)?;
    author.was_active(time);
    documents.put(&post.author_key, &author)?;
    documents.delete::<AuthorOfPost>(post_id);
    Ok(())
}

/// The living post and its author, both of which its creation has made.
fn find(post_id: &str, documents: &Documents<'_>) -> Result<(AuthorOfPost, Author), Failure> {
    let Some(post) = documents.get::<AuthorOfPost>(post_id)? else {
        return Err(Failure::new(format!(
            "there is no post {post_id} to change"
        )));
    };
    match documents.get::<Author>(&post.author_key)? {
        Some(author) => Ok((post, author)),
        None => Err(Failure::new(format!(
            "there is no author of post {post_id}"
        ))),
    }
}

/// Takes from a count, which cannot hold less than was added to it.
fn less(count: u64, by: u64, post_id: &str) -> Result<u64, Failure> {
    let left = count.checked_sub(by);
    left.ok_or_else(|| Failure::new(format!("post {post_id} loses more than it received")))
}

impl Author {
    fn new(author: String, author_key: String, first_activity_at: Time) -> Self {
        Self {
            author,
            author_key,
            posts: 0,
            likes_received: 0,
            comments_received: 0,
            last_activity_at: first_activity_at,
        }
    }

    /// Streams are written by several hosts, so that a later event need not bear a later time.
    fn was_active(&mut self, time: Time) {
        self.last_activity_at = self.last_activity_at.max(time.to_millisecond());
    }
}
