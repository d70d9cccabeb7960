//! Lines of bounded length, by which messages are told apart on a channel of bytes (MCP
//! transports, "stdio").

use bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

/// Cuts bytes into lines. One that is too long is read over, and told.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    /// Bytes that are known to hold no line end.
    searched: usize,
    skipping: bool,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line without its end; never empty.
    Text(BytesMut),
    /// A line beyond the limit.
    TooLong,
}

impl Lines {
    /// Lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, searched: 0, skipping: false }
    }
}

impl Decoder for Lines {
    type Item = Line;
    type Error = std::io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> std::io::Result<Option<Line>> {
        loop {
            let unsearched = bytes.get(self.searched..).unwrap_or_default();
            let end = unsearched.iter().position(|byte| *byte == b'\n');
            let Some(end) = end.map(|at| self.searched + at) else {
                self.searched = bytes.len();
                if self.skipping || bytes.len() > self.limit {
                    self.skipping = true;
                    self.searched = 0;
                    bytes.clear();
                }
                return Ok(None);
            };
            let mut line = bytes.split_to(end);
            bytes.advance(1);
            self.searched = 0;
            if std::mem::take(&mut self.skipping) || line.len() > self.limit {
                return Ok(Some(Line::TooLong));
            }
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if !line.is_empty() {
                return Ok(Some(Line::Text(line)));
            }
        }
    }

    /// A last line may lack its end.
    fn decode_eof(&mut self, bytes: &mut BytesMut) -> std::io::Result<Option<Line>> {
        if let Some(line) = self.decode(bytes)? {
            return Ok(Some(line));
        }
        if std::mem::take(&mut self.skipping) {
            return Ok(Some(Line::TooLong));
        }
        let rest = bytes.split();
        Ok((!rest.is_empty()).then_some(Line::Text(rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pieces, and gives the lines in short.
    fn lines(pieces: &[&str]) -> String {
        let (mut codec, mut bytes, mut found) = (Lines::new(4), BytesMut::new(), Vec::new());
        let mut note = |line| match line {
            Line::Text(text) => found.push(String::from_utf8_lossy(&text).into_owned()),
            Line::TooLong => found.push("!".to_owned()),
        };
        for piece in pieces {
            bytes.extend_from_slice(piece.as_bytes());
            while let Some(line) = codec.decode(&mut bytes).unwrap() {
                note(line);
            }
            assert!(bytes.len() <= 4, "no more is kept than a line may have");
        }
        while let Some(line) = codec.decode_eof(&mut bytes).unwrap() {
            note(line);
        }
        found.join(",")
    }

    #[test]
    fn lines_are_cut_whatever_the_pieces() {
        assert_eq!(lines(&["a\nb\n"]), "a,b");
        assert_eq!(lines(&["a", "b", "\r\n\n", "\nc"]), "ab,c");
        assert_eq!(lines(&["abcd\n"]), "abcd");
        assert_eq!(lines(&["abcde\nf\n"]), "!,f");
        assert_eq!(lines(&["abc", "def", "ghi\nj"]), "!,j");
        assert_eq!(lines(&["abcdefgh"]), "!");
        assert_eq!(lines(&[]), "");
    }
}
