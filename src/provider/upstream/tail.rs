//! The last lines that an upstream wrote on its standard error, kept above whoever reads them.

use std::collections::VecDeque;
use std::sync::Arc;

use std::sync::{Mutex, PoisonError};

/// Lines that are kept.
const LINES: usize = 200;
/// Bytes of one line; the rest of a longer one is cut off.
pub const LINE_BYTES: usize = 4_096;

/// The last lines. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// Adds a line, and forgets the oldest where there are too many.
    pub fn push(&self, line: &str) {
        let end = line.floor_char_boundary(LINE_BYTES);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line.get(..end).unwrap_or_default().to_owned());
    }

    /// The last `count` lines, the oldest first.
    pub fn last(&self, count: usize) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_long_ones_cut() {
        let tail = Tail::default();
        for number in 0..LINES + 10 {
            tail.push(&number.to_string());
        }
        assert_eq!(tail.last(2), ["208", "209"]);
        assert_eq!(tail.last(usize::MAX).len(), LINES);
        tail.push(&"ä".repeat(LINE_BYTES));
        assert_eq!(tail.last(1), ["ä".repeat(LINE_BYTES / 2)]);
    }
}
