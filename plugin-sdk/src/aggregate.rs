//! Aggregates: commands in, events out, state by folding.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::describe::CommandType;
use crate::envelope::split_stream;
use crate::guest::CommandCall;
use crate::{Envelope, Event, Rejection, Time};

/// The consistency boundary that decides commands; a value of the type is the state of one stream.
///
/// The host keeps states in the plugin between calls, makes them by [`Default`] and folds the stream's events into them.
/// Both functions are pure: the same state and command give the same events, the same events give the same state.
/// There is no clock and no randomness; time comes with the command and the event.
pub trait Aggregate: Default + Serialize + DeserializeOwned + 'static {
    /// The aggregate's name, the first part of its stream ids: a lower-case letter, then letters, digits or `_`.
    const NAME: &'static str;

    /// Moves when the form of the state moves; the host then leaves older snapshots alone.
    const STATE_VERSION: u32 = 1;

    /// A snapshot is taken about every so many events; 0 means never.
    ///
    /// Loading reads a snapshot and the events after it.
    /// Two hundred small events fold in well under a millisecond, so that more snapshots would cost more than they save.
    const SNAPSHOT_INTERVAL: u32 = 200;

    /// The commands, an enum with `#[derive(Command)]`.
    type Command: Command;

    /// The events, an enum with `#[derive(Event)]`.
    type Event: Event;

    /// Decides a command: the events that shall happen, none if there is nothing to record, or why not.
    ///
    /// Called on the state as it is at the head of the stream.
    /// If another writer was faster the host calls it again on the newer state.
    ///
    /// # Errors
    /// The refusal, which the client gets with its code.
    fn decide(
        &self,
        command: Self::Command,
        context: &Context<'_>,
    ) -> Result<Vec<Self::Event>, Rejection>;

    /// Folds one recorded event into the state; it has happened, so there is nothing to refuse.
    fn evolve(&mut self, event: Self::Event, envelope: &Envelope<'_>);

    /// The state as bytes for [`Aggregate::from_snapshot`]; JSON unless overridden.
    fn to_snapshot(&self) -> Vec<u8> {
        crate::payload::write_json(self)
    }

    /// Reads what [`Aggregate::to_snapshot`] of the same code wrote.
    ///
    /// # Errors
    /// What is wrong with the bytes; the host then folds all events.
    fn from_snapshot(snapshot: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(snapshot).map_err(|error| error.to_string())
    }
}

/// The commands of an aggregate; implemented by `#[derive(Command)]` on an enum.
///
/// One variant is one command: its name in kebab-case is the command's name, its fields are the JSON payload,
/// its doc comment is the description in the host's API.
/// Payload fields that are not known are refused; nothing and `null` stand for a payload without fields.
/// `#[command(name = "..")]` on a variant gives another name; fields take the attributes of `serde`.
///
/// ```
/// use foldhost_plugin_sdk::Command;
///
/// #[derive(Command)]
/// enum CounterCommand {
///     /// Adds to the counter.
///     Add { amount: u32 },
///     /// Starts again from nothing.
///     Reset,
/// }
///
/// let refusal = CounterCommand::read("add", br#"{"amount": 1, "amuont": 2}"#).err().unwrap();
/// assert_eq!(refusal, "field `amuont`: unknown field `amuont`, expected `amount`");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no enum of commands",
    note = "add `#[derive(Command)]` to the enum"
)]
pub trait Command: Sized {
    /// Descriptors of all commands.
    fn types() -> Vec<CommandType>;

    /// Reads a command from its name and JSON payload.
    ///
    /// # Errors
    /// What is wrong with the payload, naming the field; or that there is no such command.
    fn read(name: &str, payload: &[u8]) -> Result<Self, String>;

    /// The name and the JSON payload of the command.
    fn write(self) -> (&'static str, Vec<u8>);
}

/// What is known of a command beside its payload.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    stream: &'a str,
    call: &'a CommandCall<'a>,
}

impl<'a> Context<'a> {
    /// The context of one call.
    pub fn new(stream: &'a str, call: &'a CommandCall<'a>) -> Self {
        Self { stream, call }
    }

    /// `<aggregate>-<aggregate id>`.
    pub fn stream(&self) -> &'a str {
        self.stream
    }

    /// Which instance of the aggregate it is.
    pub fn aggregate_id(&self) -> &'a str {
        split_stream(self.stream).1
    }

    /// The client's identity for this command, the same whenever it is repeated.
    pub fn command_id(&self) -> &'a str {
        self.call.command_id
    }

    /// When the host accepted the command; its events will bear this time.
    pub fn time(&self) -> Time {
        self.call.time
    }

    /// Who sent the command.
    pub fn actor(&self) -> &'a str {
        self.call.actor
    }

    /// The same on everything that one outside request set in motion.
    pub fn correlation_id(&self) -> &'a str {
        self.call.correlation_id
    }

    /// An id in the form of a UUID that is the same for every repetition of this command.
    ///
    /// The label tells several ids of one command apart.
    /// Another command, actor or stream gives another id.
    pub fn derive_id(&self, label: &str) -> String {
        let parts = [self.stream, self.call.actor, self.call.command_id, label];
        let mut bytes = fnv_1a(&parts).to_be_bytes();
        // Version 8, "vendor specific", of RFC 9562.
        bytes[6] = 0x80 | bytes[6] & 0x0f;
        bytes[8] = 0x80 | bytes[8] & 0x3f;
        crate::EventId::from_bytes(bytes).to_string()
    }
}

/// FNV-1a in 128 bits, plenty to tell the commands of one stream apart; it does not have to withstand an attack,
/// since a client that provoked the same id twice would only meet its own earlier id.
fn fnv_1a(parts: &[&str]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    // 0xff occurs in no UTF-8 text, so it keeps ("ab", "c") and ("a", "bc") apart.
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(stream: &str, actor: &str, command_id: &str, label: &str) -> String {
        let call = CommandCall {
            name: "add",
            payload: b"",
            command_id,
            time: Time::default(),
            actor,
            correlation_id: "",
        };
        Context::new(stream, &call).derive_id(label)
    }

    #[test]
    fn the_same_command_derives_the_same_id() {
        let id = derive("post-1", "anna", "c-1", "comment");
        assert_eq!(id, derive("post-1", "anna", "c-1", "comment"));
        // Ids are in recorded events, so the function may never change.
        assert_eq!(id, "439ba06b-cf52-8cae-be05-80978aa8372b");
    }

    #[test]
    fn another_stream_actor_command_or_label_derives_another_id() {
        let id = derive("post-1", "anna", "c-1", "comment");
        for other in [
            derive("post-2", "anna", "c-1", "comment"),
            derive("post-1", "bert", "c-1", "comment"),
            derive("post-1", "anna", "c-2", "comment"),
            derive("post-1", "anna", "c-1", "reply"),
            derive("post-1", "annac", "-1", "comment"),
        ] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // The published test vector of "a", continued by the separator.
        let of_a: u128 = 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964;
        assert_eq!(
            fnv_1a(&["a"]),
            (of_a ^ 0xff).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        );
    }
}
