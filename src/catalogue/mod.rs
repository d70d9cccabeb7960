//! The catalogue: which tools, prompts and resources there are and which server provides each.
//! Pure and immutable.
//!
//! On the federated endpoint a tool or prompt is called `SERVER__NAME`; on a server's own endpoint
//! it keeps its plain name. Both forms are written once, when the catalogue is built.

pub mod mirror;
pub mod template;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::protocol::{Kind, ResultObject};
pub use mirror::Mirror;
pub use template::Template;

/// Stands between a server's and a tool's name on the federated endpoint.
pub const SEPARATOR: &str = "__";

/// `_meta` key of a tool whose task is only made once its first questions are answered
/// (2026-07-28): its first round runs as no task.
pub const ASKS_FIRST: &str = "erlmcp/asksFirst";

/// The name of a server, as it stands in paths and in front of its tools' names.
pub type ServerName = Arc<str>;

/// What part of the catalogue an endpoint shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `/mcp`: all servers, names with their server in front.
    Federated,
    /// `/mcp/SERVER`: one server, names untouched.
    Server(ServerName),
}

/// A tool, prompt, resource or template as its server announces it: an object of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// What it is found by: a plain name, a URI, or a template's text.
    pub name: String,
    /// All members, the name included.
    pub members: ResultObject,
}

/// All that one server announces.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Offer {
    /// Its tools.
    pub tools: Vec<Definition>,
    /// Its prompts.
    pub prompts: Vec<Definition>,
    /// Its resources.
    pub resources: Vec<Definition>,
    /// Its patterns of resources.
    pub templates: Vec<Definition>,
    /// How it wants to be used.
    pub instructions: Option<String>,
}

impl Offer {
    /// The list of a kind.
    pub fn list(&self, kind: Kind) -> &[Definition] {
        match kind {
            Kind::Tools => &self.tools,
            Kind::Prompts => &self.prompts,
            Kind::Resources => &self.resources,
            Kind::Templates => &self.templates,
        }
    }
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

/// One page of a list.
#[derive(Debug)]
pub struct Page<'a> {
    /// The definitions, in the order of their names.
    pub items: Vec<&'a RawValue>,
    /// Where the next page begins; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// A cursor that this node never gave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCursor;

/// Entries by the name that an endpoint gives them.
type Entries = BTreeMap<String, Entry>;

/// What one endpoint shows.
#[derive(Debug, Clone, Default)]
struct View {
    tools: Entries,
    prompts: Entries,
    resources: Entries,
    templates: Entries,
    instructions: Option<String>,
}

impl View {
    fn entries(&self, kind: Kind) -> &Entries {
        match kind {
            Kind::Tools => &self.tools,
            Kind::Prompts => &self.prompts,
            Kind::Resources => &self.resources,
            Kind::Templates => &self.templates,
        }
    }

    fn entries_mut(&mut self, kind: Kind) -> &mut Entries {
        match kind {
            Kind::Tools => &mut self.tools,
            Kind::Prompts => &mut self.prompts,
            Kind::Resources => &mut self.resources,
            Kind::Templates => &mut self.templates,
        }
    }
}

/// An immutable snapshot.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    federated: View,
    servers: BTreeMap<ServerName, View>,
}

impl Catalogue {
    /// Builds the snapshot from what each server announced. Of two servers with the same resource,
    /// the federated endpoint asks the first.
    ///
    /// # Errors
    /// Where a definition can't be written as JSON.
    pub fn build<'a, I>(servers: I) -> serde_json::Result<Self>
    where
        I: IntoIterator<Item = (&'a ServerName, &'a Offer)>,
    {
        let mut catalogue = Self::default();
        for (server, offer) in servers {
            let own = catalogue.servers.entry(Arc::clone(server)).or_default();
            own.instructions.clone_from(&offer.instructions);
            for kind in Kind::ALL {
                for definition in offer.list(kind) {
                    let plain = entry(server, kind, definition, &definition.name)?;
                    own.entries_mut(kind).insert(definition.name.clone(), plain);
                    let published = published(server, kind, &definition.name);
                    let federated = entry(server, kind, definition, &published)?;
                    catalogue.federated.entries_mut(kind).entry(published).or_insert(federated);
                }
            }
        }
        Ok(catalogue)
    }

    /// Whether an endpoint of this scope exists.
    pub fn serves(&self, scope: &Scope) -> bool {
        self.view(scope).is_some()
    }

    /// How a server wants to be used.
    pub fn instructions(&self, scope: &Scope) -> Option<&str> {
        self.view(scope)?.instructions.as_deref()
    }

    /// Finds an entry by the name that the endpoint gives it.
    pub fn find(&self, scope: &Scope, kind: Kind, name: &str) -> Option<&Entry> {
        self.view(scope)?.entries(kind).get(name)
    }

    /// Finds who has a resource: by its URI, else by the first template that it fits.
    pub fn find_resource(&self, scope: &Scope, uri: &str) -> Option<&Entry> {
        let view = self.view(scope)?;
        let fits =
            |entry: &&Entry| entry.template.as_ref().is_some_and(|t| t.matches(uri).is_some());
        view.resources.get(uri).or_else(|| view.templates.values().find(fits))
    }

    /// A page of at most `size` entries after `cursor`, in the order of their names. A cursor
    /// stays good when entries come and go.
    ///
    /// # Errors
    /// Where the cursor is none of ours.
    pub fn page(
        &self,
        scope: &Scope,
        kind: Kind,
        cursor: Option<&str>,
        size: usize,
    ) -> Result<Page<'_>, BadCursor> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = cursor.map(decode_cursor).transpose()?;
        let start = after.as_deref().map_or(Unbounded, Excluded);
        let mut rest = self
            .view(scope)
            .into_iter()
            .flat_map(|view| view.entries(kind).range::<str, _>((start, Unbounded)))
            .peekable();
        let (mut items, mut last) = (Vec::new(), None);
        while let Some((name, entry)) = rest.next_if(|_| items.len() < size) {
            items.push(&*entry.definition);
            last = Some(name);
        }
        let next_cursor = rest.peek().and(last).map(|name| encode_cursor(name));
        Ok(Page { items, next_cursor })
    }

    fn view(&self, scope: &Scope) -> Option<&View> {
        match scope {
            Scope::Federated => Some(&self.federated),
            Scope::Server(server) => self.servers.get(server),
        }
    }
}

/// Tools and prompts bear their server's name on the federated endpoint; URIs stay as they are.
fn published(server: &str, kind: Kind, name: &str) -> String {
    match kind {
        Kind::Tools | Kind::Prompts => format!("{server}{SEPARATOR}{name}"),
        Kind::Resources | Kind::Templates => name.to_owned(),
    }
}

fn entry(
    server: &ServerName,
    kind: Kind,
    from: &Definition,
    name: &str,
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
        label: published(server, kind, &from.name).into(),
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

/// The mark tells our cursors from other Base64.
const CURSOR_MARK: &str = "after:";

fn encode_cursor(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{CURSOR_MARK}{name}"))
}

fn decode_cursor(cursor: &str) -> Result<String, BadCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| BadCursor)?;
    let text = String::from_utf8(bytes).map_err(|_| BadCursor)?;
    text.strip_prefix(CURSOR_MARK).map(ToOwned::to_owned).ok_or(BadCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let define = |name: &str| {
            let mut members = ResultObject::empty();
            members.set("name", &name).unwrap();
            Definition { name: name.to_owned(), members }
        };
        let (a, b): (ServerName, ServerName) = ("a".into(), "b".into());
        let of = |tools| Offer { tools, ..Offer::default() };
        let (of_a, of_b) = (of(vec![define("y"), define("x")]), of(vec![define("x")]));
        Catalogue::build([(&b, &of_b), (&a, &of_a)]).unwrap()
    }

    fn names(page: &Page<'_>) -> Vec<String> {
        page.items.iter().map(|raw| raw.get().to_owned()).collect()
    }

    #[test]
    fn lists_are_in_order_and_names_depend_on_the_endpoint() {
        let catalogue = catalogue();
        let page = catalogue.page(&Scope::Federated, Kind::Tools, None, 10).unwrap();
        let expected = [r#"{"name":"a__x"}"#, r#"{"name":"a__y"}"#, r#"{"name":"b__x"}"#];
        assert_eq!(names(&page), expected);
        assert!(page.next_cursor.is_none());
        let a = Scope::Server("a".into());
        let page = catalogue.page(&a, Kind::Tools, None, 10).unwrap();
        assert_eq!(names(&page), [r#"{"name":"x"}"#, r#"{"name":"y"}"#]);
        assert!(catalogue.find(&a, Kind::Tools, "a__x").is_none());
        assert_eq!(&*catalogue.find(&Scope::Federated, Kind::Tools, "b__x").unwrap().server, "b");
        assert!(!catalogue.serves(&Scope::Server("c".into())));
    }

    #[test]
    fn pages_cover_the_list_once_and_foreign_cursors_are_refused() {
        let catalogue = catalogue();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page =
                catalogue.page(&Scope::Federated, Kind::Tools, cursor.as_deref(), 2).unwrap();
            seen.extend(names(&page));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 3);
        for bad in ["", "x", "!", "aGVsbG8", "a__x"] {
            let refused = catalogue.page(&Scope::Federated, Kind::Tools, Some(bad), 2).unwrap_err();
            assert_eq!(refused, BadCursor, "{bad}");
        }
    }
}
