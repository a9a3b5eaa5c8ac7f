//! Writes the commands: knows roughly what they lead to and makes up the next one.
//!
//! It need not know exactly what the domain will say: `posts-reference` does, and the host.

mod refusals;

use serde_json::{Value, json};

use crate::Command;
use crate::random::Random;
use crate::text::{HOW_MANY_PEOPLE, message, name, post_id};

/// How far back a repetition reaches, so that some come after their post has been deleted.
const REPEAT_WITHIN: usize = 1_500;

/// How often an existing post is drawn anew when the one drawn is deleted.
const DRAWS: usize = 4;

/// What the author believes about a post.
struct Post {
    id: String,
    writer: usize,
    deleted: bool,
    /// Ids of comments with who wrote them.
    comments: Vec<(String, usize)>,
    /// Ids of comments that were removed.
    removed: Vec<String>,
}

/// Makes up one command after the other.
pub(crate) struct Author {
    random: Random,
    posts: Vec<Post>,
    written: Vec<Command>,
    next_comment: usize,
}

/// Adds one command, or a few that belong together.
type Action = fn(&mut Author);

/// What happens how often, in thousandths.
const ACTIONS: &[(usize, Action)] = &[
    (90, Author::create),
    (8, Author::too_early),
    (400, Author::like),
    (190, Author::add_comment),
    (50, Author::edit_comment),
    (45, Author::remove_comment),
    (50, Author::edit_message),
    (17, Author::delete),
    (70, Author::repeat),
    (80, Author::ask_for_refusal),
];

impl Author {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            posts: Vec::new(),
            written: Vec::new(),
            next_comment: 1,
        }
    }

    pub(crate) fn write(mut self, count: usize) -> Vec<Command> {
        while self.written.len() < count {
            // The first posts come first: nothing else makes sense without any.
            let action = if self.posts.len() < 20 {
                Self::create
            } else {
                self.random.weighted(ACTIONS)
            };
            action(&mut self);
        }
        self.written.truncate(count);
        self.written
    }

    fn send(&mut self, post: &str, command: &str, payload: Value) {
        let command_id = format!("c-{:05}", self.written.len() + 1);
        self.written.push(Command {
            aggregate: "post".to_owned(),
            id: post.to_owned(),
            command: command.to_owned(),
            payload,
            command_id,
        });
    }

    /// Sends a command again, word for word.
    fn send_again(&mut self, place: usize) {
        let command = self.written[place].clone();
        self.written.push(command);
    }

    fn somebody(&mut self) -> usize {
        self.random.zipf(HOW_MANY_PEOPLE)
    }

    fn name_of(&mut self, person: usize) -> &'static str {
        name(&mut self.random, person)
    }

    /// The name of anybody but this person.
    fn name_of_another(&mut self, person: usize) -> &'static str {
        let other = (person + 1 + self.random.below(HOW_MANY_PEOPLE - 1)) % HOW_MANY_PEOPLE;
        self.name_of(other)
    }

    /// A post, more often an old one; seldom one that is deleted.
    fn some_post(&mut self) -> usize {
        let mut place = self.random.zipf(self.posts.len());
        for _ in 0..DRAWS {
            if !self.posts[place].deleted {
                break;
            }
            place = self.random.zipf(self.posts.len());
        }
        place
    }

    /// A post and the place of one of its comments, if the first posts drawn have any.
    fn some_comment(&mut self) -> Option<(usize, usize)> {
        for _ in 0..DRAWS {
            let post = self.some_post();
            let count = self.posts[post].comments.len();
            if count > 0 && !self.posts[post].deleted {
                return Some((post, self.random.below(count)));
            }
        }
        None
    }

    fn create(&mut self) {
        let writer = self.somebody();
        let id = post_id(self.posts.len() + 1);
        let (author, message) = (self.name_of(writer), message(&mut self.random));
        self.send(
            &id,
            "create",
            json!({ "author": author, "message": message }),
        );
        self.posts.push(Post {
            id,
            writer,
            deleted: false,
            comments: Vec::new(),
            removed: Vec::new(),
        });
    }

    /// A like that comes before its post, is refused, and is sent again when the post is there.
    fn too_early(&mut self) {
        let id = post_id(self.posts.len() + 1);
        self.send(&id, "like", json!({}));
        let place = self.written.len() - 1;
        self.create();
        self.send_again(place);
    }

    fn like(&mut self) {
        let post = self.some_post();
        let id = self.posts[post].id.clone();
        self.send(&id, "like", json!({}));
    }

    fn edit_message(&mut self) {
        let post = self.some_post();
        let id = self.posts[post].id.clone();
        let message = message(&mut self.random);
        self.send(&id, "edit-message", json!({ "message": message }));
    }

    /// With an id of its own, with that of a removed comment, or without one, so that the plugin derives it.
    fn add_comment(&mut self) {
        let (post, user) = (self.some_post(), self.somebody());
        let id = self.posts[post].id.clone();
        let (comment, username) = (message(&mut self.random), self.name_of(user));
        let mut payload = json!({ "comment": comment, "username": username });
        if self.random.one_in(4) {
            if self.random.one_in(8) {
                payload = json!({ "comment": comment, "comment_id": null, "username": username });
            }
        } else {
            let comment_id = self.comment_id(post);
            payload = json!({ "comment": comment, "comment_id": comment_id, "username": username });
            self.posts[post].comments.push((comment_id, user));
        }
        self.send(&id, "add-comment", payload);
    }

    fn comment_id(&mut self, post: usize) -> String {
        if self.random.one_in(4)
            && let Some(id) = self.posts[post].removed.pop()
        {
            return id;
        }
        let number = self.next_comment;
        self.next_comment += 1;
        if self.random.one_in(20) {
            format!("k/ö.{number}")
        } else {
            format!("k{number}")
        }
    }

    fn edit_comment(&mut self) {
        if let Some((post, place)) = self.some_comment() {
            let (comment_id, user) = self.posts[post].comments[place].clone();
            let (comment, username) = (message(&mut self.random), self.name_of(user));
            self.send_edit(post, &comment, &comment_id, username);
        }
    }

    fn send_edit(&mut self, post: usize, comment: &str, comment_id: &str, username: &str) {
        let id = self.posts[post].id.clone();
        let payload = json!({ "comment": comment, "comment_id": comment_id, "username": username });
        self.send(&id, "edit-comment", payload);
    }

    fn remove_comment(&mut self) {
        if let Some((post, place)) = self.some_comment() {
            let (comment_id, user) = self.posts[post].comments.remove(place);
            let (id, username) = (self.posts[post].id.clone(), self.name_of(user));
            let payload = json!({ "comment_id": comment_id, "username": username });
            self.send(&id, "remove-comment", payload);
            self.posts[post].removed.push(comment_id);
        }
    }

    /// Any post, so that the popular ones mostly stay.
    fn delete(&mut self) {
        let post = self.random.below(self.posts.len());
        let (id, writer) = (self.posts[post].id.clone(), self.posts[post].writer);
        let username = self.name_of(writer);
        self.send(&id, "delete", json!({ "username": username }));
        self.posts[post].deleted = true;
    }

    /// The same command again, at once or after others.
    fn repeat(&mut self) {
        let reach = if self.random.one_in(3) {
            1
        } else {
            REPEAT_WITHIN.min(self.written.len())
        };
        let back = 1 + self.random.below(reach);
        self.send_again(self.written.len() - back);
    }
}
