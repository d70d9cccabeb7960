//! The lists of a server, all pages of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_json::value::RawValue;

use super::{Connection, Fault};
use crate::bridge::ServerCapabilities;
use crate::catalogue::mirror::mirrors;
use crate::catalogue::{Definition, Mirror, Offer};
use crate::protocol::splice::{Edits, find};
use crate::protocol::{Code, Kind, ResultObject, RpcError};
use crate::provider::upstream::faults;

/// Most pages of one list. Servers have some hundred entries at most, on a few pages.
const MAX_PAGES: usize = 1_000;
/// Most entries of one list.
const MAX_ENTRIES: usize = 20_000;
/// Bytes of all entries of one list together.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Why it isn't known what a server offers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// It answered with an error, or not at all.
    #[error("its {} can't be listed: {}", .kind.member(), .error.message)]
    Failed {
        /// Which list.
        kind: Kind,
        /// What a client would be told.
        error: RpcError,
    },
    /// A page took too long.
    #[error("it did not list its {} in time", .0.member())]
    TimedOut(Kind),
    /// What it answered is no list.
    #[error("its list of {} is not valid: {why}", .kind.member())]
    Invalid {
        /// Which list.
        kind: Kind,
        /// What is wrong.
        why: String,
    },
    /// It leads from page to page in a circle.
    #[error("its list of {} never ends: a cursor came twice", .0.member())]
    Endless(Kind),
    /// It is too long.
    #[error("its list of {} has more than {limit}", .kind.member())]
    TooLong {
        /// Which list.
        kind: Kind,
        /// Past what.
        limit: String,
    },
}

/// What the definitions of tools say of how they are called.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Arguments that headers mirror (2026-07-28), by the tools' names.
    pub(super) mirrors: BTreeMap<String, Vec<Mirror>>,
    /// Tools that run only as tasks (2025-11-25).
    pub(super) as_tasks: BTreeSet<String>,
}

/// All that the server offers.
pub(super) async fn fetch(connection: &Connection) -> Result<(Offer, Index), OfferError> {
    let capabilities = connection.peer.capabilities;
    let (tools, prompts, resources, templates) = tokio::try_join!(
        list(connection, capabilities, Kind::Tools),
        list(connection, capabilities, Kind::Prompts),
        list(connection, capabilities, Kind::Resources),
        list(connection, capabilities, Kind::Templates),
    )?;
    let index = index(&tools);
    let instructions = connection.peer.instructions.clone();
    Ok((Offer { tools, prompts, resources, templates, instructions }, index))
}

async fn list(
    connection: &Connection,
    capabilities: ServerCapabilities,
    kind: Kind,
) -> Result<Vec<Definition>, OfferError> {
    let has = match kind {
        Kind::Tools => capabilities.tools,
        Kind::Prompts => capabilities.prompts,
        Kind::Resources | Kind::Templates => capabilities.resources,
    };
    if !has {
        return Ok(Vec::new());
    }
    let mut pages = Pages::new(kind);
    let mut cursor = None;
    loop {
        let page = match fetch_page(connection, kind, cursor.as_ref()).await? {
            Ok(page) => page,
            // Templates are a part of the resources that many servers leave out.
            Err(error) if error.code == Code::Other(-32601) => return Ok(pages.entries),
            Err(error) => return Err(OfferError::Failed { kind, error }),
        };
        cursor = pages.add(&page)?;
        if cursor.is_none() {
            return Ok(pages.entries);
        }
    }
}

async fn fetch_page(
    connection: &Connection,
    kind: Kind,
    cursor: Option<&String>,
) -> Result<Result<Box<RawValue>, RpcError>, OfferError> {
    let mut edits = Edits::default();
    if let Some(cursor) = cursor {
        // A cursor is a text.
        let _ = edits.set("cursor", cursor);
    }
    let draft = connection.draft(method(kind), edits);
    let limit = connection.settings.request_timeout;
    let outcome = connection.line.request(draft, connection.leaving(), limit).await;
    match outcome.ok_or(OfferError::TimedOut(kind))? {
        Ok(page) => Ok(Ok(page)),
        Err(Fault::Answered(error)) => Ok(Err(error)),
        Err(fault) => {
            Err(OfferError::Failed { kind, error: faults::told(connection.name(), fault) })
        }
    }
}

/// The pages of one list as they come.
struct Pages {
    kind: Kind,
    entries: Vec<Definition>,
    bytes: usize,
    cursors: BTreeSet<String>,
}

impl Pages {
    fn new(kind: Kind) -> Self {
        Self { kind, entries: Vec::new(), bytes: 0, cursors: BTreeSet::new() }
    }

    /// Takes a page; where the next one begins.
    fn add(&mut self, page: &RawValue) -> Result<Option<String>, OfferError> {
        let kind = self.kind;
        let invalid = |why: &str| OfferError::Invalid { kind, why: why.to_owned() };
        let found = find(page, [kind.member(), "nextCursor"]);
        let [entries, cursor] = found.map_err(|_| invalid("a page is no object"))?;
        let entries = entries.ok_or_else(|| invalid("a page has no list"))?;
        let entries: Vec<Box<RawValue>> =
            serde_json::from_str(entries.get()).map_err(|_| invalid("a page has no list"))?;
        for entry in entries {
            self.bytes += entry.get().len();
            if self.entries.len() >= MAX_ENTRIES {
                return Err(self.too_long(format!("{MAX_ENTRIES} entries")));
            }
            if self.bytes > MAX_BYTES {
                return Err(self.too_long(format!("{MAX_BYTES} bytes")));
            }
            self.entries.push(definition(kind, entry));
        }
        let Some(cursor) = cursor.filter(|cursor| cursor.get() != "null") else { return Ok(None) };
        // An empty cursor is one, too.
        let cursor: String =
            serde_json::from_str(cursor.get()).map_err(|_| invalid("a cursor is no text"))?;
        if !self.cursors.insert(cursor.clone()) {
            return Err(OfferError::Endless(kind));
        }
        if self.cursors.len() > MAX_PAGES {
            return Err(self.too_long(format!("{MAX_PAGES} pages")));
        }
        Ok(Some(cursor))
    }

    fn too_long(&self, limit: String) -> OfferError {
        OfferError::TooLong { kind: self.kind, limit }
    }
}

/// One entry, byte by byte. What has no name gets an empty one, which no catalogue takes.
fn definition(kind: Kind, entry: Box<RawValue>) -> Definition {
    let member = match kind {
        Kind::Tools | Kind::Prompts => "name",
        Kind::Resources => "uri",
        Kind::Templates => "uriTemplate",
    };
    let name =
        find(&entry, [member]).ok().and_then(|[name]| serde_json::from_str(name?.get()).ok());
    let members = ResultObject::from_raw(entry).unwrap_or_default();
    Definition { name: name.unwrap_or_default(), members }
}

fn index(tools: &[Definition]) -> Index {
    let mut index = Index::default();
    for tool in tools {
        let [schema, execution] = tool.members.find(["inputSchema", "execution"]);
        let schema = schema.filter(|schema| schema.get().contains("x-mcp-header"));
        let schema = schema.and_then(|schema| serde_json::from_str::<Value>(schema.get()).ok());
        let mirrors = schema.map(|schema| mirrors(&schema)).unwrap_or_default();
        if !mirrors.is_empty() {
            index.mirrors.insert(tool.name.clone(), mirrors);
        }
        let support = execution.and_then(|execution| find(execution, ["taskSupport"]).ok());
        if matches!(support, Some([Some(support)]) if support.get() == r#""required""#) {
            index.as_tasks.insert(tool.name.clone());
        }
    }
    index
}

fn method(kind: Kind) -> &'static str {
    match kind {
        Kind::Tools => "tools/list",
        Kind::Prompts => "prompts/list",
        Kind::Resources => "resources/list",
        Kind::Templates => "resources/templates/list",
    }
}
