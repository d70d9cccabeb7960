//! Log levels of MCP messages (RFC 5424, section 6.2.1).

use serde::{Deserialize, Serialize};

/// How grave a log message is, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are those of RFC 5424")]
pub enum Level {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl Level {
    /// All levels, least first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The level of a number that [`u8::from`] gave.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level as Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_have_their_names() {
        let text: Vec<_> = Level::ALL.iter().map(|l| serde_json::to_string(l).unwrap()).collect();
        assert_eq!(text.first().unwrap(), "\"debug\"");
        assert_eq!(text.last().unwrap(), "\"emergency\"");
        assert!(Level::ALL.is_sorted());
        for level in Level::ALL {
            assert_eq!(Level::from_u8(level.into()), Some(level));
        }
        assert_eq!(Level::from_u8(8), None);
    }
}
