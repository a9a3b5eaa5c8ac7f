//! Commands that the domain refuses, of every kind.

use serde_json::json;

use super::{Action, Author};
use crate::text::{blank, message, post_id};

/// What is refused how often, relative to each other.
const REFUSALS: &[(usize, Action)] = &[
    (2, Author::create_again),
    (2, Author::create_blank),
    (1, Author::edit_message_blank),
    (1, Author::add_comment_blank),
    (2, Author::add_comment_twice),
    (1, Author::edit_comment_blank),
    (2, Author::edit_comment_of_another),
    (2, Author::touch_unknown_comment),
    (2, Author::remove_comment_of_another),
    (2, Author::delete_of_another),
    (4, Author::touch_missing),
    (6, Author::touch_deleted),
];

impl Author {
    /// A command that the domain refuses, as far as the author knows.
    pub(super) fn ask_for_refusal(&mut self) {
        let action = self.random.weighted(REFUSALS);
        action(self);
    }

    fn create_again(&mut self) {
        // Of a deleted post too.
        let post = self.random.zipf(self.posts.len());
        let person = self.somebody();
        let (id, author) = (self.posts[post].id.clone(), self.name_of(person));
        let message = message(&mut self.random);
        self.send(
            &id,
            "create",
            json!({ "author": author, "message": message }),
        );
    }

    fn create_blank(&mut self) {
        let id = post_id(self.posts.len() + 1);
        let blank = blank(&mut self.random);
        let payload = if self.random.one_in(2) {
            json!({ "author": blank, "message": "rain" })
        } else {
            json!({ "author": "Anna", "message": blank })
        };
        self.send(&id, "create", payload);
    }

    fn edit_message_blank(&mut self) {
        let post = self.some_post();
        let (id, blank) = (self.posts[post].id.clone(), blank(&mut self.random));
        self.send(&id, "edit-message", json!({ "message": blank }));
    }

    fn add_comment_blank(&mut self) {
        let post = self.some_post();
        let (id, blank) = (self.posts[post].id.clone(), blank(&mut self.random));
        self.send(
            &id,
            "add-comment",
            json!({ "comment": blank, "username": "Anna" }),
        );
    }

    fn add_comment_twice(&mut self) {
        if let Some((post, place)) = self.some_comment() {
            let (comment_id, user) = self.posts[post].comments[place].clone();
            let (id, username) = (self.posts[post].id.clone(), self.name_of(user));
            let payload =
                json!({ "comment": "again", "comment_id": comment_id, "username": username });
            self.send(&id, "add-comment", payload);
        }
    }

    fn edit_comment_blank(&mut self) {
        if let Some((post, place)) = self.some_comment() {
            let (comment_id, user) = self.posts[post].comments[place].clone();
            let (blank, username) = (blank(&mut self.random), self.name_of(user));
            self.send_edit(post, blank, &comment_id, username);
        }
    }

    fn edit_comment_of_another(&mut self) {
        if let Some((post, place)) = self.some_comment() {
            let (comment_id, user) = self.posts[post].comments[place].clone();
            let username = self.name_of_another(user);
            self.send_edit(post, "mine now", &comment_id, username);
        }
    }

    fn touch_unknown_comment(&mut self) {
        let post = self.some_post();
        if self.random.one_in(2) {
            self.send_edit(post, "where?", "k0", "Anna");
        } else {
            let id = self.posts[post].id.clone();
            let payload = json!({ "comment_id": "k0", "username": "Anna" });
            self.send(&id, "remove-comment", payload);
        }
    }

    fn remove_comment_of_another(&mut self) {
        if let Some((post, place)) = self.some_comment() {
            let (comment_id, user) = self.posts[post].comments[place].clone();
            let (id, username) = (self.posts[post].id.clone(), self.name_of_another(user));
            let payload = json!({ "comment_id": comment_id, "username": username });
            self.send(&id, "remove-comment", payload);
        }
    }

    fn delete_of_another(&mut self) {
        let post = self.some_post();
        let (id, writer) = (self.posts[post].id.clone(), self.posts[post].writer);
        let username = self.name_of_another(writer);
        self.send(&id, "delete", json!({ "username": username }));
    }

    fn touch_missing(&mut self) {
        let id = format!("missing-{}", self.random.below(50));
        self.touch(&id);
    }

    fn touch_deleted(&mut self) {
        let deleted: Vec<usize> = (0..self.posts.len())
            .filter(|place| self.posts[*place].deleted)
            .collect();
        if !deleted.is_empty() {
            let place = deleted[self.random.below(deleted.len())];
            let id = self.posts[place].id.clone();
            self.touch(&id);
        }
    }

    /// Any command but `create`.
    fn touch(&mut self, id: &str) {
        let (command, payload) = match self.random.below(6) {
            0 => ("edit-message", json!({ "message": "anyone?" })),
            1 => ("like", json!({})),
            2 => (
                "add-comment",
                json!({ "comment": "anyone?", "username": "Anna" }),
            ),
            3 => (
                "edit-comment",
                json!({ "comment": "anyone?", "comment_id": "k1", "username": "Anna" }),
            ),
            4 => (
                "remove-comment",
                json!({ "comment_id": "k1", "username": "Anna" }),
            ),
            _ => ("delete", json!({ "username": "Anna" })),
        };
        self.send(id, command, payload);
    }
}
