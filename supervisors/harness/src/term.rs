//! Erlang terms as far as scripts and traces use them: atoms, integers, tuples, lists and maps.
//!
//! [`parse`] reads the text form, `Display` prints exactly what Erlang's `~w` prints, and `Ord` is
//! Erlang's term order, which decides the order of map keys and of canonicalised events.

mod parse;
mod print;

use std::cmp::Ordering;
use std::collections::BTreeMap;

pub use parse::{ParseError, Prefix, parse, parse_all, parse_prefix};

/// An Erlang term. Process ids, references, funs, binaries, floats and improper lists don't occur.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Term {
    Int(i64),
    Atom(String),
    Tuple(Vec<Self>),
    Map(BTreeMap<Self, Self>),
    List(Vec<Self>),
}

impl Term {
    pub fn atom(name: impl Into<String>) -> Self {
        Self::Atom(name.into())
    }

    /// A tuple whose first element is the atom `tag`, as most of Erlang's compound terms are.
    pub fn tagged<const N: usize>(tag: &str, rest: [Self; N]) -> Self {
        Self::Tuple(std::iter::once(Self::atom(tag)).chain(rest).collect())
    }

    pub fn as_atom(&self) -> Option<&str> {
        match self {
            Self::Atom(name) => Some(name),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_tuple(&self) -> Option<&[Self]> {
        match self {
            Self::Tuple(items) => Some(items),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Int(_) => 0,
            Self::Atom(_) => 1,
            Self::Tuple(_) => 2,
            Self::Map(_) => 3,
            Self::List(_) => 4,
        }
    }
}

impl From<i64> for Term {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Term {
    fn from(name: &str) -> Self {
        Self::atom(name)
    }
}

/// Erlang's order of terms: number < atom < tuple < map < list; tuples and maps by size first, maps
/// then by their keys and only then by their values.
impl Ord for Term {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Atom(a), Self::Atom(b)) => a.cmp(b),
            (Self::Tuple(a), Self::Tuple(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
            (Self::List(a), Self::List(b)) => a.cmp(b),
            (Self::Map(a), Self::Map(b)) => a
                .len()
                .cmp(&b.len())
                .then_with(|| a.keys().cmp(b.keys()))
                .then_with(|| a.values().cmp(b.values())),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Term {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_erlangs() {
        // The right-hand side is what `lists:sort/1` of OTP 25 answered.
        let mut terms =
            parse("[1,-1,a,{},{a},{1,2},#{},#{a=>1},#{b=>1},#{a=>2},[],[a],[1],[a,b],'Z']")
                .unwrap()
                .as_list()
                .unwrap()
                .to_vec();
        terms.sort();
        assert_eq!(
            Term::List(terms).to_string(),
            "[-1,1,'Z',a,{},{a},{1,2},#{},#{a => 1},#{a => 2},#{b => 1},[],[1],[a],[a,b]]"
        );
    }
}
