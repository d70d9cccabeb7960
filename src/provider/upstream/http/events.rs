//! Server-sent events as they come in (HTML standard, "Parsing an event stream"). Pure.

use std::time::Duration;

/// What surrounds the data in a line.
const FIELD_BYTES: usize = 64;
/// Bytes of an event's id that are remembered; a longer one is none.
const ID_BYTES: usize = 4_096;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its type; empty where it has none.
    pub(super) kind: String,
    /// Its data.
    pub(super) data: Vec<u8>,
}

impl Event {
    /// Whether it carries a message, as events do that don't say what they are.
    pub(super) fn is_message(&self) -> bool {
        matches!(self.kind.as_str(), "" | "message") && !self.data.is_empty()
    }
}

/// An event has more data than is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Makes events of bytes, however these are cut. What it knows of ids and pauses outlives the
/// connection, so that a stream can be resumed.
#[derive(Debug)]
pub(super) struct Parser {
    /// Bytes of data that one event may have.
    limit: usize,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The last line ended with CR, so that a LF right behind it belongs there.
    after_cr: bool,
    /// No line of this connection has ended yet.
    at_start: bool,
    kind: String,
    data: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
    last_id: Option<Vec<u8>>,
    retry: Option<Duration>,
}

impl Parser {
    /// A parser that takes events of at most so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            after_cr: false,
            at_start: true,
            kind: String::new(),
            data: None,
            id: None,
            last_id: None,
            retry: None,
        }
    }

    /// Bytes of data that one event may have.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The id of the last whole event that had one.
    pub(super) fn last_id(&self) -> Option<&[u8]> {
        self.last_id.as_deref()
    }

    /// How long the server wants to be left alone before the stream is resumed.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Another connection carries the stream on: what was begun is forgotten.
    pub(super) fn reconnected(&mut self) {
        self.line.clear();
        self.after_cr = false;
        self.at_start = true;
        self.kind.clear();
        self.data = None;
        self.id.clone_from(&self.last_id);
    }

    /// Takes bytes, and gives the events that they complete.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        while let Some((&first, rest)) = bytes.split_first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = rest;
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.keep(bytes)?;
                break;
            };
            let (head, tail) = bytes.split_at(end);
            self.keep(head)?;
            if let Some((ending, behind)) = tail.split_first() {
                self.after_cr = *ending == b'\r';
                bytes = behind;
            }
            let line = std::mem::take(&mut self.line);
            events.extend(self.take(&line)?);
        }
        Ok(events)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        if self.line.len() + bytes.len() > self.limit.saturating_add(FIELD_BYTES) {
            return Err(TooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes a whole line; a blank one ends an event.
    fn take(&mut self, line: &[u8]) -> Result<Option<Event>, TooLarge> {
        let line = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(line) if self.at_start => line,
            _ => line,
        };
        self.at_start = false;
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                let (field, value) = line.split_at(colon);
                let value = value.get(1..).unwrap_or_default();
                (field, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match field {
            b"data" => self.extend(value)?,
            b"event" => self.kind = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) && value.len() <= ID_BYTES => self.id = Some(value.into()),
            b"retry" => self.retry = milliseconds(value).or(self.retry),
            _ => {}
        }
        Ok(None)
    }

    fn extend(&mut self, value: &[u8]) -> Result<(), TooLarge> {
        let data = match &mut self.data {
            Some(data) => {
                data.push(b'\n');
                data
            }
            None => self.data.insert(Vec::new()),
        };
        if data.len() + value.len() > self.limit {
            return Err(TooLarge);
        }
        data.extend_from_slice(value);
        Ok(())
    }

    fn dispatch(&mut self) -> Option<Event> {
        // An empty id says that there is nothing to resume behind.
        self.last_id = self.id.clone().filter(|id| !id.is_empty());
        let kind = std::mem::take(&mut self.kind);
        self.data.take().map(|data| Event { kind, data })
    }
}

fn milliseconds(value: &[u8]) -> Option<Duration> {
    let digits = std::str::from_utf8(value).ok()?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        let events = Parser::new(100).feed(text.as_bytes()).unwrap();
        let text = |data| String::from_utf8(data).unwrap();
        events.into_iter().map(|event| (event.kind, text(event.data))).collect()
    }

    #[test]
    fn events_are_parsed_as_the_standard_has_it() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let expected: Vec<(String, String)> =
                expected.iter().map(|(kind, data)| ((*kind).into(), (*data).into())).collect();
            assert_eq!(parsed(text), expected, "{text:?}");
        };
        check("data: a\n\n", &[("", "a")]);
        check("data:a\r\rdata:  b\r\n\r\n", &[("", "a"), ("", " b")]);
        check("\u{feff}data: a\n\n", &[("", "a")]);
        check("event: message\ndata: a\ndata: b\n\n", &[("message", "a\nb")]);
        check(": comment\n\ndata\n\ndata: x", &[("", "")]);
        check("event: x\n\ndata: y\n\n", &[("", "y")]);
        check("id: 7\n\n", &[]);
        check("unknown: 1\ndata: a:b\n\n", &[("", "a:b")]);
    }

    #[test]
    fn ids_and_pauses_outlive_a_connection() {
        let mut parser = Parser::new(100);
        let mut check = |text: &str, id: Option<&str>, retry_ms: Option<u64>| {
            parser.feed(text.as_bytes()).unwrap();
            assert_eq!(parser.last_id(), id.map(str::as_bytes), "{text:?}");
            assert_eq!(parser.retry(), retry_ms.map(Duration::from_millis), "{text:?}");
            parser.reconnected();
        };
        check("id: 1\nretry: 250\ndata:\n\n", Some("1"), Some(250));
        check("id: 2\ndata: cut", Some("1"), Some(250));
        check("data: whole\n\n", Some("1"), Some(250));
        check("retry: soon\nid: 3\n\n", Some("3"), Some(250));
        check("retry: 99999999999999999999\nid: a\0b\n\n", Some("3"), Some(250));
        check("id\n\n", None, Some(250));
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let line = format!("data: {}", "x".repeat(200));
        assert_eq!(Parser::new(100).feed(line.as_bytes()), Err(TooLarge));
        let lines = format!("data: {}\n", "x".repeat(50)).repeat(2);
        assert_eq!(Parser::new(100).feed(lines.as_bytes()), Err(TooLarge));
        assert!(Parser::new(101).feed(lines.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_bytes_are_cut(
            text in "([a-z]{0,3}|data|id|event|:| |\r\n|\n|\r|\n\n){0,40}",
            cuts in prop::collection::vec(0_usize..120, 0..8),
        ) {
            let whole = Parser::new(1_000).feed(text.as_bytes()).unwrap();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let (mut parser, mut events, mut from) = (Parser::new(1_000), Vec::new(), 0);
            for cut in cuts.into_iter().chain([text.len()]) {
                events.extend(parser.feed(&text.as_bytes()[from..cut]).unwrap());
                from = cut;
            }
            prop_assert_eq!(events, whole);
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parser::new(50).feed(&bytes);
        }
    }
}
