//! What a post accepts and refuses.

use foldhost_plugin_sdk::testing::{aggregate_laws, given};
use post::{Post, PostCommand, PostEvent};
use serde_json::json;

fn created() -> PostEvent {
    PostEvent::PostCreated {
        author: "Anna".into(),
        message: "Hello".into(),
    }
}

fn commented(comment_id: &str) -> PostEvent {
    PostEvent::CommentAdded {
        comment_id: comment_id.into(),
        comment: "Well said".into(),
        username: "Bert".into(),
    }
}

fn create(author: &str, message: &str) -> PostCommand {
    PostCommand::Create {
        author: author.into(),
        message: message.into(),
    }
}

fn add_comment(comment_id: Option<&str>, comment: &str) -> PostCommand {
    PostCommand::AddComment {
        comment_id: comment_id.map(Into::into),
        comment: comment.into(),
        username: "Bert".into(),
    }
}

fn edit_comment(comment_id: &str, comment: &str, username: &str) -> PostCommand {
    PostCommand::EditComment {
        comment_id: comment_id.into(),
        comment: comment.into(),
        username: username.into(),
    }
}

fn remove_comment(comment_id: &str, username: &str) -> PostCommand {
    PostCommand::RemoveComment {
        comment_id: comment_id.into(),
        username: username.into(),
    }
}

fn edit_message(message: &str) -> PostCommand {
    PostCommand::EditMessage {
        message: message.into(),
    }
}

fn delete(username: &str) -> PostCommand {
    PostCommand::Delete {
        username: username.into(),
    }
}

/// One of each command that needs a living post.
fn all_but_create() -> Vec<PostCommand> {
    vec![
        edit_message("Hi"),
        PostCommand::Like,
        add_comment(None, "Well said"),
        edit_comment("c1", "Well done", "Bert"),
        remove_comment("c1", "Bert"),
        delete("Anna"),
    ]
}

#[test]
fn a_post_is_created() {
    given::<Post>([])
        .when(create("Anna", "Hello"))
        .then([created()]);
}

#[test]
fn a_post_cannot_be_created_twice() {
    given::<Post>([created()])
        .when(create("Bert", "Hi"))
        .then_rejected("already-exists");
}

#[test]
fn a_deleted_post_cannot_be_created_again() {
    given::<Post>([created(), PostEvent::PostDeleted])
        .when(create("Anna", "Hello"))
        .then_rejected("already-exists");
}

#[test]
fn a_post_without_an_author_is_refused() {
    given::<Post>([])
        .when(create(" \t", "Hello"))
        .then_rejected("blank-author");
}

#[test]
fn a_post_without_a_message_is_refused() {
    given::<Post>([])
        .when(create("Anna", ""))
        .then_rejected("blank-message");
}

#[test]
fn every_other_command_is_refused_on_a_post_that_does_not_exist() {
    for command in all_but_create() {
        given::<Post>([])
            .when(command)
            .then_rejected("no-such-post");
    }
}

#[test]
fn every_other_command_is_refused_on_a_deleted_post() {
    for command in all_but_create() {
        given::<Post>([created(), commented("c1"), PostEvent::PostDeleted])
            .when(command)
            .then_rejected("post-deleted");
    }
}

#[test]
fn a_message_is_edited() {
    given::<Post>([created()])
        .when(edit_message("Hi"))
        .then([PostEvent::MessageEdited {
            message: "Hi".into(),
        }]);
}

#[test]
fn a_message_cannot_become_blank() {
    given::<Post>([created()])
        .when(edit_message("\n"))
        .then_rejected("blank-message");
}

#[test]
fn a_post_is_liked_as_often_as_one_likes() {
    given::<Post>([created(), PostEvent::PostLiked])
        .when(PostCommand::Like)
        .then([PostEvent::PostLiked]);
}

#[test]
fn a_like_needs_no_payload() {
    for payload in [json!(null), json!({})] {
        given::<Post>([created()])
            .when_raw("like", payload)
            .then([PostEvent::PostLiked]);
    }
}

#[test]
fn a_comment_keeps_the_id_it_is_given() {
    given::<Post>([created()])
        .when(add_comment(Some("c1"), "Well said"))
        .then([commented("c1")]);
}

#[test]
fn a_comment_without_an_id_gets_one_that_a_retry_gets_too() {
    let id_of = |command_id: &str| {
        let id = std::cell::RefCell::new(String::new());
        given::<Post>([created()])
            .when(add_comment(None, "Well said"))
            .command_id(command_id)
            .then_events(|events| match events.as_slice() {
                [PostEvent::CommentAdded { comment_id, .. }] => {
                    id.borrow_mut().clone_from(comment_id);
                }
                _ => panic!("not one comment"),
            });
        id.into_inner()
    };
    assert_eq!(id_of("first"), id_of("first"));
    assert_ne!(id_of("first"), id_of("second"));
}

#[test]
fn a_post_takes_several_comments() {
    given::<Post>([created(), commented("c1"), commented("c2")])
        .when(add_comment(Some("c3"), "Well said"))
        .then([commented("c3")]);
}

#[test]
fn a_blank_comment_is_refused() {
    given::<Post>([created()])
        .when(add_comment(None, " "))
        .then_rejected("blank-comment");
}

#[test]
fn a_comment_id_that_is_taken_is_refused() {
    given::<Post>([created(), commented("c1")])
        .when(add_comment(Some("c1"), "Well said"))
        .then_rejected("comment-exists");
}

#[test]
fn the_commenter_edits_the_comment_whatever_the_case_of_the_name() {
    given::<Post>([created(), commented("c1")])
        .when(edit_comment("c1", "Well done", " BERT "))
        .then([PostEvent::CommentEdited {
            comment_id: "c1".into(),
            comment: "Well done".into(),
            username: " BERT ".into(),
        }]);
}

#[test]
fn a_comment_cannot_become_blank() {
    given::<Post>([created(), commented("c1")])
        .when(edit_comment("c1", "", "Bert"))
        .then_rejected("blank-comment");
}

#[test]
fn a_comment_that_is_not_there_cannot_be_edited() {
    given::<Post>([created(), commented("c1")])
        .when(edit_comment("c2", "Well done", "Bert"))
        .then_rejected("no-such-comment");
}

#[test]
fn another_user_cannot_edit_a_comment() {
    given::<Post>([created(), commented("c1")])
        .when(edit_comment("c1", "Well done", "Anna"))
        .then_rejected("not-the-commenter");
}

#[test]
fn the_commenter_removes_the_comment() {
    given::<Post>([created(), commented("c1")])
        .when(remove_comment("c1", "bert"))
        .then([PostEvent::CommentRemoved {
            comment_id: "c1".into(),
        }]);
}

#[test]
fn a_comment_that_was_removed_cannot_be_removed_again() {
    let removed = PostEvent::CommentRemoved {
        comment_id: "c1".into(),
    };
    given::<Post>([created(), commented("c1"), removed])
        .when(remove_comment("c1", "Bert"))
        .then_rejected("no-such-comment");
}

#[test]
fn another_user_cannot_remove_a_comment() {
    given::<Post>([created(), commented("c1")])
        .when(remove_comment("c1", "Anna"))
        .then_rejected("not-the-commenter");
}

#[test]
fn the_author_deletes_the_post_whatever_the_case_of_the_name() {
    given::<Post>([created()])
        .when(delete("ANNA"))
        .then([PostEvent::PostDeleted]);
}

#[test]
fn another_user_cannot_delete_a_post() {
    given::<Post>([created()])
        .when(delete("Bert"))
        .then_rejected("not-the-author");
}

#[test]
fn names_beyond_ascii_compare_without_their_case() {
    let created = PostEvent::PostCreated {
        author: "Ärger".into(),
        message: "Hello".into(),
    };
    given::<Post>([created])
        .when(delete("ÄRGER"))
        .then([PostEvent::PostDeleted]);
}

#[test]
fn a_payload_of_another_form_is_malformed_whatever_the_state() {
    given::<Post>([])
        .when_raw("create", json!({ "author": "Anna" }))
        .then_malformed("missing field `message`");
    given::<Post>([])
        .when_raw("create", json!({ "author": 1, "message": "Hello" }))
        .then_malformed("field `author`: invalid type: integer `1`");
    given::<Post>([])
        .when_raw("like", json!({ "times": 2 }))
        .then_malformed("unknown field `times`");
    given::<Post>([])
        .when_raw("love", json!({}))
        .then_malformed("there is no command `love`");
}

#[test]
fn the_state_holds_what_happened() {
    let edited = PostEvent::CommentEdited {
        comment_id: "c1".into(),
        comment: "Well done".into(),
        username: "bert".into(),
    };
    given::<Post>([created(), PostEvent::PostLiked, commented("c1"), edited]).then_view(json!({
        "lifecycle": "active",
        "author": "Anna",
        "message": "Hello",
        "likes": 1,
        "comments": { "c1": { "comment": "Well done", "username": "Bert" } },
    }));
}

#[test]
fn a_post_keeps_the_laws() {
    aggregate_laws::<Post>();
}
