//! The catalogue: which tools there are and which server provides each. Pure and immutable.
//!
//! On the federated endpoint a tool is called `SERVER__NAME`; on a server's own endpoint it keeps
//! its plain name. Both forms are written once, when the catalogue is built.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::{RawValue, to_raw_value};

use crate::protocol::ResultObject;

/// Stands between a server's and a tool's name on the federated endpoint.
pub const SEPARATOR: &str = "__";

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

/// A tool as its server announces it: an object with at least `name` and `inputSchema`.
#[derive(Debug, Clone)]
pub struct ToolDefinition {
    /// The plain name.
    pub name: String,
    /// All members, `name` included.
    pub members: ResultObject,
}

/// One tool, and who provides it.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its server.
    pub server: ServerName,
    /// Its name at that server.
    pub name: Arc<str>,
    /// Its definition as the endpoint lists it.
    definition: Box<RawValue>,
}

/// One page of a list.
#[derive(Debug)]
pub struct Page<'a> {
    /// The definitions, in the order of their names.
    pub tools: Vec<&'a RawValue>,
    /// Where the next page begins; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// A cursor that this node never gave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCursor;

/// Tools by the name that an endpoint gives them.
type Tools = BTreeMap<String, Tool>;

/// An immutable snapshot.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    federated: Tools,
    servers: BTreeMap<ServerName, Tools>,
}

impl Catalogue {
    /// Builds the snapshot from what each server announced.
    ///
    /// # Errors
    /// Where a definition can't be written as JSON.
    pub fn build<'a, I>(servers: I) -> serde_json::Result<Self>
    where
        I: IntoIterator<Item = (&'a ServerName, &'a [ToolDefinition])>,
    {
        let mut catalogue = Self::default();
        for (server, tools) in servers {
            let own = catalogue.servers.entry(Arc::clone(server)).or_default();
            for definition in tools {
                let published = format!("{server}{SEPARATOR}{}", definition.name);
                own.insert(definition.name.clone(), tool(server, definition, &definition.name)?);
                let federated = tool(server, definition, &published)?;
                catalogue.federated.insert(published, federated);
            }
        }
        Ok(catalogue)
    }

    /// Whether an endpoint of this scope exists.
    pub fn serves(&self, scope: &Scope) -> bool {
        self.tools(scope).is_some()
    }

    /// Finds a tool by the name that the endpoint gives it.
    pub fn find(&self, scope: &Scope, name: &str) -> Option<&Tool> {
        self.tools(scope)?.get(name)
    }

    /// The federated name of a tool, whatever the endpoint calls it.
    pub fn label(&self, scope: &Scope, name: &str) -> Option<String> {
        let tool = self.find(scope, name)?;
        Some(format!("{}{SEPARATOR}{}", tool.server, tool.name))
    }

    /// A page of at most `size` tools after `cursor`, in the order of their names. A cursor stays
    /// good when tools come and go.
    ///
    /// # Errors
    /// Where the cursor is none of ours.
    pub fn page(
        &self,
        scope: &Scope,
        cursor: Option<&str>,
        size: usize,
    ) -> Result<Page<'_>, BadCursor> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = cursor.map(decode_cursor).transpose()?;
        let start = after.as_deref().map_or(Unbounded, Excluded);
        let mut rest = self
            .tools(scope)
            .into_iter()
            .flat_map(|tools| tools.range::<str, _>((start, Unbounded)))
            .peekable();
        let (mut tools, mut last) = (Vec::new(), None);
        while let Some((name, tool)) = rest.next_if(|_| tools.len() < size) {
            tools.push(&*tool.definition);
            last = Some(name);
        }
        let next_cursor = rest.peek().and(last).map(|name| encode_cursor(name));
        Ok(Page { tools, next_cursor })
    }

    fn tools(&self, scope: &Scope) -> Option<&Tools> {
        match scope {
            Scope::Federated => Some(&self.federated),
            Scope::Server(server) => self.servers.get(server),
        }
    }
}

fn tool(server: &ServerName, from: &ToolDefinition, name: &str) -> serde_json::Result<Tool> {
    let mut members = from.members.clone();
    members.set("name", &name)?;
    let definition = to_raw_value(&members)?;
    Ok(Tool { server: Arc::clone(server), name: from.name.as_str().into(), definition })
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
            ToolDefinition { name: name.to_owned(), members }
        };
        let (a, b): (ServerName, ServerName) = ("a".into(), "b".into());
        let (of_a, of_b) = ([define("y"), define("x")], [define("x")]);
        Catalogue::build([(&b, of_b.as_slice()), (&a, of_a.as_slice())]).unwrap()
    }

    fn names(page: &Page<'_>) -> Vec<String> {
        page.tools.iter().map(|raw| raw.get().to_owned()).collect()
    }

    #[test]
    fn lists_are_in_order_and_names_depend_on_the_endpoint() {
        let catalogue = catalogue();
        let page = catalogue.page(&Scope::Federated, None, 10).unwrap();
        let expected = [r#"{"name":"a__x"}"#, r#"{"name":"a__y"}"#, r#"{"name":"b__x"}"#];
        assert_eq!(names(&page), expected);
        assert!(page.next_cursor.is_none());
        let a = Scope::Server("a".into());
        let page = catalogue.page(&a, None, 10).unwrap();
        assert_eq!(names(&page), [r#"{"name":"x"}"#, r#"{"name":"y"}"#]);
        assert!(catalogue.find(&a, "a__x").is_none());
        assert_eq!(&*catalogue.find(&Scope::Federated, "b__x").unwrap().server, "b");
        assert!(!catalogue.serves(&Scope::Server("c".into())));
    }

    #[test]
    fn pages_cover_the_list_once_and_foreign_cursors_are_refused() {
        let catalogue = catalogue();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = catalogue.page(&Scope::Federated, cursor.as_deref(), 2).unwrap();
            seen.extend(names(&page));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 3);
        for bad in ["", "x", "!", "aGVsbG8", "a__x"] {
            let refused = catalogue.page(&Scope::Federated, Some(bad), 2).unwrap_err();
            assert_eq!(refused, BadCursor, "{bad}");
        }
    }
}
