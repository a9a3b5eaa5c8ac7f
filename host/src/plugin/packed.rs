//! Packs recorded events the way `wit/foldhost.wit` describes `packed-events`.

use crate::message::RecordedEvent;

/// Events packed one behind the other, ready to cross.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed(pub(super) Vec<u8>);

impl Packed {
    /// Packs events in order.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a RecordedEvent>) -> Self {
        let mut packed = Self::default();
        events.into_iter().for_each(|event| packed.push(event));
        packed
    }

    /// Packs one event behind the others.
    pub fn push(&mut self, event: &RecordedEvent) {
        let into = &mut self.0;
        let start = into.len();
        into.extend_from_slice(&[0; 4]);
        into.extend_from_slice(event.event_id.as_bytes());
        into.extend_from_slice(&event.position.0.to_le_bytes());
        into.extend_from_slice(&event.version.0.to_le_bytes());
        into.extend_from_slice(&event.time.0.to_le_bytes());
        into.extend_from_slice(&event.schema_version.to_le_bytes());
        text(event.stream.as_str(), into);
        text(&event.event_type, into);
        text(&event.correlation_id, into);
        text(&event.causation_id, into);
        text(&event.actor, into);
        text(event.metadata.as_str(), into);
        text(event.data.as_str(), into);
        let length = length(into.len() - start - 4);
        into[start..start + 4].copy_from_slice(&length);
    }

    /// Gives the bytes as they cross.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Returns how many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn text(text: &str, into: &mut Vec<u8>) {
    into.extend_from_slice(&length(text.len()));
    into.extend_from_slice(text.as_bytes());
}

/// Texts are bounded far below 4 GiB before they come here.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}
