//! JSON-RPC request ids: a string or an integer, never null (MCP basic, "Requests").

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A request id, answered exactly as it came: `1` and `"1"` are different ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RequestId {
    /// An integer id.
    Integer(i64),
    /// An integer id beyond `i64`, which some clients draw at random.
    Unsigned(u64),
    /// A string id.
    Text(String),
}

impl RequestId {
    /// Reads an id; `None` for null, fractions, booleans, arrays and objects.
    pub fn parse(raw: &RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }
}

impl From<i64> for RequestId {
    fn from(id: i64) -> Self {
        Self::Integer(id)
    }
}

impl From<&str> for RequestId {
    fn from(id: &str) -> Self {
        Self::Text(id.to_owned())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(id) => write!(f, "{id}"),
            Self::Unsigned(id) => write!(f, "{id}"),
            Self::Text(id) => f.write_str(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strings_and_integers_are_ids() {
        let check = |text: &str, expected: Option<RequestId>| {
            let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
            assert_eq!(RequestId::parse(&raw), expected, "{text}");
        };
        check("1", Some(1.into()));
        check("-7", Some((-7).into()));
        check("18446744073709551615", Some(RequestId::Unsigned(u64::MAX)));
        check("\"1\"", Some("1".into()));
        check("\"a\\u00e9\"", Some("aé".into()));
        for none in ["null", "1.5", "1e3", "true", "[1]", "{}", "1e999", "99999999999999999999"] {
            check(none, None);
        }
    }

    #[test]
    fn ids_are_written_as_they_came() {
        assert_eq!(serde_json::to_string(&RequestId::from(5)).unwrap(), "5");
        assert_eq!(serde_json::to_string(&RequestId::from("5")).unwrap(), "\"5\"");
    }
}
