//! What may happen to a post, and what a post is after it happened.

use std::collections::BTreeMap;

use foldhost_plugin_sdk::{
    Aggregate, Command, Context, Envelope, Event, Json, Rejection, fold_name,
};

/// The state of one post.
#[derive(Debug, Default, Json)]
pub struct Post {
    /// Whether it is there.
    pub lifecycle: Lifecycle,
    /// Who wrote it; only this user may delete it.
    pub author: String,
    /// What it says now.
    pub message: String,
    /// How often it was liked.
    pub likes: u64,
    /// The comments by their ids.
    pub comments: BTreeMap<String, Comment>,
}

/// Whether a post is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Json)]
#[serde(rename_all = "kebab-case")]
pub enum Lifecycle {
    /// Nobody has written it yet.
    #[default]
    Absent,
    /// It can be read, liked and commented on.
    Active,
    /// It was deleted, which is for good.
    Deleted,
}

/// A comment on a post.
#[derive(Debug, Json)]
pub struct Comment {
    /// What it says now.
    pub comment: String,
    /// Who wrote it; only this user may edit or remove it.
    pub username: String,
}

/// What one may ask of a post.
#[derive(Command)]
pub enum PostCommand {
    /// Writes a new post.
    Create {
        /// Who writes it.
        author: String,
        /// What it says.
        message: String,
    },
    /// Changes what a post says.
    EditMessage {
        /// What it is to say.
        message: String,
    },
    /// Likes a post once more.
    Like,
    /// Comments on a post.
    AddComment {
        /// Id of the comment; when absent it is derived from the command id, so that a retry gives the same one.
        comment_id: Option<String>,
        /// What the comment says.
        comment: String,
        /// Who comments.
        username: String,
    },
    /// Changes what a comment says.
    EditComment {
        /// Which comment.
        comment_id: String,
        /// What it is to say.
        comment: String,
        /// Who changes it.
        username: String,
    },
    /// Removes a comment.
    RemoveComment {
        /// Which comment.
        comment_id: String,
        /// Who removes it.
        username: String,
    },
    /// Deletes a post for good.
    Delete {
        /// Who deletes it.
        username: String,
    },
}

/// What happened to a post.
#[derive(Event)]
pub enum PostEvent {
    /// A post was written.
    PostCreated {
        /// Who wrote it.
        author: String,
        /// What it says.
        message: String,
    },
    /// A post says something else now.
    MessageEdited {
        /// What it says.
        message: String,
    },
    /// A post was liked.
    PostLiked,
    /// A post was commented on.
    CommentAdded {
        /// Unique within the post.
        comment_id: String,
        /// What the comment says.
        comment: String,
        /// Who commented.
        username: String,
    },
    /// A comment says something else now.
    CommentEdited {
        /// Which comment.
        comment_id: String,
        /// What it says.
        comment: String,
        /// Who changed it.
        username: String,
    },
    /// A comment was removed.
    CommentRemoved {
        /// Which comment.
        comment_id: String,
    },
    /// A post was deleted.
    PostDeleted,
}

impl Aggregate for Post {
    const NAME: &'static str = "post";
    type Command = PostCommand;
    type Event = PostEvent;

    fn decide(
        &self,
        command: PostCommand,
        context: &Context<'_>,
    ) -> Result<Vec<PostEvent>, Rejection> {
        let event = match command {
            PostCommand::Create { author, message } => self.create(author, message),
            PostCommand::EditMessage { message } => self.edit_message(message),
            PostCommand::Like => self.refuse_unless_active().map(|()| PostEvent::PostLiked),
            PostCommand::AddComment {
                comment_id,
                comment,
                username,
            } => {
                let comment_id = comment_id.unwrap_or_else(|| context.derive_id("comment"));
                self.add_comment(comment_id, comment, username)
            }
            PostCommand::EditComment {
                comment_id,
                comment,
                username,
            } => self.edit_comment(comment_id, comment, username),
            PostCommand::RemoveComment {
                comment_id,
                username,
            } => self.remove_comment(comment_id, &username),
            PostCommand::Delete { username } => self.delete(&username),
        };
        Ok(vec![event?])
    }

    fn evolve(&mut self, event: PostEvent, _: &Envelope<'_>) {
        match event {
            PostEvent::PostCreated { author, message } => {
                self.lifecycle = Lifecycle::Active;
                self.author = author;
                self.message = message;
            }
            PostEvent::MessageEdited { message } => self.message = message,
            PostEvent::PostLiked => self.likes += 1,
            PostEvent::CommentAdded {
                comment_id,
                comment,
                username,
            } => {
                self.comments
                    .insert(comment_id, Comment { comment, username });
            }
            PostEvent::CommentEdited {
                comment_id,
                comment,
                ..
            } => {
                if let Some(edited) = self.comments.get_mut(&comment_id) {
                    edited.comment = comment;
                }
            }
            PostEvent::CommentRemoved { comment_id } => {
                self.comments.remove(&comment_id);
            }
            PostEvent::PostDeleted => self.lifecycle = Lifecycle::Deleted,
        }
    }
}

impl Post {
    fn create(&self, author: String, message: String) -> Result<PostEvent, Rejection> {
        if self.lifecycle != Lifecycle::Absent {
            return Err(Rejection::new("already-exists", "the post exists already"));
        }
        refuse_blank(&author, "blank-author", "a post needs an author")?;
        refuse_blank(&message, "blank-message", "a post needs a message")?;
        Ok(PostEvent::PostCreated { author, message })
    }

    fn edit_message(&self, message: String) -> Result<PostEvent, Rejection> {
        self.refuse_unless_active()?;
        refuse_blank(&message, "blank-message", "a post needs a message")?;
        Ok(PostEvent::MessageEdited { message })
    }

    fn add_comment(
        &self,
        comment_id: String,
        comment: String,
        username: String,
    ) -> Result<PostEvent, Rejection> {
        self.refuse_unless_active()?;
        refuse_blank(&comment, "blank-comment", "a comment needs a text")?;
        if self.comments.contains_key(&comment_id) {
            let message = format!("the post has a comment {comment_id} already");
            return Err(Rejection::new("comment-exists", message));
        }
        Ok(PostEvent::CommentAdded {
            comment_id,
            comment,
            username,
        })
    }

    fn edit_comment(
        &self,
        comment_id: String,
        comment: String,
        username: String,
    ) -> Result<PostEvent, Rejection> {
        self.refuse_unless_active()?;
        refuse_blank(&comment, "blank-comment", "a comment needs a text")?;
        self.refuse_unless_commenter(&comment_id, &username)?;
        Ok(PostEvent::CommentEdited {
            comment_id,
            comment,
            username,
        })
    }

    fn remove_comment(&self, comment_id: String, username: &str) -> Result<PostEvent, Rejection> {
        self.refuse_unless_active()?;
        self.refuse_unless_commenter(&comment_id, username)?;
        Ok(PostEvent::CommentRemoved { comment_id })
    }

    fn delete(&self, username: &str) -> Result<PostEvent, Rejection> {
        self.refuse_unless_active()?;
        if !same_user(username, &self.author) {
            let message = "only its author may delete a post";
            return Err(Rejection::new("not-the-author", message));
        }
        Ok(PostEvent::PostDeleted)
    }

    fn refuse_unless_active(&self) -> Result<(), Rejection> {
        match self.lifecycle {
            Lifecycle::Absent => Err(Rejection::new("no-such-post", "there is no such post")),
            Lifecycle::Active => Ok(()),
            Lifecycle::Deleted => Err(Rejection::new("post-deleted", "the post was deleted")),
        }
    }

    fn refuse_unless_commenter(&self, comment_id: &str, username: &str) -> Result<(), Rejection> {
        let Some(comment) = self.comments.get(comment_id) else {
            let message = format!("the post has no comment {comment_id}");
            return Err(Rejection::new("no-such-comment", message));
        };
        if !same_user(username, &comment.username) {
            let message = "only who wrote a comment may change it";
            return Err(Rejection::new("not-the-commenter", message));
        }
        Ok(())
    }
}

/// User names compare by their folded form, see [`fold_name`].
fn same_user(left: &str, right: &str) -> bool {
    fold_name(left) == fold_name(right)
}

fn refuse_blank(text: &str, code: &'static str, message: &str) -> Result<(), Rejection> {
    if text.trim().is_empty() {
        return Err(Rejection::new(code, message));
    }
    Ok(())
}
