//! The guest of the crossing bench: reads every field of every event, in each of the forms.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../wit", world: "crossing" });

struct Forms;

/// Walks packed events and gives each one's texts to `see`.
fn walk(mut bytes: &[u8], mut see: impl FnMut(&[u8])) -> u64 {
    let mut sum = 0;
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (event, next) = rest.split_at(u32::from_le_bytes(*length) as usize);
        bytes = next;
        // The id, position, version, time and schema version come first.
        let (numbers, mut texts) = event.split_at(16 + 8 + 8 + 8 + 4);
        sum += u64::from(numbers[16]);
        while let Some((length, rest)) = texts.split_first_chunk::<4>() {
            let (text, next) = rest.split_at(u32::from_le_bytes(*length) as usize);
            texts = next;
            sum += text.len() as u64;
            if texts.is_empty() {
                see(text);
            }
        }
    }
    sum
}

impl Guest for Forms {
    fn records(events: Vec<Event>) -> u64 {
        let length = |event: &Event| {
            event.stream.len()
                + event.type_.len()
                + event.correlation_id.len()
                + event.causation_id.len()
                + event.actor.len()
                + event.metadata.len()
                + event.data.len()
                + event.event_id.len()
        };
        events
            .iter()
            .map(|event| length(event) as u64 + event.position)
            .sum()
    }

    fn blobs(events: Vec<Vec<u8>>) -> u64 {
        events.iter().map(|event| walk(event, |_| {})).sum()
    }

    fn packed(events: Vec<u8>) -> u64 {
        walk(&events, |_| {})
    }

    fn packed_and_parsed(events: Vec<u8>) -> u64 {
        let mut fields = 0;
        walk(&events, |data| {
            let value: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
            fields += value.as_object().map_or(0, serde_json::Map::len) as u64;
        });
        fields
    }
}

export!(Forms);
