//! Exit and start-failure reasons, in the normal form of traces.

use std::cmp::Ordering;
use std::fmt::{self, Display, Formatter};

use crate::path::Id;
use crate::term::Term;

/// Why something ended or didn't start.
///
/// Traces hold only the first four forms: whatever else a reason may be, the harness folds it with
/// [`Reason::normalised`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// `normal`, `shutdown`, `killed`, `noproc`, `boom`, ...
    Atom(String),
    /// `{shutdown, R}`.
    Shutdown(Box<Self>),
    /// `{failed_to_start_child, Id, R}`, from a supervisor whose child didn't start.
    FailedToStartChild(Id, Box<Self>),
    /// `{error, R}`.
    Error(Box<Self>),
    /// Any other term, as a script may ask for.
    Other(Term),
}

impl Reason {
    pub fn atom(name: impl Into<String>) -> Self {
        Self::Atom(name.into())
    }

    pub fn normal() -> Self {
        Self::atom("normal")
    }

    pub fn shutdown() -> Self {
        Self::atom("shutdown")
    }

    /// The reason of a process that was killed.
    pub fn killed() -> Self {
        Self::atom("killed")
    }

    /// `{shutdown, Inner}`.
    pub fn shutdown_with(inner: Self) -> Self {
        Self::Shutdown(Box::new(inner))
    }

    /// `{shutdown, {failed_to_start_child, Id, Why}}`: what a supervisor's start answers when the
    /// start of one of its children failed.
    pub fn failed_to_start_child(id: Id, why: Self) -> Self {
        Self::shutdown_with(Self::FailedToStartChild(id, Box::new(why)))
    }

    pub fn is(&self, name: &str) -> bool {
        matches!(self, Self::Atom(atom) if atom == name)
    }

    /// Whether a transient child is restarted for it: all but `normal`, `shutdown`, `{shutdown,_}`.
    pub fn is_abnormal(&self) -> bool {
        !(self.is("normal") || self.is("shutdown") || matches!(self, Self::Shutdown(_)))
    }

    /// The form in which traces show it: stack traces dropped, unknown terms folded together.
    #[must_use]
    pub fn normalised(self) -> Self {
        match self {
            Self::Atom(_) => self,
            Self::Shutdown(inner) => Self::shutdown_with(inner.normalised()),
            Self::FailedToStartChild(id, inner) => {
                Self::FailedToStartChild(id, Box::new(inner.normalised()))
            }
            Self::Error(inner) => Self::Error(Box::new(inner.normalised())),
            Self::Other(term) => match term.as_tuple() {
                Some([inner, Term::List(_)]) => Self::from_term(inner).normalised(),
                Some([tag, inner]) if tag.as_atom() == Some("EXIT") => {
                    Self::from_term(inner).normalised()
                }
                _ => Self::atom("other_term"),
            },
        }
    }

    pub fn from_term(term: &Term) -> Self {
        let tagged = |items: &[Term]| items.first().and_then(Term::as_atom).map(str::to_owned);
        match term {
            Term::Atom(name) => Self::Atom(name.clone()),
            Term::Tuple(items) => match (tagged(items).as_deref(), items.as_slice()) {
                (Some("shutdown"), [_, inner]) => Self::shutdown_with(Self::from_term(inner)),
                (Some("error"), [_, inner]) => Self::Error(Box::new(Self::from_term(inner))),
                (Some("failed_to_start_child"), [_, id, inner]) => {
                    Self::FailedToStartChild(id.clone(), Box::new(Self::from_term(inner)))
                }
                _ => Self::Other(term.clone()),
            },
            _ => Self::Other(term.clone()),
        }
    }

    pub fn to_term(&self) -> Term {
        match self {
            Self::Atom(name) => Term::atom(name),
            Self::Shutdown(inner) => Term::tagged("shutdown", [inner.to_term()]),
            Self::FailedToStartChild(id, inner) => {
                Term::tagged("failed_to_start_child", [id.clone(), inner.to_term()])
            }
            Self::Error(inner) => Term::tagged("error", [inner.to_term()]),
            Self::Other(term) => term.clone(),
        }
    }
}

/// Erlang's order of terms, by which runs of exits are sorted.
impl Ord for Reason {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_term().cmp(&other.to_term())
    }
}

impl PartialOrd for Reason {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Display for Reason {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.to_term().fmt(out)
    }
}
