//! What a child says to people: its standard error, and the noise on its standard output. It is
//! kept in the tail, and goes into the node's log, as far as that is not flooded.

use std::borrow::Cow;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;

use super::vitals::Vitals;
use crate::protocol::lines::{Piece, Splitter};
use crate::provider::upstream::tail::{LINE_BYTES, Tail};

/// How much is read at once.
const CHUNK: usize = 4 * 1024;
/// Lines of one child that go into the log at once, and then each second.
const BURST: u32 = 100;
const PER_SECOND: u32 = 10;

/// Where one stream of lines goes.
pub(super) struct Chatter {
    name: String,
    /// Which stream it is.
    stream: &'static str,
    tail: Tail,
    allowance: Allowance,
}

impl Chatter {
    pub(super) fn new(name: String, stream: &'static str, tail: Tail) -> Self {
        Self { name, stream, tail, allowance: Allowance::full(Instant::now()) }
    }

    /// Tells of one line.
    pub(super) fn tell(&mut self, line: &[u8]) {
        let line = line.get(..LINE_BYTES).unwrap_or(line);
        let text = readable(&String::from_utf8_lossy(line)).into_owned();
        match self.allowance.take(Instant::now()) {
            None => {}
            Some(0) => self.log(&text),
            Some(left_out) => {
                let server = self.name.as_str();
                tracing::warn!(
                    target: "erlmcp::upstream",
                    server,
                    left_out,
                    "it says more than the log takes; `erlmcp logs` tells the last of it"
                );
                self.log(&text);
            }
        }
        self.tail.push(&match self.stream {
            "stderr" => text,
            stream => format!("{stream}: {text}"),
        });
    }

    fn log(&self, text: &str) {
        let (server, stream) = (self.name.as_str(), self.stream);
        tracing::info!(target: "erlmcp::upstream", server, stream, "{text}");
    }

    /// Tells of all lines of standard error, until it ends.
    pub(super) async fn listen(mut self, mut stderr: impl AsyncRead + Unpin, vitals: Vitals) {
        let (mut splitter, mut goes_on) = (Splitter::new(LINE_BYTES), true);
        while goes_on {
            goes_on = matches!(stderr.read_buf(splitter.room(CHUNK)).await, Ok(1..));
            if !goes_on {
                splitter.end();
            }
            while let Some(piece) = splitter.next_piece() {
                if let Piece::Line(line) | Piece::Cut(line) = piece {
                    vitals.count_stderr_line();
                    self.tell(line);
                }
            }
        }
    }
}

/// Without what steers a terminal: escape sequences and control characters.
fn readable(line: &str) -> Cow<'_, str> {
    if !line.contains(|c: char| c.is_control() && c != '\t') {
        return Cow::Borrowed(line);
    }
    let (mut text, mut chars) = (String::with_capacity(line.len()), line.chars().peekable());
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.next_if_eq(&'[').is_some() {
            // Parameters, then one final character (ECMA-48, section 5.4).
            while chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
            chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
        } else if !c.is_control() || c == '\t' {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

/// How many lines may still be logged.
struct Allowance {
    lines: u32,
    left_out: u64,
    /// Up to when lines were granted.
    since: Instant,
}

impl Allowance {
    fn full(now: Instant) -> Self {
        Self { lines: BURST, left_out: 0, since: now }
    }

    /// Takes one line, if there is one left; how many were left out since the last one.
    fn take(&mut self, now: Instant) -> Option<u64> {
        const EACH: Duration = Duration::from_millis(1_000 / PER_SECOND as u64);
        let passed = now.saturating_duration_since(self.since).as_millis() / EACH.as_millis();
        let granted = u32::try_from(passed).unwrap_or(BURST).min(BURST - self.lines);
        self.lines += granted;
        self.since = if self.lines == BURST { now } else { self.since + EACH * granted };
        match self.lines.checked_sub(1) {
            Some(rest) => {
                self.lines = rest;
                Some(std::mem::take(&mut self.left_out))
            }
            None => {
                self.left_out += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_left_out_of_the_log_and_told_of() {
        let start = Instant::now();
        let mut allowance = Allowance::full(start);
        let at = |ms: u64| start + Duration::from_millis(ms);
        for _ in 0..BURST {
            assert_eq!(allowance.take(start), Some(0));
        }
        assert_eq!((allowance.take(start), allowance.take(at(99))), (None, None));
        assert_eq!((allowance.take(at(150)), allowance.take(at(199))), (Some(2), None));
        assert_eq!((allowance.take(at(200)), allowance.take(at(201))), (Some(1), None));
        // Silence for a while makes room for one burst, not for more.
        assert_eq!(allowance.take(at(1_000_000)), Some(1));
        let logged = (0..1_000).filter(|_| allowance.take(at(1_000_000)).is_some()).count();
        assert_eq!(logged, BURST as usize - 1);
    }

    #[test]
    fn nothing_steers_a_terminal() {
        for (line, expected) in [
            ("plain ä\tx", "plain ä\tx"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}", "]0;title"),
            ("a\rb\u{8}c\u{9b}5m", "abc5m"),
            ("\u{1b}[", ""),
        ] {
            assert_eq!(readable(line), expected);
        }
    }

    #[tokio::test]
    async fn each_line_is_kept_and_a_long_one_in_part() {
        let (tail, vitals) = (Tail::default(), Vitals::new(1, false, std::time::SystemTime::now()));
        let text = format!("one\n{}\nthree\n\nlast", "x".repeat(3 * LINE_BYTES));
        let chatter = Chatter::new("time".into(), "stderr", tail.clone());
        chatter.listen(text.as_bytes(), vitals.clone()).await;
        assert_eq!(vitals.stderr_lines(), 4);
        let lines = tail.last(9);
        assert_eq!((lines[0].as_str(), lines[3].as_str()), ("one", "last"));
        assert_eq!(lines[1].len(), LINE_BYTES);
        let mut noise = Chatter::new("time".into(), "stdout", tail.clone());
        noise.tell(b"Listening\xff");
        assert_eq!(tail.last(1), ["stdout: Listening\u{fffd}"]);
    }
}
