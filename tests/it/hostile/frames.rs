//! HTTP/2 by hand (RFC 9113): frames in, as they are, and those that come back.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{TestNode, within};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GO_AWAY: u8 = 7;
pub(crate) const WINDOW: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The setting of the window that each stream has at first.
pub(crate) const INITIAL_WINDOW: u16 = 4;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection to a node.
pub(crate) struct Frames {
    stream: TcpStream,
}

impl Frames {
    /// Opens a connection with these settings.
    pub(crate) async fn open(node: &TestNode, settings: &[(u16, u32)]) -> Self {
        let stream = within(TcpStream::connect(node.node.http_address())).await.unwrap();
        let mut frames = Self { stream };
        let setting = |(name, value): &(u16, u32)| {
            [name.to_be_bytes().to_vec(), value.to_be_bytes().to_vec()].concat()
        };
        let settings: Vec<u8> = settings.iter().flat_map(setting).collect();
        let opening = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &settings)].concat();
        frames.send(opening).await.unwrap();
        frames
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within(self.stream.write_all(bytes.as_ref())).await
    }

    /// The next frame; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        within(self.stream.read_exact(&mut head)).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        within(self.stream.read_exact(&mut payload)).await.ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// The body of a stream's response.
    pub(crate) async fn body(&mut self, stream: u32) -> Option<String> {
        let mut body = Vec::new();
        loop {
            let frame = self.next().await?;
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                DATA => body.extend(frame.payload),
                HEADERS => {}
                _ => return None,
            }
            if frame.flags & END_STREAM != 0 {
                return Some(String::from_utf8(body).unwrap());
            }
        }
    }

    /// All that comes until the node hangs up.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut all = Vec::new();
        while let Some(frame) = self.next().await {
            all.push(frame);
        }
        all
    }
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A header block: each field as a literal that is not to be indexed (RFC 7541, 6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
        [&[length.expect("it is short")], text.as_bytes()].concat()
    };
    let field = |(name, value): &(&str, &str)| [vec![0], text(name), text(value)].concat();
    fields.iter().flat_map(field).collect()
}

/// A POST to `/mcp` with these headers; the body follows.
pub(crate) fn post_head(stream: u32, headers: &[(&str, &str)]) -> Vec<u8> {
    let pseudo =
        [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/mcp")];
    let fields: Vec<_> = pseudo.iter().chain(headers).copied().collect();
    frame(HEADERS, END_HEADERS, stream, &block(&fields))
}

/// A whole POST to `/mcp`.
pub(crate) fn post(stream: u32, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut all = post_head(stream, headers);
    let mut pieces = body.as_bytes().chunks(16_384).peekable();
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { END_STREAM } else { 0 };
        all.extend(frame(DATA, flags, stream, piece));
    }
    all
}
