//! All servers of all sources: one of each name.

use std::collections::BTreeMap;

use config::{Value, ValueKind};
use serde_json::Value as Json;

use super::super::layers::{self, Table};
use super::SECTION;
use super::entry::{Entry, Fields};
use super::notes::Notes;
use super::variables::Variables;
use super::{names, server};
use crate::catalogue::ServerName;
use crate::provider::upstream::UpstreamSpec;

/// Lays the servers of one of the node's layers over those below. A variable may mean a server
/// whose name no variable can spell.
pub(in super::super) fn lay_over(below: &mut Table, mut layer: Value) {
    if let (Some(ValueKind::Table(known)), ValueKind::Table(given)) =
        (below.get(SECTION).map(|value| &value.kind), &mut layer.kind)
    {
        let meant = |name: String| {
            let meant = known.keys().find(|known| names::means(&name, known));
            if known.contains_key(&name) { name } else { meant.cloned().unwrap_or(name) }
        };
        *given =
            std::mem::take(given).into_iter().map(|(name, keys)| (meant(name), keys)).collect();
    }
    layers::lay_over(below, Table::from_iter([(SECTION.to_owned(), layer)]));
}

/// What the servers are. Of two with one name, only one that has no target of its own can be meant
/// to change the other: an entry of the node's that sets keys of a server in a client's file.
pub(in super::super) fn servers(
    own: Vec<Entry>,
    of_clients: Vec<Entry>,
    separator: &str,
    variables: &Variables<'_>,
    notes: &mut Notes,
) -> BTreeMap<ServerName, UpstreamSpec> {
    let mut all = BTreeMap::<String, Entry>::new();
    for mut entry in of_clients {
        let name = names::of_client(&entry.name, separator);
        if let Some(what) = names::problem(&name, separator) {
            notes.problem(&entry.place, what);
        } else if let Some(other) = all.get(&name) {
            notes.problem(&entry.place, taken(&name, other));
        } else {
            if name != entry.name {
                notes.warning(&entry.place, format!("is named {name} here"));
            }
            entry.name.clone_from(&name);
            all.insert(name, entry);
        }
    }
    for entry in own {
        let meant = all.keys().find(|name| names::means(&entry.name, name)).cloned();
        let has_target = ["command", "url"].iter().any(|key| entry.fields.contains_key(*key));
        match all.get_mut(meant.as_ref().unwrap_or(&entry.name)) {
            Some(other) if has_target => notes.problem(&entry.place, taken(&entry.name, other)),
            Some(other) => set_keys(&mut other.fields, entry.fields),
            None => match names::problem(&entry.name, separator) {
                Some(what) => notes.problem(&entry.place, what),
                None => drop(all.insert(entry.name.clone(), entry)),
            },
        }
    }
    let read = all.into_iter().filter_map(|(name, entry)| {
        server::spec(entry, variables, notes).map(|spec| (ServerName::from(name), spec))
    });
    read.collect()
}

fn taken(name: &str, other: &Entry) -> String {
    format!("there is a server {name} in {} already; rename one", other.place.source.name)
}

/// Sets keys; tables keep those that aren't set.
fn set_keys(below: &mut Fields, above: Fields) {
    for (key, field) in above {
        match (below.get_mut(&key).map(|field| &mut field.value), field.value) {
            (Some(Json::Object(below)), Json::Object(above)) => below.extend(above),
            (_, value) => {
                below.insert(key, super::entry::Field { value, ..field });
            }
        }
    }
}
