//! One server's part of the catalogue. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::{Definition, Mirror, Offer, SEPARATOR, ServerName, Template, mirror};
use crate::protocol::{Kind, ResultObject};

/// `_meta` key of a tool whose task is only made once its first questions are answered
/// (2026-07-28): its first round runs as no task.
pub const ASKS_FIRST: &str = "erlmcp/asksFirst";

/// How a server's tools and prompts are called on the federated endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// With the server's name in front, and this between the two.
    Prefixed(Arc<str>),
    /// As the server calls them: where it is the only one.
    Plain,
}

impl Default for Naming {
    fn default() -> Self {
        Self::Prefixed(SEPARATOR.into())
    }
}

impl Naming {
    /// The name on the federated endpoint. URIs stay as they are.
    pub fn federated(&self, server: &str, kind: Kind, name: &str) -> String {
        match (self, kind) {
            (Self::Prefixed(separator), Kind::Tools | Kind::Prompts) => {
                format!("{server}{separator}{name}")
            }
            _ => name.to_owned(),
        }
    }

    /// Whether a tool or prompt with this name on the federated endpoint would be the server's.
    pub fn claims(&self, server: &str, name: &str) -> bool {
        match self {
            Self::Plain => true,
            Self::Prefixed(by) => own(server, by, name).is_some_and(|own| !own.is_empty()),
        }
    }

    /// The server's own name for what has this name on the federated endpoint.
    pub fn plain(&self, server: &str, name: &str) -> String {
        match self {
            Self::Plain => name,
            Self::Prefixed(separator) => own(server, separator, name).unwrap_or(name),
        }
        .to_owned()
    }
}

fn own<'a>(server: &str, separator: &str, name: &'a str) -> Option<&'a str> {
    name.strip_prefix(server)?.strip_prefix(separator)
}

/// Whether a tool runs as a task (`execution.taskSupport`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskSupport {
    /// Never.
    #[default]
    Forbidden,
    /// As the client likes.
    Optional,
    /// Always.
    Required,
}

/// One entry of a list, and who provides it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its server.
    pub server: ServerName,
    /// Its name at that server.
    pub name: Arc<str>,
    /// A tool's federated name, whatever the endpoint calls it: a label of bounded cardinality.
    pub label: Arc<str>,
    /// Which of a tool's arguments are mirrored as headers.
    pub mirrors: Vec<Mirror>,
    /// Whether a tool runs as a task.
    pub task_support: TaskSupport,
    /// Whether its first questions come before its task; see [`ASKS_FIRST`].
    pub asks_first: bool,
    /// The definition as the endpoint lists it.
    definition: Box<RawValue>,
    template: Option<Template>,
}

impl Entry {
    /// The definition as the endpoint lists it.
    pub fn definition(&self) -> &RawValue {
        &self.definition
    }

    /// Whether it is a template that a URI fits.
    pub fn fits(&self, uri: &str) -> bool {
        self.template.as_ref().is_some_and(|template| template.matches(uri).is_some())
    }
}

/// Entries by the name that an endpoint gives them.
pub type Entries = BTreeMap<Arc<str>, Arc<Entry>>;

/// All that one server has, written once in both forms.
#[derive(Debug, Clone, Default)]
pub struct Part {
    naming: Naming,
    lists: BTreeMap<Kind, Lists>,
    instructions: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Lists {
    own: Entries,
    federated: Entries,
}

static NONE: Entries = Entries::new();

impl Part {
    /// Writes what a server announced.
    ///
    /// # Errors
    /// Where a definition can't be written as JSON.
    pub fn new(server: &ServerName, offer: &Offer, naming: Naming) -> serde_json::Result<Self> {
        let mut lists: BTreeMap<Kind, Lists> = BTreeMap::new();
        for kind in Kind::ALL {
            for definition in offer.list(kind) {
                let label: Arc<str> = naming.federated(server, kind, &definition.name).into();
                let own = Arc::new(entry(server, kind, definition, &definition.name, &label)?);
                let federated = if own.name == label {
                    Arc::clone(&own)
                } else {
                    Arc::new(entry(server, kind, definition, &label, &label)?)
                };
                let list = lists.entry(kind).or_default();
                list.own.insert(Arc::clone(&own.name), own);
                list.federated.insert(label, federated);
            }
        }
        Ok(Self { naming, lists, instructions: offer.instructions.clone() })
    }

    /// What it has under its own names.
    pub fn own(&self, kind: Kind) -> &Entries {
        self.lists.get(&kind).map_or(&NONE, |lists| &lists.own)
    }

    /// What it has under the names of the federated endpoint.
    pub fn federated(&self, kind: Kind) -> &Entries {
        self.lists.get(&kind).map_or(&NONE, |lists| &lists.federated)
    }

    /// How it wants to be used.
    pub fn instructions(&self) -> Option<&str> {
        self.instructions.as_deref()
    }

    /// How its tools and prompts are called on the federated endpoint.
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// Whether a list of another part has the same entries, with the same definitions.
    pub fn lists_the_same(&self, other: &Self, kind: Kind) -> bool {
        let texts = |part: &Self| -> Vec<_> {
            part.federated(kind).values().map(|entry| entry.definition().get().to_owned()).collect()
        };
        self.federated(kind).len() == other.federated(kind).len() && texts(self) == texts(other)
    }
}

fn entry(
    server: &ServerName,
    kind: Kind,
    from: &Definition,
    name: &str,
    label: &Arc<str>,
) -> serde_json::Result<Entry> {
    let mut members = from.members.clone();
    if matches!(kind, Kind::Tools | Kind::Prompts) {
        members.set("name", &name)?;
    }
    let schema = from.members.get("inputSchema").filter(|_| kind == Kind::Tools);
    let schema: Option<Value> = schema.and_then(|text| serde_json::from_str(text).ok());
    Ok(Entry {
        server: Arc::clone(server),
        name: from.name.as_str().into(),
        label: Arc::clone(label),
        mirrors: schema.map(|schema| mirror::mirrors(&schema)).unwrap_or_default(),
        task_support: task_support(&from.members),
        asks_first: asks_first(&from.members),
        definition: to_raw_value(&members)?,
        template: Template::parse(&from.name).ok().filter(|_| kind == Kind::Templates),
    })
}

fn task_support(members: &ResultObject) -> TaskSupport {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Execution {
        #[serde(default)]
        task_support: TaskSupport,
    }
    let execution = members.get("execution").and_then(|text| serde_json::from_str(text).ok());
    execution.map(|execution: Execution| execution.task_support).unwrap_or_default()
}

fn asks_first(members: &ResultObject) -> bool {
    let meta = members.get("_meta").and_then(|text| serde_json::from_str::<Value>(text).ok());
    meta.is_some_and(|meta| meta.get(ASKS_FIRST) == Some(&Value::Bool(true)))
}
