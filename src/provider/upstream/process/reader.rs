//! From a child's standard output to the inbox: one message a line; all else is noise.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::chatter::Chatter;
use super::torn::answered;
use super::vitals::Vitals;
use crate::protocol::envelope::{Body, Limits, decode_body};
use crate::protocol::lines::{Piece, Splitter};
use crate::provider::upstream::wire::{Failure, Inbox};

/// How much is read at once: many small messages, or a part of a large one.
const CHUNK: usize = 16 * 1024;
/// How much of the beginning of a message that is too long is kept until its end comes.
const BEGINNING: usize = 512;
/// Results may nest deeper than what clients send, as deep as serde_json reads.
const LIMITS: Limits = Limits { depth: 128, batch: 1_000 };

/// Takes what a child writes on its standard output.
pub(super) struct Reader {
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) vitals: Vitals,
    pub(super) noise: Chatter,
    pub(super) limit_bytes: usize,
}

impl Reader {
    /// Reads until the output ends.
    pub(super) async fn read(mut self, mut stdout: impl AsyncRead + Unpin) {
        let mut splitter = Splitter::new(self.limit_bytes);
        let (mut torn, mut goes_on) = (None, true);
        while goes_on {
            goes_on = matches!(stdout.read_buf(splitter.room(CHUNK)).await, Ok(1..));
            if !goes_on {
                splitter.end();
            }
            while let Some(piece) = splitter.next_piece() {
                self.take(piece, &mut torn);
            }
        }
    }

    fn take(&mut self, piece: Piece<'_>, torn: &mut Option<Vec<u8>>) {
        let too_large = Failure::TooLarge { limit_bytes: self.limit_bytes };
        match piece {
            Piece::Line(line) => self.message(line),
            Piece::Cut(beginning) => {
                self.vitals.count_cut();
                self.noise.tell(beginning.get(..BEGINNING).unwrap_or(beginning));
                match answered(beginning, b"") {
                    Some(id) => self.inbox.failed(id, too_large),
                    None => *torn = Some(beginning.iter().take(BEGINNING).copied().collect()),
                }
            }
            Piece::End(end) => {
                let id = torn.take().and_then(|beginning| answered(&beginning, end));
                if let Some(id) = id {
                    self.inbox.failed(id, too_large);
                }
            }
        }
    }

    fn message(&mut self, line: &[u8]) {
        match decode_body(line, LIMITS) {
            Ok(Body::One(message)) => {
                self.vitals.count_message();
                self.inbox.message(message, None);
            }
            Ok(Body::Batch(messages)) => {
                for message in messages {
                    match message {
                        Ok(message) => {
                            self.vitals.count_message();
                            self.inbox.message(message, None);
                        }
                        Err(_) => self.vitals.count_noise(),
                    }
                }
            }
            Err(_) => {
                self.vitals.count_noise();
                self.noise.tell(line);
                if let Some(id) = answered(line, line) {
                    let why = "it is no JSON-RPC 2.0 message".to_owned();
                    self.inbox.failed(id, Failure::Lost(why));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::SystemTime;

    use super::*;
    use crate::protocol::Incoming;
    use crate::provider::upstream::Tail;

    #[derive(Default)]
    struct Taken(Mutex<Vec<String>>);

    impl Inbox for Taken {
        fn message(&self, message: Incoming, of: Option<u64>) {
            assert_eq!(of, None);
            let told = match message {
                Incoming::Request(request) => format!("asks {}", request.method),
                Incoming::Notification(told) => format!("tells {}", told.method),
                Incoming::Response { id, outcome } => {
                    format!("answers {} {}", id.unwrap(), outcome.unwrap().get())
                }
            };
            self.0.lock().unwrap().push(told);
        }

        fn failed(&self, id: u64, failure: Failure) {
            self.0.lock().unwrap().push(format!("fails {id}: {failure}"));
        }
    }

    #[tokio::test]
    async fn messages_reach_the_inbox_whatever_lies_between_them() {
        let inbox = Arc::new(Taken::default());
        let (tail, vitals) = (Tail::default(), Vitals::new(1, false, SystemTime::now()));
        let reader = Reader {
            inbox: inbox.clone(),
            vitals: vitals.clone(),
            noise: Chatter::new("time".into(), "stdout", tail.clone()),
            limit_bytes: 100,
        };
        let long = "x".repeat(100);
        let mut text = Vec::new();
        for line in [
            r#"{"jsonrpc":"2.0","id":1,"result":{ "a" : 1.0 }}"#,
            "Listening on port 17",
            r#"{"level":"info","message":"hello"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#,
            &format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"text":"{long}"}}}}"#),
            &format!(r#"{{"result":{{"text":"{long}"}},"jsonrpc":"2.0","id":3}}"#),
            &long.repeat(2),
            r#"{"jsonrpc":"1.0","id":4,"result":{}}"#,
            r#"[{"jsonrpc":"2.0","id":5,"method":"ping"},{"jsonrpc":"2.0","id":6,"result":{}},7]"#,
        ] {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"\xff\"}\n");
        text.extend_from_slice(br#"{"jsonrpc":"2.0","id":8,"result":{}}"#);
        reader.read(text.as_slice()).await;
        let expected = [
            r#"answers 1 { "a" : 1.0 }"#,
            "tells notifications/message",
            "fails 2: its answer is larger than 100 bytes",
            "fails 3: its answer is larger than 100 bytes",
            "fails 4: its answer broke off: it is no JSON-RPC 2.0 message",
            "asks ping",
            "answers 6 {}",
            "fails 7: its answer broke off: it is no JSON-RPC 2.0 message",
            "answers 8 {}",
        ];
        assert_eq!(*inbox.0.lock().unwrap(), expected);
        assert_eq!((vitals.messages(), vitals.noise(), vitals.cut()), (5, 5, 3));
        assert_eq!(tail.last(usize::MAX)[0], "stdout: Listening on port 17");
    }
}
