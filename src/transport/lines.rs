//! Messages as lines: newline-delimited JSON, each line within a bound (MCP transports, "stdio").

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::protocol::lines::{Piece, Splitter};

/// How much is read at once.
const CHUNK: usize = 8 * 1024;

/// The lines of a reader.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    limit: usize,
    read: Splitter,
    ended: bool,
}

/// Why there is no next line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// A line goes on beyond the limit. What is asked for next begins behind it.
    #[error("a line has more than {0} bytes")]
    TooLong(usize),
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] io::Error),
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `limit` bytes.
    pub fn new(reader: R, limit: usize) -> Self {
        Self { reader, limit, read: Splitter::new(limit), ended: false }
    }

    /// The next line that isn't blank, without its end; `None` after the last one, which needs no
    /// line break. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Where a line is too long, or reading fails.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, LineError> {
        loop {
            if let Some(line) = self.take()? {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            self.fill().await?;
        }
    }

    /// Reads ahead, as far as there is room, until the reader ends or fails.
    pub async fn ended(&mut self) {
        while !self.ended {
            if self.read.waiting() > self.limit {
                return std::future::pending().await;
            }
            if self.fill().await.is_err() {
                return;
            }
        }
    }

    /// What is read already, as a line.
    fn take(&mut self) -> Result<Option<Vec<u8>>, LineError> {
        loop {
            match self.read.next_piece() {
                Some(Piece::Line(line)) => return Ok(Some(line.to_owned())),
                Some(Piece::Cut(_)) => return Err(LineError::TooLong(self.limit)),
                Some(Piece::End(_)) => {}
                None => return Ok(None),
            }
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        let room = (self.limit + CHUNK).saturating_sub(self.read.waiting()).max(1);
        let mut reader = (&mut self.reader).take(room as u64);
        self.ended = reader.read_buf(self.read.room(CHUNK)).await? == 0;
        if self.ended {
            self.read.end();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// The lines of what a writer writes in these pieces.
    async fn lines_of(pieces: &[Vec<u8>], limit: usize) -> Result<Vec<Vec<u8>>, LineError> {
        let (mut writer, reader) = tokio::io::duplex(16);
        let write = async move {
            for piece in pieces {
                // A reader that has given up takes no more.
                let _ = writer.write_all(piece).await;
            }
        };
        let read = async {
            let (mut lines, mut all) = (Lines::new(reader, limit), Vec::new());
            while let Some(line) = lines.next().await? {
                all.push(line);
            }
            Ok(all)
        };
        tokio::join!(write, read).1
    }

    #[tokio::test]
    async fn lines_are_told_without_their_ends_and_blank_ones_not_at_all() {
        let pieces = [b"a\r\n\n".to_vec(), b" \nb".to_vec(), b"c\nlast".to_vec()];
        let lines = lines_of(&pieces, 4).await.unwrap();
        assert_eq!(lines, [b"a".to_vec(), b"bc".to_vec(), b"last".to_vec()]);
    }

    #[tokio::test]
    async fn a_line_beyond_the_limit_is_an_error_even_if_it_never_ends() {
        for text in ["12345\n", "12345", "1\n12345\n"] {
            let read = lines_of(&[text.as_bytes().to_vec()], 4).await;
            assert!(matches!(read, Err(LineError::TooLong(4))), "{text:?}: {read:?}");
        }
        let mut endless = Lines::new(tokio::io::repeat(b'x'), 4);
        assert!(matches!(endless.next().await, Err(LineError::TooLong(4))));
        assert!(endless.read.waiting() <= 4 + CHUNK);
    }

    #[tokio::test]
    async fn what_comes_behind_a_line_that_is_too_long_is_read() {
        let (mut writer, reader) = tokio::io::duplex(16);
        let write = async move {
            for text in ["12345678", "90\nab", "\n123456\ncd\n", "1234567"] {
                writer.write_all(text.as_bytes()).await.unwrap();
            }
        };
        let read = async {
            let (mut lines, mut all) = (Lines::new(reader, 4), Vec::new());
            loop {
                match lines.next().await {
                    Ok(Some(line)) => all.push(String::from_utf8(line).unwrap()),
                    Ok(None) => return all,
                    Err(LineError::TooLong(_)) => all.push("!".to_owned()),
                    Err(LineError::Read(error)) => panic!("{error}"),
                }
            }
        };
        assert_eq!(tokio::join!(write, read).1, ["!", "ab", "!", "cd", "!"]);
    }

    #[tokio::test]
    async fn reading_ahead_loses_nothing() {
        let (mut writer, reader) = tokio::io::duplex(64);
        let mut lines = Lines::new(reader, 8);
        writer.write_all(b"one\ntwo\n").await.unwrap();
        drop(writer);
        lines.ended().await;
        assert_eq!(lines.next().await.unwrap(), Some(b"one".to_vec()));
        assert_eq!(lines.next().await.unwrap(), Some(b"two".to_vec()));
        assert_eq!(lines.next().await.unwrap(), None);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            lines in proptest::collection::vec("[a-z]{1,9}", 0..6),
            cuts in proptest::collection::vec(1_usize..7, 1..40),
        ) {
            let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let (mut rest, mut pieces) = (text.as_bytes(), Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece.to_vec());
                rest = after;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(lines_of(&pieces, 9)).unwrap();
            let expected: Vec<_> = lines.iter().map(|line| line.clone().into_bytes()).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
