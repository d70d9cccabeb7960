//! A view of Rust source that line rules can trust: no comments, no literals, no test items.
//!
//! Hidden text becomes spaces of the same length, so that lines and offsets stay what they were.
//! A parser would see more than these rules ask for, and would add a dependency.

use std::ops::Range;

/// The source with comments, strings and character literals blanked.
pub(crate) fn code(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let hidden = hidden_len(rest, out.chars().next_back());
        let (head, tail) = rest.split_at(hidden.max(first.len_utf8()));
        if hidden == 0 {
            out.push_str(head);
        } else {
            blank(head, &mut out);
        }
        rest = tail;
    }
    out
}

/// The code without its `#[cfg(test)]` items, which follow rules of their own.
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut from = 0;
    for range in test_ranges(code) {
        out.push_str(code.get(from..range.start).unwrap_or_default());
        blank(code.get(range.clone()).unwrap_or_default(), &mut out);
        from = range.end;
    }
    out.push_str(code.get(from..).unwrap_or_default());
    out
}

/// How many lines the `#[cfg(test)]` items take.
pub(crate) fn test_lines(code: &str) -> usize {
    test_ranges(code)
        .into_iter()
        .filter_map(|range| code.get(range))
        .map(|item| item.lines().count())
        .sum()
}

/// Where `token` stands in `code` as a path or word of its own: byte offsets.
pub(crate) fn find_token(code: &str, token: &str) -> Vec<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let ends_in_word = token.chars().next_back().is_some_and(word);
    code.match_indices(token)
        .map(|(at, _)| at)
        .filter(|&at| {
            let (before, after) = code.split_at(at);
            let next = after.chars().nth(token.chars().count()).filter(|_| ends_in_word);
            !before.chars().next_back().into_iter().chain(next).any(word)
        })
        .collect()
}

/// The line of a byte offset, counted from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

fn blank(text: &str, out: &mut String) {
    for c in text.chars() {
        if c == '\n' {
            out.push(c);
        } else {
            out.extend(std::iter::repeat_n(' ', c.len_utf8()));
        }
    }
}

/// The length of the comment or literal that `rest` starts with; 0 where it is code.
fn hidden_len(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_len(rest);
    }
    if !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
        && let Some(len) = raw_string_len(rest)
    {
        return len;
    }
    match rest.chars().next() {
        Some('"') => quoted_len(rest, '"'),
        Some('\'') if is_char_literal(rest) => quoted_len(rest, '\''),
        _ => 0,
    }
}

fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn raw_string_len(rest: &str) -> Option<usize> {
    let tail = ["r", "br", "cr"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let body = tail.trim_start_matches('#');
    let end = format!("\"{}", "#".repeat(tail.len() - body.len()));
    let body = body.strip_prefix('"')?;
    let opening = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| opening + at + end.len()))
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_char_literal(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

fn quoted_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (start, _) in code.match_indices("#[cfg(") {
        let tail = code.get(start..).unwrap_or_default();
        let attribute = tail.get(..bracketed_len(tail, "#[")).unwrap_or_default();
        let nested = ranges.last().is_some_and(|last| start < last.end);
        let for_tests =
            !find_token(attribute, "test").is_empty() && !attribute.contains("not(test");
        if for_tests && !nested {
            let item = tail.get(attribute.len()..).unwrap_or_default();
            ranges.push(start..start + attribute.len() + item_len(item));
        }
    }
    ranges
}

/// The length of an item: to the `;` or the closing brace that ends it.
fn item_len(item: &str) -> usize {
    let mut depth = 0_i32;
    for (at, c) in item.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' if depth == 0 => {
                return at + bracketed_len(item.get(at..).unwrap_or_default(), "{");
            }
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
    }
    item.len()
}

/// The length up to the bracket that closes the one which `text` opens with.
fn bracketed_len(text: &str, opening: &str) -> usize {
    debug_assert!(text.starts_with(opening));
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_hidden() {
        let cases = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"y") + 1"#, "f(      ) + 1"),
            ("r#\"a \" b\"# c", "           c"),
            ("br\"\\\" c", "      c"),
            (r"'a' '\'' '\\' b", "              b"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("'é' x", "     x"),
            ("r#type for\"x\"", "r#type for   "),
            ("\"open", "     "),
        ];
        for (source, expected) in cases {
            assert_eq!(code(source), expected, "{source}");
        }
    }

    #[test]
    fn test_items_are_hidden_and_counted() {
        let source = "a\n#[cfg(test)]\nmod tests {\n { b }\n}\nc\n#[cfg(test)]\nuse d;\ne\n";
        let left = without_tests(source);
        assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["a", "c", "e"]);
        assert_eq!(left.lines().count(), source.lines().count());
        assert_eq!(test_lines(source), 6);
    }

    #[test]
    fn code_for_everything_but_tests_stays() {
        let source = "#[cfg(not(test))]\nmod a {}\n#[cfg(feature_test)]\nmod b {}";
        assert_eq!(without_tests(source), source);
    }

    #[test]
    fn a_token_stands_alone() {
        assert_eq!(find_token("xtokio::a ::tokio::b tokio::c", "tokio::"), [12, 21]);
        assert_eq!(find_token("todo todos", "todo"), [0]);
    }
}
