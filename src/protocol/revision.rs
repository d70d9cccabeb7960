//! Protocol revisions and the two eras, parsed once at the edge.

use std::fmt;

/// The two ways of talking MCP: with a session, or with everything in each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// `initialize` handshake and session (2024-11-05 to 2025-11-25).
    Legacy,
    /// Stateless requests that describe themselves (2026-07-28).
    Modern,
}

impl Era {
    /// The name used in labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// A published protocol revision. The order is the order of publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05
    V2024_11_05,
    /// 2025-03-26
    V2025_03_26,
    /// 2025-06-18
    V2025_06_18,
    /// 2025-11-25
    V2025_11_25,
    /// 2026-07-28
    V2026_07_28,
}

impl Revision {
    /// All revisions there are, oldest first.
    pub const ALL: [Self; 5] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];

    /// The revision that a legacy client gets which asks for one that we don't serve.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// The newest revision.
    pub const LATEST: Self = Self::V2026_07_28;

    /// Parses the name as it stands on the wire; `None` for a name that no revision bears.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text)
    }

    /// The name as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The era that the revision belongs to.
    pub fn era(self) -> Era {
        if self < Self::V2026_07_28 { Era::Legacy } else { Era::Modern }
    }

    /// The names of all revisions, newest first, as `supportedVersions` tells them.
    pub fn served() -> Vec<&'static str> {
        Self::ALL.into_iter().rev().map(Self::as_str).collect()
    }

    /// Whether each HTTP request bears `MCP-Protocol-Version`.
    pub fn is_told_by_header(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether a body may hold several messages at once.
    pub fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }

    /// Whether an event stream begins with an event that has an id and no data.
    pub fn primes_streams(self) -> bool {
        self >= Self::V2025_11_25
    }

    /// Whether a tool call can ask for a task.
    pub fn has_core_tasks(self) -> bool {
        self == Self::V2025_11_25
    }

    /// From 2025-11-25 on, invalid tool arguments are a tool result with `isError`, so that the
    /// model sees them and mends its call; before, they are a protocol error.
    pub fn bad_arguments_are_results(self) -> bool {
        self >= Self::V2025_11_25
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_eras_are_split_at_2026() {
        for revision in Revision::ALL {
            assert_eq!(Revision::parse(revision.as_str()), Some(revision));
        }
        assert_eq!(Revision::parse("2026-07-29"), None);
        assert_eq!(Revision::V2025_11_25.era(), Era::Legacy);
        assert_eq!(Revision::V2026_07_28.era(), Era::Modern);
        assert_eq!(Revision::served().first(), Some(&"2026-07-28"));
        assert_eq!(Revision::served().len(), Revision::ALL.len());
    }
}
