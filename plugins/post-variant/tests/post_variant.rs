//! How the variant differs from `post`.

use foldhost_plugin_sdk::testing::{aggregate_laws, given};
use post_variant::PostVariant;
use post_variant::post::{PostCommand, PostEvent};

fn created() -> PostEvent {
    PostEvent::PostCreated {
        author: "Anna".into(),
        message: "Hello".into(),
    }
}

#[test]
fn a_like_is_recorded_twice() {
    given::<PostVariant>([created()])
        .when(PostCommand::Like)
        .then([PostEvent::PostLiked, PostEvent::PostLiked]);
}

#[test]
fn a_like_of_nothing_is_refused_as_ever() {
    given::<PostVariant>([])
        .when(PostCommand::Like)
        .then_rejected("no-such-post");
}

#[test]
fn the_variant_keeps_the_laws() {
    aggregate_laws::<PostVariant>();
}
