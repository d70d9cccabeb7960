//! Reads an object key by key. Whatever isn't as it should be is told with its place.

use std::time::Duration;

use serde_json::Value as Json;

use super::entry::{self, Field, Fields};
use super::keys::{self, Key, Unknown};
use super::notes::{Notes, Place};
use super::variables::Variables;

/// The longest time that may be configured: a year of seconds.
const LONGEST_S: u64 = 365 * 24 * 60 * 60;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// Reads an object key by key.
pub(super) struct Reader<'a> {
    fields: Fields,
    keys: &'static [Key],
    pub(super) place: Place,
    pub(super) variables: &'a Variables<'a>,
    pub(super) notes: &'a mut Notes,
    /// Whether what is missing around the node is only odd: the server isn't started anyway.
    pub(super) lenient: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        fields: Fields,
        keys: &'static [Key],
        place: Place,
        variables: &'a Variables<'a>,
        notes: &'a mut Notes,
    ) -> Self {
        Self { fields, keys, place, variables, notes, lenient: false }
    }

    /// A key's value, which is read by that; null is none.
    fn take(&mut self, key: &'static str) -> Option<Field> {
        self.fields.remove(key).filter(|field| !field.value.is_null())
    }

    fn expanded(&mut self, text: &str, place: &Place) -> String {
        let expanded = self.variables.expand(text, &place.source);
        for what in expanded.wrong {
            if self.lenient {
                self.notes.warning(place, what);
            } else {
                self.notes.problem(place, what);
            }
        }
        expanded.text
    }

    /// A text, with its variables replaced. An empty one is none.
    pub(super) fn text(&mut self, key: &'static str) -> Option<At<String>> {
        self.written(key).map(|(text, _)| text)
    }

    /// A text, and whether it is a secret that everybody reads who reads the file.
    fn written(&mut self, key: &'static str) -> Option<(At<String>, String)> {
        let Field { value, place, .. } = self.take(key)?;
        let Json::String(written) = value else {
            self.notes.problem(&place, "must be a text");
            return None;
        };
        let value = self.expanded(&written, &place);
        (!value.is_empty()).then_some((At { value, place }, written))
    }

    /// A text that nobody should write down: where somebody did, that is told.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<At<String>> {
        let (text, written) = self.written(key)?;
        if !written.contains("${") {
            self.notes.warning(&text.place, super::exposed::ADVICE);
        }
        Some(text)
    }

    /// A path, where `~` is the home of the node's user.
    pub(super) fn path(&mut self, key: &'static str) -> Option<At<String>> {
        let At { value, place } = self.text(key)?;
        Some(At { value: self.variables.at_home(value), place })
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<At<Vec<String>>> {
        let Field { value, place, .. } = self.take(key)?;
        let Json::Array(items) = value else {
            self.notes.problem(&place, "must be a list of texts");
            return None;
        };
        let mut texts = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let place = place.item(index);
            match item {
                Json::String(text) => {
                    if super::exposed::is_secret("", &text) {
                        self.notes.warning(&place, super::exposed::ADVICE);
                    }
                    texts.push(self.expanded(&text, &place));
                }
                Json::Number(number) => texts.push(number.to_string()),
                _ => self.notes.problem(&place, "must be a text"),
            }
        }
        Some(At { value: texts, place })
    }

    /// A table of texts.
    pub(super) fn table(&mut self, key: &'static str) -> Vec<(String, At<String>)> {
        let Some(Field { value, place, .. }) = self.take(key) else { return Vec::new() };
        let Json::Object(table) = value else {
            self.notes.problem(&place, "must be a table of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for (name, value) in table {
            let place = place.key(&name);
            let text = match value {
                Json::String(text) => text,
                Json::Number(number) => number.to_string(),
                Json::Bool(flag) => flag.to_string(),
                Json::Null => {
                    self.notes.warning(&place, "is null, and left out");
                    continue;
                }
                Json::Array(_) | Json::Object(_) => {
                    self.notes.problem(&place, "must be a text");
                    continue;
                }
            };
            if super::exposed::is_secret(&name, &text) {
                self.notes.warning(&place, super::exposed::ADVICE);
            }
            let value = self.expanded(&text, &place);
            texts.push((name, At { value, place }));
        }
        texts
    }

    /// A yes or no.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let Field { value, place, .. } = self.take(key)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.notes.problem(&place, "must be true or false");
        }
        flag
    }

    /// A whole number within limits.
    pub(super) fn whole(&mut self, key: &'static str, least: u64, most: u64) -> Option<u64> {
        let Field { value, place, .. } = self.take(key)?;
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let what = format!("must be a whole number from {least} to {most}");
            self.notes.problem(&place, what);
        }
        number
    }

    /// A time in whole milliseconds.
    pub(super) fn millis(&mut self, key: &'static str, least: u64) -> Option<Duration> {
        self.whole(key, least, LONGEST_S * 1_000).map(Duration::from_millis)
    }

    /// A time in whole seconds.
    pub(super) fn seconds(&mut self, key: &'static str) -> Option<Duration> {
        self.whole(key, 1, LONGEST_S).map(Duration::from_secs)
    }

    /// A time in seconds, of which there may be parts, as Codex has them.
    pub(super) fn parts_of_seconds(&mut self, key: &'static str) -> Option<At<Duration>> {
        let Field { value, place, .. } = self.take(key)?;
        let seconds = value.as_f64().filter(|seconds| *seconds <= LONGEST_S as f64);
        let value = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let Some(value) = value.filter(|time| !time.is_zero()) else {
            let what = format!("must be a number of seconds above 0, and at most {LONGEST_S}");
            self.notes.problem(&place, what);
            return None;
        };
        Some(At { value, place })
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let At { value, place } = self.text(key)?;
        let chosen = words.iter().find(|(word, _)| *word == value).map(|(_, chosen)| *chosen);
        if chosen.is_none() {
            let words = words.iter().map(|(word, _)| format!("{word:?}"));
            let what = format!("must be one of {}", words.collect::<Vec<_>>().join(", "));
            self.notes.problem(&place, what);
        }
        chosen
    }

    /// Whether a key is there, and not empty.
    pub(super) fn has(&self, key: &'static str) -> bool {
        let value = self.fields.get(key).map(|field| &field.value);
        value.is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// Whether a key's value is a list.
    pub(super) fn is_list(&self, key: &'static str) -> bool {
        self.fields.get(key).is_some_and(|field| field.value.is_array())
    }

    /// Forgets keys whose values are tables of a client's own.
    pub(super) fn forget_tables(&mut self) {
        self.fields.retain(|_, field| field.place.source.own || !field.value.is_object());
    }

    /// A reader of the object that is the value of a key.
    pub(super) fn object(&mut self, key: &'static str, keys: &'static [Key]) -> Option<Reader<'_>> {
        let Field { value, place, .. } = self.take(key)?;
        let Json::Object(object) = value else {
            let what = format!("must be a table with {}", keys::listed(keys));
            self.notes.problem(&place, what);
            return None;
        };
        let fields = entry::fields(object, keys, &place, self.notes);
        let (variables, lenient) = (self.variables, self.lenient);
        Some(Reader { fields, keys, place, variables, notes: self.notes, lenient })
    }

    /// Tells which of these keys are there though they have no effect.
    pub(super) fn without_effect(&mut self, keys: &[&'static str], why: &str) {
        for key in keys {
            let Some(Field { value, place, .. }) = self.take(key) else { continue };
            let empty = match &value {
                Json::Array(items) => items.is_empty(),
                Json::Object(table) => table.is_empty(),
                Json::String(text) => text.is_empty(),
                _ => false,
            };
            if !empty {
                self.notes.warning(&place, why);
            }
        }
    }

    /// Tells what nobody can read. Keys that nobody asked for, because others are wrong, are none.
    pub(super) fn finish(self) {
        for Field { place, spelt, .. } in self.fields.into_values() {
            let own = place.source.own;
            if keys::known(self.keys, &spelt).is_some() {
                continue;
            }
            match keys::unknown(self.keys, &spelt) {
                Unknown::ClientsAlone if own => {
                    self.notes.warning(&place, "concerns a client alone, and has no effect here");
                }
                Unknown::ClientsAlone => {}
                Unknown::Lost(what) if own => self.notes.problem(&place, what),
                Unknown::Lost(what) => self.notes.warning(&place, what),
                Unknown::Misspelt(name) => {
                    self.notes.problem(&place, format!("unknown key; is {name} meant?"));
                }
                Unknown::Strange if own => {
                    let known = keys::listed(self.keys);
                    self.notes.problem(&place, format!("unknown key; there are {known}"));
                }
                Unknown::Strange => {
                    self.notes.warning(&place, "unknown key; it has no effect here");
                }
            }
        }
    }
}
