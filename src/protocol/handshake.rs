//! The legacy handshake: what `initialize` asks and what it is answered.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::client::TASKS_EXTENSION;
use super::meta::ServerInfo;
use super::{ClientCapabilities, Code, Era, ResultObject, Revision, RpcError};

/// Longest client name and version that a session keeps, in characters: they are only told to
/// operators, and a client chooses them.
const LABEL_CHARS: usize = 128;

/// Name and version of a client, as it tells them; nothing is decided by them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct ClientInfo {
    /// The client's name.
    #[serde(default)]
    pub name: String,
    /// The client's version.
    #[serde(default)]
    pub version: String,
}

/// A parsed `initialize`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialize {
    /// The revision that the session follows.
    pub revision: Revision,
    /// Who asks.
    pub client: ClientInfo,
    /// What it can do.
    pub capabilities: ClientCapabilities,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    protocol_version: String,
    #[serde(default)]
    client_info: Option<ClientInfo>,
    #[serde(default)]
    capabilities: Option<Box<RawValue>>,
}

impl Initialize {
    /// Reads the parameters and settles the revision.
    ///
    /// # Errors
    /// -32602 where `protocolVersion` is missing or something has the wrong type.
    pub fn parse(params: Option<&RawValue>) -> Result<Self, RpcError> {
        let invalid = |why: String| RpcError::new(Code::InvalidParams, why);
        let params = params.ok_or_else(|| invalid("initialize needs protocolVersion".into()))?;
        let params: Params = serde_json::from_str(params.get())
            .map_err(|error| invalid(format!("Invalid params: {error}")))?;
        let client = params
            .client_info
            .unwrap_or(ClientInfo { name: String::new(), version: String::new() });
        Ok(Self {
            revision: negotiate(&params.protocol_version),
            client: ClientInfo { name: shorten(client.name), version: shorten(client.version) },
            capabilities: params
                .capabilities
                .map(|raw| ClientCapabilities::parse(&raw))
                .unwrap_or_default(),
        })
    }

    /// The result: what the session speaks and offers, and how its servers want to be used.
    ///
    /// # Errors
    /// -32603 where the result can't be encoded.
    pub fn result(
        &self,
        server: &ServerInfo,
        instructions: Option<&str>,
    ) -> Result<ResultObject, RpcError> {
        let mut result = json!({
            "protocolVersion": self.revision.as_str(),
            "capabilities": capabilities(self.revision),
            "serverInfo": server,
        });
        if let (Some(instructions), Some(members)) = (instructions, result.as_object_mut()) {
            members.insert("instructions".to_owned(), instructions.into());
        }
        ResultObject::of(&result)
    }
}

/// What this node offers to a client of a revision. Each is honoured whichever servers are there:
/// a list may be empty.
pub fn capabilities(revision: Revision) -> Value {
    let mut offered = json!({
        "tools": { "listChanged": true },
        "prompts": { "listChanged": true },
        "resources": { "listChanged": true, "subscribe": true },
        "logging": {},
    });
    let Some(members) = offered.as_object_mut() else { return offered };
    if revision >= Revision::V2025_03_26 {
        members.insert("completions".to_owned(), json!({}));
    }
    if revision.has_core_tasks() {
        let tasks = json!({ "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } });
        members.insert("tasks".to_owned(), tasks);
    }
    if revision.era() == Era::Modern {
        members.insert("extensions".to_owned(), json!({ TASKS_EXTENSION: {} }));
    }
    offered
}

/// A known legacy revision is echoed; anything else, 2026-07-28 included, gets the latest legacy
/// one: no handshake leads to the modern era.
fn negotiate(requested: &str) -> Revision {
    Revision::parse(requested)
        .filter(|revision| revision.era() == Era::Legacy)
        .unwrap_or(Revision::LATEST_LEGACY)
}

fn shorten(text: String) -> String {
    match text.char_indices().nth(LABEL_CHARS) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_revisions_are_echoed_and_others_get_the_latest_legacy_one() {
        let table = [
            ("2024-11-05", Revision::V2024_11_05),
            ("2025-06-18", Revision::V2025_06_18),
            ("2025-11-25", Revision::V2025_11_25),
            ("2026-07-28", Revision::V2025_11_25),
            ("2030-01-01", Revision::V2025_11_25),
            ("", Revision::V2025_11_25),
        ];
        for (requested, expected) in table {
            assert_eq!(negotiate(requested), expected, "{requested}");
        }
    }

    #[test]
    fn parameters_are_read_leniently_but_need_a_version() {
        let parse = |text: &str| {
            let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
            Initialize::parse(Some(&raw)).map(|initialize| initialize.client.name)
        };
        assert_eq!(parse(r#"{"protocolVersion":"2025-06-18"}"#), Ok(String::new()));
        let named = r#"{"protocolVersion":"2025-06-18","clientInfo":{"name":"x","version":"1"}}"#;
        assert_eq!(parse(named), Ok("x".to_owned()));
        assert_eq!(parse("{}").unwrap_err().code, Code::InvalidParams);
        let long = format!(
            r#"{{"protocolVersion":"a","clientInfo":{{"name":"{}","version":""}}}}"#,
            "é".repeat(300)
        );
        assert_eq!(parse(&long).unwrap().chars().count(), LABEL_CHARS);
    }
}
