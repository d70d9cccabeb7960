//! The standard HTTP headers of MCP, as text: what they are called and how a value is decoded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Names of headers, in lower case as HTTP/2 writes them.
pub mod name {
    /// The revision a request follows.
    pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
    /// The session of a legacy client.
    pub const SESSION_ID: &str = "mcp-session-id";
    /// The JSON-RPC method, mirrored (2026-07-28).
    pub const METHOD: &str = "mcp-method";
    /// The name of what is called or read, mirrored (2026-07-28).
    pub const NAME: &str = "mcp-name";
    /// In front of the names of mirrored arguments (2026-07-28).
    pub const PARAM_PREFIX: &str = "mcp-param-";
    /// The event behind which a client resumes a stream (HTML standard).
    pub const LAST_EVENT_ID: &str = "last-event-id";
}

/// The standard headers of one request; a header that came twice is one text with a comma, which
/// matches nothing.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    /// `MCP-Protocol-Version`
    pub protocol_version: Option<String>,
    /// `Mcp-Session-Id`
    pub session_id: Option<String>,
    /// `Mcp-Method`
    pub method: Option<String>,
    /// `Mcp-Name`
    pub name: Option<String>,
    /// `Mcp-Param-*`, by the names behind the prefix, in lower case.
    pub params: BTreeMap<String, String>,
    /// `Last-Event-ID`
    pub last_event_id: Option<String>,
}

const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";

/// Decodes a mirrored value: `=?base64?…?=` for texts that a header can't carry (2026-07-28,
/// "Value encoding"), else the text without surrounding blanks. `None` where the Base64 is broken.
pub fn mirrored(value: &str) -> Option<String> {
    let value = value.trim_matches([' ', '\t']);
    let Some(inner) = value.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE)) else {
        return Some(value.to_owned());
    };
    String::from_utf8(STANDARD.decode(inner).ok()?).ok()
}

/// Encodes a value to mirror: as it is where a header can carry it and nobody takes it for an
/// encoded one, else as `=?base64?…?=`. What [`mirrored`] makes of it is the value again.
pub fn mirror(value: &str) -> Cow<'_, str> {
    let is_plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && value.trim_matches(' ') == value
        && !(value.starts_with(OPEN) && value.ends_with(CLOSE));
    if is_plain { value.into() } else { format!("{OPEN}{}{CLOSE}", STANDARD.encode(value)).into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_mirrored_so_that_a_header_can_carry_them() {
        let table = [
            ("echo", "echo"),
            ("a b", "a b"),
            ("", ""),
            (" echo", "=?base64?IGVjaG8=?="),
            ("a\tb", "=?base64?YQli?="),
            ("héllo", "=?base64?aMOpbGxv?="),
            ("=?base64?aGk=?=", "=?base64?PT9iYXNlNjQ/YUdrPT89?="),
        ];
        for (value, expected) in table {
            assert_eq!(mirror(value), expected, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_mirrored_comes_back(value in "(=\\?base64\\?)?\\PC*(\\?=)?") {
            prop_assert_eq!(mirrored(&mirror(&value)), Some(value));
        }
    }

    #[test]
    fn mirrored_values_are_plain_or_base64() {
        let table = [
            ("echo", Some("echo")),
            (" echo\t", Some("echo")),
            ("=?base64?aMOpbGxv?=", Some("héllo")),
            ("=?base64??=", Some("")),
            ("=?BASE64?aGk=?=", Some("=?BASE64?aGk=?=")),
            ("=?base64?a?=", None),
            ("=?base64?/w==?=", None),
        ];
        for (value, expected) in table {
            assert_eq!(mirrored(value).as_deref(), expected, "{value}");
        }
    }
}
