//! Servers as they are written, each key with its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::{Value, ValueKind};
use serde_json::{Map, Value as Json};

use super::keys::{self, Key};
use super::notes::{Notes, Place, Source};
use super::{SECTION, keys::known};

/// A key of a server, as it is written.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) value: Json,
    pub(super) place: Place,
    /// The key as it is spelt there.
    pub(super) spelt: String,
}

/// Keys by our names, and by their own where they aren't ours.
pub(super) type Fields = BTreeMap<String, Field>;

/// A server, as it is written.
#[derive(Debug)]
pub(in super::super) struct Entry {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) fields: Fields,
}

/// The keys of an object. One that has two names there is told.
pub(super) fn fields(
    object: Map<String, Json>,
    keys: &'static [Key],
    place: &Place,
    notes: &mut Notes,
) -> Fields {
    let mut fields = Fields::new();
    for (spelt, value) in object {
        let place = place.key(&spelt);
        add(&mut fields, keys, Field { value, place, spelt }, notes);
    }
    fields
}

fn add(fields: &mut Fields, keys: &'static [Key], field: Field, notes: &mut Notes) {
    let name = known(keys, &field.spelt).map_or_else(|| field.spelt.clone(), str::to_owned);
    match fields.get(&name) {
        Some(other) => {
            let what = format!("says the same as {}; give one of them", other.spelt);
            notes.problem(&field.place, what);
        }
        None => drop(fields.insert(name, field)),
    }
}

/// The servers of a table of them.
pub(super) fn entries(table: Json, place: &Place, notes: &mut Notes) -> Vec<Entry> {
    let Json::Object(table) = table else {
        notes.problem(place, "must be a table of servers");
        return Vec::new();
    };
    let mut entries = Vec::new();
    for (name, entry) in table {
        let place = place.key(&name);
        match entry {
            Json::Object(entry) => {
                let fields = fields(entry, keys::SERVER, &place, notes);
                entries.push(Entry { name, place, fields });
            }
            _ => notes.problem(&place, "must be a table with a command or a url"),
        }
    }
    entries
}

/// The servers of the node's own layers, laid over each other; each key knows its layer.
pub(in super::super) fn own_entries(table: Value, notes: &mut Notes) -> Vec<Entry> {
    let place = own_place(&table);
    let ValueKind::Table(table) = table.kind else {
        notes.problem(&place, "must be a table of servers, as in [mcp_servers.NAME]");
        return Vec::new();
    };
    let table: BTreeMap<String, Value> = table.into_iter().collect();
    let mut entries = Vec::new();
    for (name, entry) in table {
        let place = Place { path: place.key(&name).path, ..own_place(&entry) };
        let ValueKind::Table(keys) = entry.kind else {
            notes.problem(&place, "must be a table with a command or a url");
            continue;
        };
        let mut fields = Fields::new();
        for (spelt, value) in keys.into_iter().collect::<BTreeMap<_, _>>() {
            let place = Place { path: place.key(&spelt).path, ..own_place(&value) };
            let field = Field { value: json(value.kind), place, spelt };
            add(&mut fields, keys::SERVER, field, notes);
        }
        entries.push(Entry { name, place, fields });
    }
    entries
}

/// The layer of a value; a table that several layers made has that of its first key.
fn own_place(value: &Value) -> Place {
    let name = value.origin().map(str::to_owned).or_else(|| match &value.kind {
        ValueKind::Table(keys) => {
            let first = keys.iter().min_by_key(|(key, _)| *key)?.1;
            Some(own_place(first).source.name.clone())
        }
        _ => None,
    });
    let source = Source { name: name.unwrap_or_default(), own: true, ..Source::default() };
    Place::new(&Arc::new(source), SECTION)
}

/// A value of the `config` crate as JSON. What JSON has no number for becomes a text, and is told
/// where a number is wanted.
pub(super) fn json(value: ValueKind) -> Json {
    match value {
        ValueKind::Nil => Json::Null,
        ValueKind::Boolean(flag) => flag.into(),
        ValueKind::I64(number) => number.into(),
        ValueKind::U64(number) => number.into(),
        ValueKind::I128(number) => number.to_string().into(),
        ValueKind::U128(number) => number.to_string().into(),
        ValueKind::Float(number) => number.into(),
        ValueKind::String(text) => text.into(),
        ValueKind::Array(items) => items.into_iter().map(|item| json(item.kind)).collect(),
        ValueKind::Table(table) => {
            table.into_iter().map(|(key, value)| (key, json(value.kind))).collect()
        }
    }
}
