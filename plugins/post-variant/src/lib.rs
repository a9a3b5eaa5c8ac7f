//! Plugin `post` in a later version that answers differently: every `like` records two `PostLiked`.
//!
//! For tests that swap plugins; it is the source of `post` itself with one decision changed.

#[path = "../../post/src/post.rs"]
pub mod post;

use foldhost_plugin_sdk::{Aggregate, Context, Envelope, Json, Rejection};
use post::{Post, PostCommand, PostEvent};

/// A post that is liked twice at a time; its state and snapshots are those of [`Post`].
#[derive(Debug, Default, Json)]
#[serde(transparent)]
pub struct PostVariant(Post);

impl Aggregate for PostVariant {
    const NAME: &'static str = Post::NAME;
    type Command = PostCommand;
    type Event = PostEvent;

    fn decide(
        &self,
        command: PostCommand,
        context: &Context<'_>,
    ) -> Result<Vec<PostEvent>, Rejection> {
        let is_like = matches!(command, PostCommand::Like);
        let mut events = self.0.decide(command, context)?;
        if is_like {
            events.push(PostEvent::PostLiked);
        }
        Ok(events)
    }

    fn evolve(&mut self, event: PostEvent, envelope: &Envelope<'_>) {
        self.0.evolve(event, envelope);
    }
}

foldhost_plugin_sdk::export_aggregate!(PostVariant, name = "post", version = "0.2.0");
