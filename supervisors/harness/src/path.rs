//! Where a child stands in the tree (`root/a`), and which of its runs is meant (`root/a#3`).

use std::fmt::{self, Display, Formatter};

use crate::term::{ParseError, Term, parse_prefix};

/// A child's id, or the key of a child under simple_one_for_one. As in OTP, any term.
pub type Id = Term;

/// The ids from the root down to a child. A simple_one_for_one child has the template's id and its
/// own key behind its supervisor's path: `root/sess/3`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Vec<Id>);

impl Path {
    /// The path of the outermost supervisor, `root`.
    pub fn root() -> Self {
        Self(vec![Term::atom("root")])
    }

    #[must_use]
    pub fn child(&self, id: impl Into<Id>) -> Self {
        let mut ids = self.0.clone();
        ids.push(id.into());
        Self(ids)
    }

    /// The path without its last id; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        match self.0.as_slice() {
            [ids @ .., _] if !ids.is_empty() => Some(Self(ids.to_vec())),
            _ => None,
        }
    }

    pub fn ids(&self) -> &[Id] {
        &self.0
    }

    pub fn last(&self) -> Option<&Id> {
        self.0.last()
    }

    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether `other` is this path or lies below it.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    pub fn to_term(&self) -> Term {
        Term::List(self.0.clone())
    }

    pub fn from_term(term: &Term) -> Option<Self> {
        term.as_list().filter(|ids| !ids.is_empty()).map(|ids| Self(ids.to_vec()))
    }

    /// Reads `root/a/b` from the start of a text.
    pub(crate) fn parse_prefix(text: &str) -> Result<(Self, &str), ParseError> {
        let mut ids = Vec::new();
        let mut rest = text;
        loop {
            let (id, tail) = key(rest).map_or_else(|| parse_prefix(rest), Ok)?;
            ids.push(id);
            match tail.strip_prefix('/') {
                Some(tail) => rest = tail,
                None => return Ok((Self(ids), tail)),
            }
        }
    }
}

/// An integer at the start of a text. Erlang's syntax would take `12#3` for a number of base 12.
fn key(text: &str) -> Option<(Id, &str)> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = unsigned.len() - unsigned.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, tail) = text.split_at_checked(text.len() - unsigned.len() + digits)?;
    Some((Term::Int(number.parse().ok()?), tail))
}

impl Display for Path {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for (index, id) in self.0.iter().enumerate() {
            let slash = if index == 0 { "" } else { "/" };
            write!(out, "{slash}{id}")?;
        }
        Ok(())
    }
}

/// One run of a child: its path and how many starts of that path had been tried, this one included.
/// It stands for a process id in traces.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    pub path: Path,
    pub run: u32,
}

impl Display for Label {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}#{}", self.path, self.run)
    }
}
