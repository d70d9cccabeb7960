//! The catalogue: which tools, prompts and resources there are and which server provides each.
//! Pure and immutable.
//!
//! On the federated endpoint a tool or prompt is called `SERVER__NAME`; on a server's own endpoint
//! it keeps its plain name. Both forms are written once, when a server announces itself; a snapshot
//! only points to them, so that one of many servers may come and go cheaply.

pub mod mirror;
pub mod part;
pub mod template;
pub mod vet;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;

use crate::protocol::{Kind, ResultObject};
pub use mirror::Mirror;
pub use part::{ASKS_FIRST, Entry, Naming, Part, TaskSupport};
pub use template::Template;

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

/// Whether a server's entries are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// They are.
    There,
    /// They are not, but each can still be found, so that whoever asks for it is told why.
    Down {
        /// What the server's supervision says.
        state: &'static str,
        /// Why, in one sentence.
        cause: Arc<str>,
    },
}

/// One server in a snapshot.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What it has.
    pub part: Arc<Part>,
    /// Whether that is listed.
    pub availability: Availability,
}

impl Standing {
    fn is_listed(&self) -> bool {
        self.availability == Availability::There
    }
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

/// An entry of the federated endpoint.
#[derive(Debug, Clone)]
struct Place {
    name: Arc<str>,
    entry: Arc<Entry>,
    is_listed: bool,
}

/// What the federated endpoint shows, by kind, in the order of the names. Made anew with each
/// snapshot from what is in order already, which takes a list much less time than a tree.
type Federated = BTreeMap<Kind, Vec<Place>>;

/// An immutable snapshot.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    federated: Federated,
    servers: BTreeMap<ServerName, Standing>,
    instructions: Option<String>,
}

impl Catalogue {
    /// A snapshot of servers that are all there, from what each announced.
    ///
    /// # Errors
    /// Where a definition can't be written as JSON.
    pub fn build<'a, I>(servers: I) -> serde_json::Result<Self>
    where
        I: IntoIterator<Item = (&'a ServerName, &'a Offer)>,
    {
        let standing = |(server, offer): (&'a ServerName, &'a Offer)| {
            let part = Arc::new(Part::new(server, offer, Naming::default())?);
            let standing = Standing { part, availability: Availability::There };
            Ok((Arc::clone(server), standing))
        };
        let servers: serde_json::Result<_> = servers.into_iter().map(standing).collect();
        Ok(Self::of(servers?))
    }

    /// A snapshot of these servers. Of two with the same resource, the federated endpoint asks the
    /// first that is there.
    pub fn of(servers: BTreeMap<ServerName, Standing>) -> Self {
        let federated = Kind::ALL.into_iter().map(|kind| (kind, federated(&servers, kind)));
        let federated = federated.collect();
        let instructions = joined(&servers);
        Self { federated, servers, instructions }
    }

    /// Whether an endpoint of this scope exists.
    pub fn serves(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Federated => true,
            Scope::Server(server) => self.servers.contains_key(server),
        }
    }

    /// How the servers of an endpoint want to be used.
    pub fn instructions(&self, scope: &Scope) -> Option<&str> {
        match scope {
            Scope::Federated => self.instructions.as_deref(),
            Scope::Server(server) => self.servers.get(server)?.part.instructions(),
        }
    }

    /// Finds an entry by the name that the endpoint gives it, also where its server isn't there.
    pub fn find(&self, scope: &Scope, kind: Kind, name: &str) -> Option<&Entry> {
        match scope {
            Scope::Federated => {
                let places = self.places(kind);
                let at = places.binary_search_by(|place| (*place.name).cmp(name)).ok()?;
                places.get(at).map(|place| &*place.entry)
            }
            Scope::Server(server) => {
                Some(self.servers.get(server)?.part.own(kind).get(name)?.as_ref())
            }
        }
    }

    /// Finds who has a resource: by its URI, else by the first template that it fits.
    pub fn find_resource(&self, scope: &Scope, uri: &str) -> Option<&Entry> {
        self.find(scope, Kind::Resources, uri).or_else(|| match scope {
            Scope::Federated => {
                let mut fitting =
                    self.places(Kind::Templates).iter().filter(|place| place.entry.fits(uri));
                let first = fitting.next()?;
                // One that is there, if any is.
                let best = if first.is_listed { None } else { fitting.find(|p| p.is_listed) };
                Some(&best.unwrap_or(first).entry)
            }
            Scope::Server(server) => {
                let mut own = self.servers.get(server)?.part.own(Kind::Templates).values();
                own.find(|entry| entry.fits(uri)).map(|entry| &**entry)
            }
        })
    }

    /// The server that a name belongs to which nobody is known to have, where that server isn't
    /// there: it may have it as soon as it is.
    pub fn absent(
        &self,
        scope: &Scope,
        kind: Kind,
        name: &str,
    ) -> Option<(&ServerName, &Standing)> {
        let mut down = self.servers.iter().filter(|(_, standing)| !standing.is_listed());
        match scope {
            Scope::Server(server) => down.find(|(name, _)| *name == server),
            Scope::Federated if matches!(kind, Kind::Tools | Kind::Prompts) => {
                down.find(|(server, standing)| standing.part.naming().claims(server, name))
            }
            Scope::Federated => None,
        }
    }

    /// The server that a tool's or prompt's name on the federated endpoint belongs to.
    pub fn claimed_by(&self, name: &str) -> Option<&ServerName> {
        let claims = |(server, s): &(&ServerName, &Standing)| s.part.naming().claims(server, name);
        self.servers.iter().find(claims).map(|(server, _)| server)
    }

    /// How a server stands.
    pub fn standing(&self, server: &str) -> Option<&Standing> {
        self.servers.get(server)
    }

    /// All names of a kind on the federated endpoint, those of servers that aren't there too.
    pub fn federated_names(&self, kind: Kind) -> impl Iterator<Item = &Arc<str>> {
        self.places(kind).iter().map(|place| &place.name)
    }

    fn places(&self, kind: Kind) -> &[Place] {
        self.federated.get(&kind).map_or(&[], Vec::as_slice)
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
        Ok(match scope {
            Scope::Federated => {
                let places = self.places(kind);
                let before =
                    |place: &Place| after.as_deref().is_some_and(|after| &*place.name <= after);
                let rest = places.get(places.partition_point(before)..).unwrap_or_default();
                let listed = rest.iter().filter(|place| place.is_listed);
                page(listed.map(|place| (&place.name, &*place.entry)), size)
            }
            Scope::Server(server) => {
                let start = after.as_deref().map_or(Unbounded, Excluded);
                let listed = self.servers.get(server).filter(|standing| standing.is_listed());
                let own = listed.map(|standing| standing.part.own(kind)).into_iter();
                let rest = own.flat_map(|all| all.range::<str, _>((start, Unbounded)));
                page(rest.map(|(name, entry)| (name, &**entry)), size)
            }
        })
    }
}

/// What the federated endpoint shows of a kind. Of entries with the same name, the first that is
/// there stays, else the first.
fn federated(servers: &BTreeMap<ServerName, Standing>, kind: Kind) -> Vec<Place> {
    let mut places = Vec::new();
    for standing in servers.values() {
        let is_listed = standing.is_listed();
        places.extend(standing.part.federated(kind).iter().map(|(name, entry)| Place {
            name: Arc::clone(name),
            entry: Arc::clone(entry),
            is_listed,
        }));
    }
    // Stable, and quick where runs are in order already.
    places.sort_by(|a, b| a.name.cmp(&b.name).then(b.is_listed.cmp(&a.is_listed)));
    places.dedup_by(|later, first| later.name == first.name);
    places
}

fn page<'a>(entries: impl Iterator<Item = (&'a Arc<str>, &'a Entry)>, size: usize) -> Page<'a> {
    let mut rest = entries.peekable();
    let (mut items, mut last) = (Vec::new(), None);
    while let Some((name, entry)) = rest.next_if(|_| items.len() < size) {
        items.push(entry.definition());
        last = Some(name);
    }
    let next_cursor = rest.peek().and(last).map(|name| encode_cursor(name));
    Page { items, next_cursor }
}

/// The instructions of all servers that are there, each under its server's name.
fn joined(servers: &BTreeMap<ServerName, Standing>) -> Option<String> {
    let listed = servers.iter().filter(|(_, standing)| standing.is_listed());
    let all: Vec<_> = listed
        .filter_map(|(server, standing)| Some((server, standing.part.instructions()?)))
        .collect();
    match (all.as_slice(), servers.len()) {
        ([], _) => None,
        ([(_, text)], 1) => Some((*text).to_owned()),
        (all, _) => {
            let told = all.iter().map(|(server, text)| format!("# {server}\n\n{}", text.trim()));
            Some(told.collect::<Vec<_>>().join("\n\n"))
        }
    }
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

    /// What the federated endpoint and one server's own show of tools, and whether `name` is found.
    fn shown(catalogue: &Catalogue, server: &str) -> (Vec<String>, Vec<String>) {
        let page = |scope: &Scope| names(&catalogue.page(scope, Kind::Tools, None, 10).unwrap());
        (page(&Scope::Federated), page(&Scope::Server(server.into())))
    }

    #[test]
    fn what_is_down_is_found_but_not_listed() {
        let mut servers = catalogue().servers;
        let down = Availability::Down { state: "restarting", cause: "it crashed".into() };
        servers.get_mut("a").unwrap().availability = down.clone();
        let catalogue = Catalogue::of(servers);
        let (all, own) = shown(&catalogue, "a");
        assert_eq!((all, own), (vec![r#"{"name":"b__x"}"#.to_owned()], vec![]));
        let (federated, a) = (Scope::Federated, Scope::Server("a".into()));
        assert!(catalogue.serves(&a) && catalogue.find(&a, Kind::Tools, "x").is_some());
        assert!(catalogue.find(&federated, Kind::Tools, "a__x").is_some());
        let table = [
            (&federated, Kind::Tools, "a__new", true),
            (&federated, Kind::Prompts, "a__new", true),
            (&federated, Kind::Tools, "a__", false),
            (&federated, Kind::Tools, "b__new", false),
            (&federated, Kind::Resources, "a__new", false),
            (&a, Kind::Tools, "new", true),
            (&a, Kind::Resources, "x://new", true),
        ];
        for (scope, kind, name, is_down) in table {
            let absent = catalogue.absent(scope, kind, name);
            let found = absent.map(|(server, standing)| (&**server, &standing.availability));
            assert_eq!(found, is_down.then_some(("a", &down)), "{name}");
        }
    }

    #[test]
    fn of_two_owners_the_one_that_is_there_is_asked() {
        let resource = |text: &str| Definition {
            name: text.to_owned(),
            members: ResultObject::of(&serde_json::json!({ "uri": text })).unwrap(),
        };
        let offer = Offer {
            resources: vec![resource("x://1")],
            templates: vec![resource("x://t/{id}")],
            ..Offer::default()
        };
        let (a, b): (ServerName, ServerName) = ("a".into(), "b".into());
        let mut servers = Catalogue::build([(&a, &offer), (&b, &offer)]).unwrap().servers;
        let owner = |catalogue: &Catalogue, uri| {
            let found = catalogue.find_resource(&Scope::Federated, uri).unwrap();
            found.server.to_string()
        };
        let catalogue = Catalogue::of(servers.clone());
        assert_eq!(
            (owner(&catalogue, "x://1"), owner(&catalogue, "x://t/9")),
            ("a".into(), "a".into())
        );
        let down = Availability::Down { state: "quarantined", cause: "".into() };
        servers.get_mut("a").unwrap().availability = down.clone();
        let catalogue = Catalogue::of(servers.clone());
        assert_eq!(
            (owner(&catalogue, "x://1"), owner(&catalogue, "x://t/9")),
            ("b".into(), "b".into())
        );
        servers.get_mut("b").unwrap().availability = down;
        let catalogue = Catalogue::of(servers);
        assert_eq!(
            (owner(&catalogue, "x://1"), owner(&catalogue, "x://t/9")),
            ("a".into(), "a".into())
        );
    }

    #[test]
    fn instructions_stand_under_the_names_of_their_servers() {
        let offer = |text: &str| Offer { instructions: Some(text.into()), ..Offer::default() };
        let (a, b): (ServerName, ServerName) = ("a".into(), "b".into());
        let one = Catalogue::build([(&a, &offer("Be kind."))]).unwrap();
        assert_eq!(one.instructions(&Scope::Federated), Some("Be kind."));
        let two =
            Catalogue::build([(&a, &offer("Be kind.\n")), (&b, &offer("Be quick."))]).unwrap();
        let joined = "# a\n\nBe kind.\n\n# b\n\nBe quick.";
        assert_eq!(two.instructions(&Scope::Federated), Some(joined));
        assert_eq!(two.instructions(&Scope::Server(b)), Some("Be quick."));
    }

    #[test]
    fn the_only_server_s_names_may_be_plain() {
        let members = ResultObject::of(&serde_json::json!({ "name": "x" })).unwrap();
        let tools = vec![Definition { name: "x".into(), members }];
        let offer = Offer { tools, ..Offer::default() };
        let server: ServerName = "a".into();
        let part = Arc::new(Part::new(&server, &offer, Naming::Plain).unwrap());
        let standing = Standing { part, availability: Availability::There };
        let catalogue = Catalogue::of(BTreeMap::from([(server, standing)]));
        let plain = vec![r#"{"name":"x"}"#.to_owned()];
        assert_eq!(shown(&catalogue, "a"), (plain.clone(), plain));
    }

    /// With each server that comes, a snapshot of all is made.
    #[test]
    fn many_servers_come_one_by_one() {
        let members = ResultObject::of(&serde_json::json!({ "description": "d" })).unwrap();
        let tool =
            |number: i32| Definition { name: format!("tool{number}"), members: members.clone() };
        let offer = Offer { tools: (0..50).map(tool).collect(), ..Offer::default() };
        let mut servers = BTreeMap::new();
        for number in 0..200 {
            let server: ServerName = format!("server{number}").into();
            let part = Arc::new(Part::new(&server, &offer, Naming::default()).unwrap());
            let standing = Standing { part, availability: Availability::There };
            servers.insert(server, standing);
            let catalogue = Catalogue::of(servers.clone());
            assert_eq!(catalogue.federated_names(Kind::Tools).count(), (number + 1) * 50);
        }
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
