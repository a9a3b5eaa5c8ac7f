//! Which command is accepted, and what it changes.

use posts_commands::Command;
use serde_json::{Value, json};

use crate::Event;

/// A post that was created once; all of its past counts.
#[derive(Debug, Default)]
pub(crate) struct Post {
    pub(crate) version: u64,
    pub(crate) author: String,
    pub(crate) message: String,
    pub(crate) posted_at: String,
    pub(crate) edited_at: Option<String>,
    pub(crate) deleted: bool,
    pub(crate) likes: u64,
    /// In the order in which they were added; removed ones are not there.
    pub(crate) comments: Vec<Comment>,
    /// The times of everything that happened.
    pub(crate) times: Vec<String>,
}

/// A comment that stands under a post.
#[derive(Debug)]
pub(crate) struct Comment {
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) text: String,
    pub(crate) commented_at: String,
    pub(crate) edited: bool,
}

/// The form in which names are compared.
pub(crate) fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// The event that a command leads to, or the code of the refusal.
pub(crate) fn decide(
    post: Option<&Post>,
    command: &Command,
    comment_id: Option<&str>,
) -> Result<Event, &'static str> {
    let given = &command.payload;
    if command.command == "create" {
        return create(post, given);
    }
    let post = post.ok_or("no-such-post")?;
    if post.deleted {
        return Err("post-deleted");
    }
    let (kind, data) = match command.command.as_str() {
        "edit-message" => {
            let message = not_blank(given, "message", "blank-message")?;
            ("MessageEdited", json!({ "message": message }))
        }
        "like" => ("PostLiked", json!({})),
        "add-comment" => ("CommentAdded", add_comment(post, command, comment_id)?),
        "edit-comment" => ("CommentEdited", edit_comment(post, given)?),
        "remove-comment" => {
            let id = own_comment(post, given)?;
            ("CommentRemoved", json!({ "comment_id": id }))
        }
        "delete" if name_key(text(given, "username")) == name_key(&post.author) => {
            ("PostDeleted", json!({}))
        }
        "delete" => return Err("not-the-author"),
        _ => return Err("unknown-command"),
    };
    Ok(Event { kind, data })
}

fn create(post: Option<&Post>, given: &Value) -> Result<Event, &'static str> {
    if post.is_some() {
        return Err("already-exists");
    }
    let author = not_blank(given, "author", "blank-author")?;
    let message = not_blank(given, "message", "blank-message")?;
    Ok(Event {
        kind: "PostCreated",
        data: json!({ "author": author, "message": message }),
    })
}

fn add_comment(
    post: &Post,
    command: &Command,
    recorded_id: Option<&str>,
) -> Result<Value, &'static str> {
    let given = &command.payload;
    let comment = not_blank(given, "comment", "blank-comment")?;
    let id = match given["comment_id"].as_str() {
        Some(id) => id.to_owned(),
        None => {
            recorded_id.map_or_else(|| format!("derived:{}", command.command_id), str::to_owned)
        }
    };
    if post.comments.iter().any(|comment| comment.id == id) {
        return Err("comment-exists");
    }
    Ok(json!({ "comment": comment, "comment_id": id, "username": text(given, "username") }))
}

fn edit_comment(post: &Post, given: &Value) -> Result<Value, &'static str> {
    let comment = not_blank(given, "comment", "blank-comment")?;
    let id = own_comment(post, given)?;
    Ok(json!({ "comment": comment, "comment_id": id, "username": text(given, "username") }))
}

/// The id of the comment that the user asks to change, if it is there and the user's.
fn own_comment<'a>(post: &Post, given: &'a Value) -> Result<&'a str, &'static str> {
    let id = text(given, "comment_id");
    let mut comments = post.comments.iter();
    let comment = comments.find(|comment| comment.id == id);
    let writer = &comment.ok_or("no-such-comment")?.username;
    if name_key(writer) == name_key(text(given, "username")) {
        Ok(id)
    } else {
        Err("not-the-commenter")
    }
}

fn text<'a>(given: &'a Value, field: &str) -> &'a str {
    given[field].as_str().unwrap_or_default()
}

fn not_blank<'a>(
    given: &'a Value,
    field: &str,
    code: &'static str,
) -> Result<&'a str, &'static str> {
    let text = text(given, field);
    if text.chars().all(char::is_whitespace) {
        Err(code)
    } else {
        Ok(text)
    }
}

impl Post {
    /// Takes over what happened.
    pub(crate) fn take(&mut self, event: &Event, time: &str) {
        self.version += 1;
        self.times.push(time.to_owned());
        let of = |field| text(&event.data, field).to_owned();
        match event.kind {
            "PostCreated" => {
                (self.author, self.message) = (of("author"), of("message"));
                time.clone_into(&mut self.posted_at);
            }
            "MessageEdited" => {
                self.message = of("message");
                self.edited_at = Some(time.to_owned());
            }
            "PostLiked" => self.likes += 1,
            "CommentAdded" => self.comments.push(Comment {
                id: of("comment_id"),
                username: of("username"),
                text: of("comment"),
                commented_at: time.to_owned(),
                edited: false,
            }),
            "CommentRemoved" => {
                let id = of("comment_id");
                self.comments.retain(|comment| comment.id != id);
            }
            "PostDeleted" => self.deleted = true,
            _ => self.edit(&of("comment_id"), &of("comment")),
        }
    }

    fn edit(&mut self, id: &str, text: &str) {
        for comment in &mut self.comments {
            if comment.id == id {
                text.clone_into(&mut comment.text);
                comment.edited = true;
            }
        }
    }
}
