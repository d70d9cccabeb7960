//! Prints a term as Erlang's `io:format("~w", [T])` does (checked against OTP 25).

use std::fmt::{self, Display, Formatter, Write as _};

use super::Term;

/// Words that Erlang quotes when they are used as atoms.
const RESERVED: &[&str] = &[
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case",
    "catch", "cond", "div", "end", "fun", "if", "let", "not", "of", "or", "orelse", "receive",
    "rem", "try", "when", "xor",
];

impl Display for Term {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(out, "{value}"),
            Self::Atom(name) => atom(out, name),
            Self::Tuple(items) => sequence(out, '{', items, '}'),
            Self::List(items) => sequence(out, '[', items, ']'),
            Self::Map(entries) => {
                out.write_str("#{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(out, "{comma}{key} => {value}")?;
                }
                out.write_char('}')
            }
        }
    }
}

fn sequence(out: &mut Formatter<'_>, open: char, items: &[Term], close: char) -> fmt::Result {
    out.write_char(open)?;
    for (index, item) in items.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, "{comma}{item}")?;
    }
    out.write_char(close)
}

fn atom(out: &mut Formatter<'_>, name: &str) -> fmt::Result {
    let plain = name.chars().next().is_some_and(starts_atom)
        && name.chars().all(continues_atom)
        && !RESERVED.contains(&name);
    if plain {
        return out.write_str(name);
    }
    out.write_char('\'')?;
    for letter in name.chars() {
        quoted(out, letter)?;
    }
    out.write_char('\'')
}

/// Letters of Latin-1 count; anything beyond it is quoted and escaped, since `~w` isn't `~tw`.
pub(super) fn starts_atom(letter: char) -> bool {
    matches!(letter, 'a'..='z' | 'ß'..='ÿ') && letter != '÷'
}

pub(super) fn continues_atom(letter: char) -> bool {
    starts_atom(letter)
        || matches!(letter, 'A'..='Z' | '0'..='9' | '_' | '@')
        || (matches!(letter, 'À'..='Þ') && letter != '×')
}

fn quoted(out: &mut Formatter<'_>, letter: char) -> fmt::Result {
    match letter {
        '\'' => out.write_str("\\'"),
        '\\' => out.write_str("\\\\"),
        '\u{8}' => out.write_str("\\b"),
        '\t' => out.write_str("\\t"),
        '\n' => out.write_str("\\n"),
        '\u{b}' => out.write_str("\\v"),
        '\u{c}' => out.write_str("\\f"),
        '\r' => out.write_str("\\r"),
        '\u{1b}' => out.write_str("\\e"),
        '\u{7f}' => out.write_str("\\d"),
        '\0'..='\u{1f}' | '\u{80}'..='\u{9f}' => write!(out, "\\{:03o}", u32::from(letter)),
        ' '..='~' | '\u{a0}'..='\u{ff}' => out.write_char(letter),
        _ => write!(out, "\\x{{{:X}}}", u32::from(letter)),
    }
}
