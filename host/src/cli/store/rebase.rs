//! `store rebase`.

use anyhow::{Result, bail};
use foldhost::config::Config;
use serde_json::json;

use super::{Rebase, open};
use crate::cli::output::Output;

/// Gives the store a new identity, or says what that would do.
pub(super) async fn run(options: Rebase, output: Output) -> Result<()> {
    let config = options.host.read()?;
    let opened = open::to_change(&config).await?;
    // Asked first, since a server tells its identity and its head only when it is reached.
    let unfinished = opened.store.unfinished_import().await?;
    let head = *opened.store.head().borrow();
    let Some(before) = opened.store.id() else {
        bail!("the event store was not reached");
    };
    if unfinished.is_some() {
        return Err(foldhost::event_store::Error::Unfinished.into());
    }
    let follows = what_follows(&config);
    if !options.yes {
        let text = format!(
            "store {before}, head {head}, would get a new identity and forget how far its followers have come. \
             Events, commands and plugins stay as they are. {follows}"
        );
        let value = json!({ "store": before.to_string(), "head": head.0, "rebased": false });
        output.show(text, &value)?;
        bail!("nothing was done; say --yes to do it");
    }
    let after = opened.store.rebase().await?;
    output.show(
        format!("store {before} is store {after} now; its head is {head} as before. {follows}"),
        &json!({
            "before": before.to_string(), "store": after.to_string(), "head": head.0, "rebased": true,
        }),
    )?;
    Ok(())
}

/// What happens with the next start of a host, and what to do for it.
fn what_follows(config: &Config) -> String {
    let mut text =
        "At the next start each projection fills a new generation, while the old one serves."
            .to_owned();
    if config.event_log != "tail" {
        text.push_str(
            " The events in the old topic name the old store, and the relay stops at them: start the hosts with an \
             --event-log that names a fresh topic, kafka://BROKER/NEW-TOPIC.",
        );
    }
    text
}
