//! Result objects: as text, so that what is only passed on stays as its server wrote it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::envelope::is_object;
use super::meta::{SERVER_INFO, ServerInfo};
use super::splice::{self, Edits};
use super::{Code, Revision, RpcError};

/// A JSON object: the text that it came as, if it came as one, and what was set and removed since.
/// An untouched one is written byte by byte as it came; see [`splice`].
#[derive(Debug, Clone, Default)]
pub struct ResultObject {
    text: Option<Box<RawValue>>,
    edits: Edits,
}

/// Equal texts, member by member.
impl PartialEq for ResultObject {
    fn eq(&self, other: &Self) -> bool {
        let untouched = self.edits.is_empty() && other.edits.is_empty();
        let text = |object: &Self| object.text.as_deref().map(|raw| raw.get().to_owned());
        untouched && text(self) == text(other) || self.members() == other.members()
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
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, RpcError> {
        let encoded = to_raw_value(value).ok().and_then(Self::from_raw);
        encoded.ok_or_else(|| RpcError::new(Code::InternalError, "The result could not be encoded"))
    }

    /// An object as it came; `None` where the text is none. Nothing else is looked at.
    pub fn from_raw(text: Box<RawValue>) -> Option<Self> {
        is_object(&text).then(|| Self { text: Some(text), edits: Edits::default() })
    }

    /// Sets a member: in the place where it stands, or behind all others.
    ///
    /// # Errors
    /// Where `value` can't be written as JSON, as a map with keys that are no strings.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> serde_json::Result<()> {
        self.edits.set(key, value).map(|_| ())
    }

    /// Removes a member.
    pub fn remove(&mut self, key: &str) {
        self.edits.remove(key);
    }

    /// Edits a member that is an object. One that is missing, or is something else, becomes an
    /// object where there is something to be set in it, and stays as it is where not.
    ///
    /// # Errors
    /// None that is known: an edited object is one.
    pub fn within(&mut self, key: &str, edits: &Edits) -> serde_json::Result<()> {
        let [value] = self.find([key]);
        if let Some(edited) = edited(value, edits)? {
            self.edits.put(key, edited);
        }
        Ok(())
    }

    /// The text of a member. A member of the text that the object came as is looked for anew each
    /// time; [`find`](Self::find) looks for several at once.
    pub fn get(&self, key: &str) -> Option<&str> {
        let [value] = self.find([key]);
        value.map(RawValue::get)
    }

    /// The texts of several members, in one pass.
    pub fn find<const N: usize>(&self, keys: [&str; N]) -> [Option<&RawValue>; N] {
        let text = self.text.as_deref();
        let mut found = text.and_then(|text| splice::find(text, keys).ok()).unwrap_or([None; N]);
        for (slot, key) in found.iter_mut().zip(keys) {
            if let Some(edited) = self.edits.get(key) {
                *slot = edited;
            }
        }
        found
    }

    /// Writes the object to the end of `out`.
    pub fn write(&self, out: &mut String) {
        self.edits.write(self.text.as_deref(), out);
    }

    /// Adds what a revision demands of every result: nothing in the legacy era; since 2026-07-28
    /// `resultType` and, in `_meta`, the server's name and version.
    ///
    /// # Errors
    /// None that is known: both are written as JSON.
    pub fn dress(&mut self, revision: Revision, server: &ServerInfo) -> serde_json::Result<()> {
        if revision < Revision::V2026_07_28 {
            return Ok(());
        }
        let [kind, meta] = self.find(["resultType", "_meta"]);
        let (has_kind, mut said) = (kind.is_some(), Edits::default());
        said.set(SERVER_INFO, server)?;
        let meta = edited(meta, &said)?;
        if !has_kind {
            self.edits.set("resultType", "complete")?;
        }
        if let Some(meta) = meta {
            self.edits.put("_meta", meta);
        }
        Ok(())
    }

    fn members(&self) -> BTreeMap<Cow<'_, str>, &str> {
        let mut all = BTreeMap::new();
        if let Some(text) = self.text.as_deref() {
            // What is kept as text is an object.
            let _ = splice::members(text, |member| {
                all.insert(member.name().unwrap_or_default(), member.value.get());
            });
        }
        for (name, value) in self.edits.settled() {
            match value {
                Some(value) => all.insert(Cow::Borrowed(name), value.get()),
                None => all.remove(name),
            };
        }
        all
    }
}

/// A member after edits within it; `None` where they leave it as it is.
fn edited(value: Option<&RawValue>, edits: &Edits) -> serde_json::Result<Option<Box<RawValue>>> {
    if value.is_none_or(|raw| !is_object(raw)) && !edits.bring() {
        return Ok(None);
    }
    RawValue::from_string(edits.apply(value)).map(Some)
}

impl Serialize for ResultObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.text {
            Some(text) if self.edits.is_empty() => text.serialize(serializer),
            Some(text) => {
                let edited = RawValue::from_string(self.edits.apply(Some(text)));
                edited.map_err(S::Error::custom)?.serialize(serializer)
            }
            None => {
                let mut map = serializer.serialize_map(None)?;
                for (name, value) in self.edits.settled() {
                    if let Some(value) = value {
                        map.serialize_entry(name, value)?;
                    }
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for ResultObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_raw(text).ok_or_else(|| D::Error::custom("an object is expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> ResultObject {
        serde_json::from_str(text).unwrap()
    }

    fn written(object: &ResultObject) -> String {
        let mut out = String::new();
        object.write(&mut out);
        // Inside other values it is written by serde.
        assert_eq!(serde_json::to_string(object).unwrap(), out);
        out
    }

    fn dressed(text: &str, revision: Revision) -> String {
        let mut result = object(text);
        let server = ServerInfo { name: "n".into(), version: "1".into() };
        result.dress(revision, &server).unwrap();
        written(&result)
    }

    #[test]
    fn legacy_results_stay_as_they_are() {
        let text = r#"{ "z":[1.10, 12345678901234567890123], "a":"\u00e9\/",  "_meta" :{} }"#;
        assert_eq!(dressed(text, Revision::V2025_11_25), text);
    }

    #[test]
    fn modern_results_say_their_type_and_server_and_keep_their_meta() {
        let text = dressed(r#"{"_meta": {"a":1.0}, "b":1}"#, Revision::V2026_07_28);
        let info = r#""io.modelcontextprotocol/serverInfo":{"name":"n","version":"1"}"#;
        let meta = format!(r#"{{"a":1.0,{info}}}"#);
        assert_eq!(text, format!(r#"{{"_meta": {meta}, "b":1,"resultType":"complete"}}"#));
        let asks = dressed(r#"{"resultType":"input_required"}"#, Revision::V2026_07_28);
        assert_eq!(asks, format!(r#"{{"resultType":"input_required","_meta":{{{info}}}}}"#));
        let odd = dressed(r#"{"_meta":null}"#, Revision::V2026_07_28);
        assert_eq!(odd, format!(r#"{{"_meta":{{{info}}},"resultType":"complete"}}"#));
    }

    #[test]
    fn members_are_set_found_and_removed() {
        for mut result in [object(r#"{"a":1,"b":2}"#), {
            let mut built = ResultObject::empty();
            built.set("a", &1).unwrap();
            built.set("b", &2).unwrap();
            built
        }] {
            result.set("b", &3).unwrap();
            result.set("c", "d").unwrap();
            result.remove("a");
            assert_eq!((result.get("a"), result.get("b")), (None, Some("3")));
            assert_eq!(written(&result), r#"{"b":3,"c":"d"}"#);
            assert_eq!(result, object(r#"{ "c":"d", "b":3 }"#));
            assert_ne!(result, object(r#"{"b":3}"#));
            let mut inner = Edits::default();
            inner.set("e", &5).unwrap();
            result.within("c", &inner).unwrap();
            result.within("_meta", Edits::default().remove("x")).unwrap();
            assert_eq!(written(&result), r#"{"b":3,"c":{"e":5}}"#);
        }
    }

    #[test]
    fn only_objects_are_results() {
        assert_eq!(ResultObject::of(&[1]).unwrap_err().code, Code::InternalError);
        assert!(serde_json::from_str::<ResultObject>("[]").is_err());
        assert_eq!(written(&ResultObject::empty()), "{}");
    }
}
