//! How answers look to people. Pure.

/// Lines of aligned columns. What clients and tools named is shown without control characters,
/// which would take over a terminal.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| printable(cell).replace('\n', " ")))
        .collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A text whose control characters but line breaks and tabs are shown as such.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }
    };
    text.chars().map(shown).collect()
}

/// A time in its two largest units.
pub(super) fn span(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut parts = Vec::new();
    let mut left = seconds;
    for (unit, length) in units {
        let count = left / length;
        left %= length;
        if count > 0 || !parts.is_empty() || unit == "s" {
            parts.push(format!("{count} {unit}"));
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

/// A number of bytes in mebibytes.
pub(super) fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_hold_no_control_characters() {
        let rows = [["a", "b", "c"], ["long", "é", "x\u{1b}[2J\ny"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), "a     b  c\nlong  é  x\u{fffd}[2J y\n");
        assert_eq!(columns::<1>(&[]), "");
    }

    #[test]
    fn times_and_sizes_are_short() {
        let table = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 m 0 s"),
            (3_700, "1 h 1 m"),
            (90_000, "1 d 1 h"),
            (u64::MAX, "213503982334601 d 7 h"),
        ];
        for (seconds, expected) in table {
            assert_eq!(span(seconds), expected);
        }
        assert_eq!(mebibytes(0), "0.0 MiB");
        assert_eq!(mebibytes(1_600_000), "1.5 MiB");
    }
}
