//! What the headers of a message say of it. Pure.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::protocol::header::{mirror, name};
use crate::protocol::{Era, Revision};
use crate::provider::upstream::Outbound;

/// Both kinds of answer are taken.
const ANSWERS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
/// What a stream that GET opens is made of.
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What has been agreed with a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Agreed {
    /// The revision; none before the handshake is over.
    pub(super) revision: Option<Revision>,
    /// The session that the server opened (session era).
    pub(super) session: Option<HeaderValue>,
}

impl Agreed {
    /// Whether messages belong to a session, and streams can be resumed.
    pub(super) fn is_legacy(&self) -> bool {
        self.revision.is_some_and(|revision| revision.era() == Era::Legacy)
    }

    /// The headers of a request.
    ///
    /// `initialize` opens a session, so it bears neither a session nor a revision. Before anything
    /// is agreed, every other request is of the newest revision.
    pub(super) fn request(&self, request: &Outbound) -> HeaderMap {
        let mut headers = posted();
        if request.method == "initialize" {
            return headers;
        }
        let revision = self.revision.unwrap_or(Revision::LATEST);
        self.tell(revision, &mut headers);
        if revision.era() == Era::Modern {
            headers.insert(name::METHOD, HeaderValue::from_static(request.method));
            if let Some(named) = request.name.as_deref().and_then(value) {
                headers.insert(name::NAME, named);
            }
            for (parameter, text) in &request.mirrored {
                let named = HeaderName::try_from(format!("{}{parameter}", name::PARAM_PREFIX));
                // A name that no header can have isn't sent; the server then says what it misses.
                if let (Ok(named), Some(text)) = (named, value(text)) {
                    headers.insert(named, text);
                }
            }
        }
        headers
    }

    /// The headers of a notification, or of an answer to the server.
    pub(super) fn message(&self) -> HeaderMap {
        let mut headers = posted();
        self.tell(self.revision.unwrap_or(Revision::LATEST), &mut headers);
        headers
    }

    /// The headers of a GET that opens a stream, or resumes one behind an event.
    pub(super) fn stream(&self, last_event: Option<&[u8]>) -> HeaderMap {
        let mut headers = self.session();
        headers.insert(ACCEPT, EVENTS);
        if let Some(id) = last_event.and_then(|id| HeaderValue::from_bytes(id).ok()) {
            headers.insert(name::LAST_EVENT_ID, id);
        }
        headers
    }

    /// The headers that name the session alone.
    pub(super) fn session(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(revision) = self.revision {
            self.tell(revision, &mut headers);
        }
        headers
    }

    fn tell(&self, revision: Revision, headers: &mut HeaderMap) {
        if revision.is_told_by_header() {
            let told = HeaderValue::from_static(revision.as_str());
            headers.insert(name::PROTOCOL_VERSION, told);
        }
        if let Some(session) = self.session.as_ref().filter(|_| revision.era() == Era::Legacy) {
            headers.insert(name::SESSION_ID, session.clone());
        }
    }
}

fn posted() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, ANSWERS);
    headers.insert(CONTENT_TYPE, JSON);
    headers
}

fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(mirror(text).as_ref()).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(method: &'static str) -> Outbound {
        let mirrored = vec![("Region".to_owned(), "Zürich".to_owned())];
        let name = Some("a tool".to_owned());
        Outbound { id: 1, text: Bytes::new(), method, name, mirrored }
    }

    fn told(headers: &HeaderMap) -> Vec<String> {
        let told = headers.iter().filter(|(name, _)| name.as_str().starts_with("mcp-"));
        let mut told: Vec<String> =
            told.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        told.sort();
        told
    }

    #[test]
    fn headers_follow_the_revision() {
        let session = Some(HeaderValue::from_static("s-1"));
        let check = |revision, method, expected: &[&str]| {
            let agreed = Agreed { revision, session: session.clone() };
            assert_eq!(told(&agreed.request(&request(method))), expected, "{revision:?} {method}");
        };
        check(None, "initialize", &[]);
        let modern = [
            "mcp-method: server/discover",
            "mcp-name: a tool",
            "mcp-param-region: =?base64?WsO8cmljaA==?=",
            "mcp-protocol-version: 2026-07-28",
        ];
        check(None, "server/discover", &modern);
        check(Some(Revision::V2026_07_28), "server/discover", &modern);
        check(Some(Revision::V2026_07_28), "initialize", &[]);
        check(Some(Revision::V2025_03_26), "tools/call", &["mcp-session-id: s-1"]);
        let told = ["mcp-protocol-version: 2025-06-18", "mcp-session-id: s-1"];
        check(Some(Revision::V2025_06_18), "tools/call", &told);
    }

    #[test]
    fn a_stream_names_the_event_that_came_last() {
        let agreed = Agreed { revision: Some(Revision::V2025_11_25), session: None };
        let headers = agreed.stream(Some(b"e-1"));
        assert_eq!(headers.get(name::LAST_EVENT_ID).unwrap(), "e-1");
        assert_eq!(headers.get(ACCEPT).unwrap(), "text/event-stream");
        assert!(agreed.stream(Some(b"\n")).get(name::LAST_EVENT_ID).is_none());
    }
}
