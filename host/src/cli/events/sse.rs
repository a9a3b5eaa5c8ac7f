//! Server-Sent Events, as far as a host sends them.

/// Takes a stream apart as it comes in.
#[derive(Debug, Default)]
pub(super) struct Parser {
    bytes: Vec<u8>,
    /// What of `bytes` is done with.
    start: usize,
    message: Message,
}

/// One message: an event, or an id without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// The last id that was given with it.
    pub(super) id: Option<String>,
    /// Empty for a message that only moves the id.
    pub(super) data: String,
}

impl Parser {
    /// Takes what has come.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Gives the next whole message, if there is one.
    pub(super) fn next(&mut self) -> Option<Message> {
        while let Some(end) = self.bytes[self.start..]
            .iter()
            .position(|byte| *byte == b'\n')
        {
            let line = &self.bytes[self.start..self.start + end];
            let line =
                String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
            self.start += end + 1;
            if !line.is_empty() {
                self.message.take(&line);
            } else if self.message != Message::default() {
                return Some(std::mem::take(&mut self.message));
            }
        }
        None
    }
}

impl Message {
    /// Comments, the event's name and the time to come back are of no use here.
    fn take(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&str]) -> Vec<(Option<String>, String)> {
        let mut parser = Parser::default();
        let mut messages = Vec::new();
        for piece in pieces {
            parser.feed(piece.as_bytes());
            while let Some(message) = parser.next() {
                messages.push((message.id, message.data));
            }
        }
        messages
    }

    #[test]
    fn messages_come_whole_wherever_the_stream_is_cut() {
        let text = ": foldhost\nretry: 1000\n\nid: 7\nevent: post.PostLiked\ndata: {\"a\":1}\n\n:\nid: 9\n\n";
        let expected = [
            (Some("7".to_owned()), "{\"a\":1}".to_owned()),
            (Some("9".to_owned()), String::new()),
        ];
        assert_eq!(parse(&[text]), expected);
        for cut in 1..text.len() {
            assert_eq!(
                parse(&[&text[..cut], &text[cut..]]),
                expected,
                "cut at {cut}"
            );
        }
    }
}
