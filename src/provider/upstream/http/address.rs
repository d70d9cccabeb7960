//! Where a server is, and what each request to it bears, checked before anything is sent. Pure.
//!
//! Which networks may be reached at all isn't settled here: the address was set by an operator.

use std::collections::BTreeMap;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::StartError;
use crate::protocol::header::name;
use crate::secret::Secret;

/// Headers that the wire sets itself, or that belong to a connection and not to a message.
const OURS: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    name::LAST_EVENT_ID,
    name::METHOD,
    name::NAME,
    name::PROTOCOL_VERSION,
    name::SESSION_ID,
];

/// Reads an address.
pub(super) fn url(text: &str) -> Result<Url, StartError> {
    let refuse = |why| Err(StartError::Address(why));
    let Ok(mut url) = Url::parse(text) else {
        return refuse("it is no absolute URL");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("its scheme is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it bears a user or a password, which belong into its headers");
    }
    url.set_fragment(None);
    Ok(url)
}

/// The headers of each request: those that were set, and what the node says of itself.
pub(super) fn headers(set: &BTreeMap<String, Secret>) -> Result<HeaderMap, StartError> {
    let mut headers = HeaderMap::new();
    let agent = concat!("erlmcp/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    // Nothing here unpacks an answer.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in set {
        let refuse = |why| StartError::Header { name: name.clone(), why };
        let header: HeaderName = name.parse().map_err(|_| refuse("its name isn't one"))?;
        if OURS.contains(&header.as_str()) {
            return Err(refuse("the node sets it itself"));
        }
        let value = HeaderValue::try_from(value.expose().unwrap_or_default());
        let mut value = value.map_err(|_| refuse("its value has characters that none may have"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        let check = |text: &str, expected: Option<&str>| {
            let read = url(text).ok().map(String::from);
            assert_eq!(read.as_deref(), expected, "{text}");
        };
        check("http://a.example:81/mcp?x=1#y", Some("http://a.example:81/mcp?x=1"));
        check("HTTPS://A.example", Some("https://a.example/"));
        for bad in ["", "/mcp", "a.example", "ftp://a.example", "http://", "http://u:p@a.example"] {
            check(bad, None);
        }
    }

    #[test]
    fn headers_are_checked_and_never_shown() {
        let made = |name: &str, value: &str| {
            headers(&BTreeMap::from([(name.to_owned(), Secret::from(value))]))
        };
        let headers = made("X-Key", "hunter2").unwrap();
        assert_eq!(headers.get("x-key").unwrap(), "hunter2");
        assert!(!format!("{headers:?}").contains("hunter2"));
        for (name, value) in [("Mcp-Session-Id", "1"), ("Host", "a"), ("a b", "c"), ("a", "b\nc")] {
            let error = made(name, value).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("b\nc"), "{error}");
        }
    }
}
