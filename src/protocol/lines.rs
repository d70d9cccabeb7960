//! Bytes as lines, each within a bound: newline-delimited JSON (MCP transports, "stdio").

/// How much of the end of a line that was cut off is kept.
const END_BYTES: usize = 128;
/// Memory that is kept for the next line; what a longer one took is given back.
const KEPT_BYTES: usize = 256 * 1024;

/// Splits what is read, piece by piece, into lines.
#[derive(Debug)]
pub struct Splitter {
    read: Vec<u8>,
    /// As far as this there is no line break.
    scanned: usize,
    limit: usize,
    /// Inside a line that was cut off.
    cut: bool,
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line that isn't blank, without its end.
    Line(&'a [u8]),
    /// The beginning of a line that is too long. The rest is skipped.
    Cut(&'a [u8]),
    /// The end of that line, or the whole of it, just before its line break.
    End(&'a [u8]),
}

impl Splitter {
    /// Lines of at most `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { read: Vec::new(), scanned: 0, limit, cut: false }
    }

    /// Where the next bytes go, behind what is there, with room for so many.
    pub fn room(&mut self, bytes: usize) -> &mut Vec<u8> {
        self.read.reserve(bytes);
        &mut self.read
    }

    /// Tells the pieces of what was read since.
    pub fn split(&mut self, mut tell: impl FnMut(Piece<'_>)) {
        let mut start = 0;
        let mut rest = self.read.as_slice();
        let mut scanned = std::mem::take(&mut self.scanned);
        while let Some(at) = rest.get(scanned..).and_then(line_break) {
            let (line, behind) = rest.split_at(scanned + at);
            tell_line(line, self.limit, &mut self.cut, &mut tell);
            rest = behind.get(1..).unwrap_or_default();
            start += line.len() + 1;
            scanned = 0;
        }
        if !self.cut && rest.len() > self.limit {
            self.cut = true;
            tell(Piece::Cut(rest));
        }
        if self.cut {
            start += rest.len().saturating_sub(END_BYTES);
        }
        self.read.drain(..start.min(self.read.len()));
        self.scanned = self.read.len();
        if self.read.capacity() > KEPT_BYTES && self.read.len() < KEPT_BYTES {
            self.read.shrink_to(KEPT_BYTES);
        }
    }

    /// Tells the last line, which needs no line break: nothing more comes.
    pub fn finish(mut self, mut tell: impl FnMut(Piece<'_>)) {
        self.split(&mut tell);
        if self.cut || !self.read.is_empty() {
            tell_line(&self.read, self.limit, &mut self.cut, &mut tell);
        }
    }
}

fn line_break(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

fn tell_line(line: &[u8], limit: usize, cut: &mut bool, tell: &mut impl FnMut(Piece<'_>)) {
    if std::mem::take(cut) {
        return tell(Piece::End(line));
    }
    if line.len() > limit {
        tell(Piece::Cut(line));
        return tell(Piece::End(line));
    }
    let line = line.trim_ascii_end();
    if !line.is_empty() {
        tell(Piece::Line(line));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pieces of what comes in these portions, as text: `=line`, `<beginning`, `>end`.
    fn pieces<'a>(portions: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Vec<String> {
        let mut all = Vec::new();
        let mut tell = |piece: Piece<'_>| {
            let (mark, bytes) = match piece {
                Piece::Line(line) => ('=', line),
                Piece::Cut(beginning) => ('<', beginning),
                Piece::End(end) => ('>', end),
            };
            all.push(format!("{mark}{}", String::from_utf8_lossy(bytes)));
        };
        let mut splitter = Splitter::new(limit);
        for portion in portions {
            splitter.room(portion.len()).extend_from_slice(portion);
            splitter.split(&mut tell);
        }
        splitter.finish(&mut tell);
        all
    }

    #[test]
    fn lines_are_told_without_their_ends_and_blank_ones_not_at_all() {
        let portions: [&[u8]; 4] = [b"a\r\n\n", b" \nb", b"c\nl", b"ast"];
        assert_eq!(pieces(portions, 4), ["=a", "=bc", "=last"]);
        assert_eq!(pieces([], 4), [] as [&str; 0]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_what_comes_behind_it_is_told() {
        let portions: [&[u8]; 5] = [b"123", b"456", b"78\nab\n", b"654321\n", b"12345"];
        let expected = ["<123456", ">12345678", "=ab", "<654321", ">654321", "<12345", ">12345"];
        assert_eq!(pieces(portions, 4), expected);
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let mut splitter = Splitter::new(1_000);
        let mut cuts = 0;
        for _ in 0..10_000 {
            splitter.room(1_000).extend_from_slice(&[b'x'; 1_000]);
            splitter.split(|piece| cuts += usize::from(matches!(piece, Piece::Cut(_))));
        }
        assert_eq!(cuts, 1);
        assert!(splitter.read.len() <= END_BYTES && splitter.read.capacity() <= KEPT_BYTES);
    }

    #[test]
    fn the_memory_of_a_long_line_is_given_back() {
        let mut splitter = Splitter::new(10_000_000);
        splitter.room(0).extend_from_slice(&vec![b'x'; 5_000_000]);
        splitter.room(0).push(b'\n');
        splitter.split(|_| {});
        assert!(splitter.read.capacity() <= KEPT_BYTES);
    }

    proptest! {
        #[test]
        fn portions_make_no_difference(
            text in "[a-c\n]{0,60}",
            cuts in proptest::collection::vec(1_usize..7, 1..40),
        ) {
            let (mut rest, mut portions) = (text.as_bytes(), Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (portion, behind) = rest.split_at((*cut).min(rest.len()));
                portions.push(portion);
                rest = behind;
            }
            let whole: Vec<String> =
                text.split('\n').filter(|line| !line.is_empty()).map(|l| format!("={l}")).collect();
            prop_assert_eq!(pieces(portions.clone(), 60), whole);
            // Where lines are cut, as many are told, and as many of them whole.
            let count = |pieces: Vec<String>| {
                pieces.iter().filter(|piece| piece.starts_with('=')).count()
            };
            let short = text.split('\n').filter(|line| (1..=4).contains(&line.len())).count();
            prop_assert_eq!(count(pieces(portions, 4)), short);
        }
    }
}
