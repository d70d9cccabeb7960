//! Bytes as lines, each within a bound: newline-delimited JSON (MCP transports, "stdio").

/// How much of the end of a line that was cut off is kept.
const END_BYTES: usize = 128;
/// Memory that is kept for the next line; what a longer one took is given back.
const KEPT_BYTES: usize = 256 * 1024;

/// Splits what is read, piece by piece, into lines.
#[derive(Debug)]
pub struct Splitter {
    read: Vec<u8>,
    /// What stands before this is told.
    told: usize,
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
        Self { read: Vec::new(), told: 0, scanned: 0, limit, cut: false }
    }

    /// Where the next bytes go, behind what is there, with room for so many.
    pub fn room(&mut self, bytes: usize) -> &mut Vec<u8> {
        self.forget();
        self.read.reserve(bytes);
        &mut self.read
    }

    /// Bytes that are read and not told yet.
    pub fn waiting(&self) -> usize {
        self.read.len() - self.told
    }

    /// Nothing more comes: the last line needs no line break.
    pub fn end(&mut self) {
        if self.cut || self.waiting() > 0 {
            self.read.push(b'\n');
        }
    }

    /// The next piece of what is read so far.
    pub fn next_piece(&mut self) -> Option<Piece<'_>> {
        loop {
            let start = self.told;
            let fresh = self.read.get(self.scanned..).unwrap_or_default();
            let Some(at) = fresh.iter().position(|byte| *byte == b'\n') else {
                self.scanned = self.read.len();
                if self.cut || self.waiting() <= self.limit {
                    return None;
                }
                self.cut = true;
                return self.read.get(start..).map(Piece::Cut);
            };
            let end = self.scanned + at;
            let length = end - start;
            // A line that is too long is told in two pieces, also where it is there as a whole.
            if length > self.limit && !self.cut {
                self.cut = true;
                return self.read.get(start..end).map(Piece::Cut);
            }
            (self.told, self.scanned) = (end + 1, end + 1);
            if std::mem::take(&mut self.cut) {
                return self.read.get(start..end).map(Piece::End);
            }
            let line = self.read.get(start..end).unwrap_or_default();
            let length = line.trim_ascii_end().len();
            if length > 0 {
                return self.read.get(start..start + length).map(Piece::Line);
            }
        }
    }

    /// Gives back the memory of what is told, and of what is skipped.
    fn forget(&mut self) {
        let skipped = if self.cut { self.waiting().saturating_sub(END_BYTES) } else { 0 };
        let gone = self.told + skipped;
        self.read.drain(..gone);
        self.told = 0;
        self.scanned = self.scanned.saturating_sub(gone);
        if self.read.capacity() > KEPT_BYTES && self.read.len() < KEPT_BYTES {
            self.read.shrink_to(KEPT_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pieces of what comes in these portions, as text: `=line`, `<beginning`, `>end`.
    fn pieces<'a>(portions: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Vec<String> {
        let (mut all, mut splitter) = (Vec::new(), Splitter::new(limit));
        let mut take = |splitter: &mut Splitter| {
            while let Some(piece) = splitter.next_piece() {
                let (mark, bytes) = match piece {
                    Piece::Line(line) => ('=', line),
                    Piece::Cut(beginning) => ('<', beginning),
                    Piece::End(end) => ('>', end),
                };
                all.push(format!("{mark}{}", String::from_utf8_lossy(bytes)));
            }
        };
        for portion in portions {
            splitter.room(portion.len()).extend_from_slice(portion);
            take(&mut splitter);
        }
        splitter.end();
        take(&mut splitter);
        assert_eq!(splitter.waiting(), 0);
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
            while let Some(piece) = splitter.next_piece() {
                cuts += usize::from(matches!(piece, Piece::Cut(_)));
            }
        }
        assert_eq!(cuts, 1);
        assert!(splitter.room(0).len() <= END_BYTES && splitter.read.capacity() <= KEPT_BYTES);
    }

    #[test]
    fn the_memory_of_a_long_line_is_given_back() {
        let mut splitter = Splitter::new(10_000_000);
        splitter.room(0).extend_from_slice(&vec![b'x'; 5_000_000]);
        splitter.room(0).push(b'\n');
        assert!(matches!(splitter.next_piece(), Some(Piece::Line(_))));
        assert!(splitter.room(0).capacity() <= KEPT_BYTES);
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
