//! Result objects whose members are passed on as the text that they came in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::meta::{SERVER_INFO, ServerInfo};
use super::{Code, Revision, RpcError};

/// A JSON object of which only the outer member names are parsed: payloads that are only passed
/// on are never re-serialised.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResultObject(BTreeMap<String, Box<RawValue>>);

/// Equal texts, member by member.
impl PartialEq for ResultObject {
    fn eq(&self, other: &Self) -> bool {
        let texts = |object: &Self| -> Vec<_> {
            object.0.iter().map(|(name, raw)| (name.clone(), raw.get().to_owned())).collect()
        };
        self.0.len() == other.0.len() && texts(self) == texts(other)
    }
}

impl ResultObject {
    /// `{}`
    pub fn empty() -> Self {
        Self::default()
    }

    /// The members of something that is written as an object.
    ///
    /// # Errors
    /// -32603 where `value` isn't written as a JSON object.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, RpcError> {
        let encoded = to_raw_value(value).and_then(|raw| serde_json::from_str(raw.get()));
        encoded.map_err(|_| RpcError::new(Code::InternalError, "The result could not be encoded"))
    }

    /// Sets a member.
    ///
    /// # Errors
    /// Where `value` can't be written as JSON, as a map with keys that are no strings.
    pub fn set<T: Serialize>(&mut self, key: &str, value: &T) -> Result<(), serde_json::Error> {
        self.0.insert(key.to_owned(), to_raw_value(value)?);
        Ok(())
    }

    /// The text of a member.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|raw| raw.get())
    }

    /// Adds what a revision demands of every result: nothing in the legacy era; since 2026-07-28
    /// `resultType` and, in `_meta`, the server's name and version.
    ///
    /// # Errors
    /// Where a provider gave a `_meta` that is no object.
    pub fn dress(&mut self, revision: Revision, server: &ServerInfo) -> serde_json::Result<()> {
        if revision < Revision::V2026_07_28 {
            return Ok(());
        }
        if !self.0.contains_key("resultType") {
            self.set("resultType", &"complete")?;
        }
        let mut meta = match self.0.get("_meta") {
            Some(raw) => serde_json::from_str::<Self>(raw.get())?,
            None => Self::empty(),
        };
        meta.set(SERVER_INFO, server)?;
        self.set("_meta", &meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dressed(text: &str, revision: Revision) -> String {
        let mut result: ResultObject = serde_json::from_str(text).unwrap();
        let server = ServerInfo { name: "n".into(), version: "1".into() };
        result.dress(revision, &server).unwrap();
        serde_json::to_string(&result).unwrap()
    }

    #[test]
    fn legacy_results_stay_as_they_are_and_numbers_keep_their_text() {
        let text = r#"{"content":[1.10,12345678901234567890123]}"#;
        assert_eq!(dressed(text, Revision::V2025_11_25), text);
    }

    #[test]
    fn modern_results_say_their_type_and_server_and_keep_their_meta() {
        let text = dressed(r#"{"_meta":{"a":1.0}}"#, Revision::V2026_07_28);
        let info = r#""io.modelcontextprotocol/serverInfo":{"name":"n","version":"1"}"#;
        assert_eq!(text, format!(r#"{{"_meta":{{"a":1.0,{info}}},"resultType":"complete"}}"#));
        let asks = dressed(r#"{"resultType":"input_required"}"#, Revision::V2026_07_28);
        assert!(asks.contains(r#""resultType":"input_required""#));
    }
}
