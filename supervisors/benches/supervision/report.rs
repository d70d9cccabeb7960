//! The table at the end: medians of everything, and how they grow with the number of siblings.

use std::fmt::Write;
use std::time::Duration;

/// The one figure that is about all children at once.
pub(crate) const STOP_ALL: &str = "stop-all";

/// A row: who supervises what, and what is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) shape: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) figure: &'static str,
}

#[derive(Default)]
struct Cell {
    nanoseconds: Vec<u64>,
    bytes: Option<f64>,
}

/// What was measured, by row and number of children.
pub(crate) struct Report {
    sizes: Vec<usize>,
    rows: Vec<(Row, Vec<Cell>)>,
}

impl Report {
    pub(crate) fn new(sizes: &[usize]) -> Self {
        Self { sizes: sizes.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn time(&mut self, row: &Row, children: usize, samples: &[Duration]) {
        if let Some(cell) = self.cell(row, children) {
            let nanoseconds = samples.iter().map(|sample| sample.as_nanos() as u64);
            cell.nanoseconds.extend(nanoseconds);
        }
    }

    pub(crate) fn bytes(&mut self, row: &Row, children: usize, bytes: Option<f64>) {
        if let Some(cell) = self.cell(row, children) {
            cell.bytes = bytes;
        }
    }

    fn cell(&mut self, row: &Row, children: usize) -> Option<&mut Cell> {
        let at = self.rows.iter().position(|(known, _)| known == row).unwrap_or_else(|| {
            let cells = self.sizes.iter().map(|_| Cell::default()).collect();
            self.rows.push((row.clone(), cells));
            self.rows.len() - 1
        });
        let column = self.sizes.iter().position(|&size| size == children)?;
        self.rows[at].1.get_mut(column)
    }

    /// The table as text; rows of one figure stand together.
    pub(crate) fn table(&mut self) -> String {
        self.rows.sort_by_key(|(row, _)| row.figure);
        let mut text = format!("{:<12} {:<12} {:<6}", "figure", "supervisor", "child");
        for size in &self.sizes {
            let _ = write!(text, " {size:>12}");
        }
        text.push_str("  last/first\n");
        let times_as_many = match *self.sizes {
            [first, .., last] => last as f64 / first as f64,
            _ => 1.0,
        };
        for (row, cells) in &mut self.rows {
            let _ = write!(text, "{:<12} {:<12} {:<6}", row.figure, row.shape, row.kind);
            let values: Vec<_> = cells.iter_mut().map(Cell::median).collect();
            for (value, cell) in values.iter().zip(cells.iter()) {
                let shown = value.map_or("-".to_owned(), |value| cell.show(value));
                let _ = write!(text, " {shown:>12}");
            }
            match (values.first(), values.last()) {
                (Some(Some(first)), Some(Some(last))) => {
                    let children = if row.figure == STOP_ALL { times_as_many } else { 1.0 };
                    let _ = writeln!(text, " {:>11.2}", last / first / children);
                }
                _ => text.push_str("           -\n"),
            }
        }
        text
    }
}

impl Cell {
    fn median(&mut self) -> Option<f64> {
        let middle = self.nanoseconds.len() / 2;
        if self.nanoseconds.is_empty() {
            return self.bytes;
        }
        let (_, median, _) = self.nanoseconds.select_nth_unstable(middle);
        Some(*median as f64)
    }

    fn show(&self, value: f64) -> String {
        if self.bytes.is_some() {
            return format!("{value:.0} B");
        }
        match value {
            1e9.. => format!("{:.2} s", value / 1e9),
            1e6.. => format!("{:.2} ms", value / 1e6),
            _ => format!("{:.2} µs", value / 1e3),
        }
    }
}
