//! What of an upstream's offer may stand in the catalogue. Pure.
//!
//! A server behind the node is somebody else's: a name that no client takes, a schema that sends
//! clients to the network or a definition of a megabyte is left out, and the rest of its server
//! goes on. What was left out, and why, is kept for whoever asks.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::mirror::{self, DATA};
use super::{Definition, Naming, Offer};
use crate::protocol::Kind;

/// Longest name of a tool on the federated endpoint (2025-11-25, "tool names").
const NAME_CHARS: usize = 128;
/// Largest definition. Real ones have a few KiB, and every client reads all of them.
const DEFINITION_BYTES: usize = 256 * 1024;
/// Longest instructions, which are read by every client too.
const INSTRUCTIONS_BYTES: usize = 64 * 1024;
/// Most entries of one list.
const ENTRIES: usize = 10_000;
/// How much of a refused name is kept.
const SHOWN_CHARS: usize = 160;
/// Dialects of JSON Schema that everybody knows without the network.
const DIALECTS: [&str; 2] = ["http://json-schema.org/", "https://json-schema.org/"];

/// By which rules an offer is vetted.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The server's name.
    pub server: &'a str,
    /// How its tools are called on the federated endpoint.
    pub naming: &'a Naming,
    /// Only tools that fit one of these patterns, where there are any.
    pub allow: &'a [String],
    /// No tools that fit one of these, whatever is allowed.
    pub deny: &'a [String],
}

/// A definition that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// In which list it stood.
    pub kind: Kind,
    /// Its server's own name for it, cut where it is too long.
    pub name: String,
    /// Why.
    pub why: Refusal,
}

/// Why a definition is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The configuration doesn't allow it.
    Denied,
    /// It has no name.
    Empty,
    /// Its name is too long, with the server's in front.
    TooLong {
        /// How long that is.
        chars: usize,
    },
    /// Its name has a character that names of tools don't have.
    BadCharacter(char),
    /// An earlier one has the same name.
    Duplicate,
    /// Its input is not described as an object, which every tool's has to be.
    NoObject,
    /// It wants arguments mirrored by headers in a way that no client may follow.
    BadHeader,
    /// Its schema refers to something that would have to be fetched.
    Remote(String),
    /// It is too large.
    TooLarge {
        /// How large.
        bytes: usize,
    },
    /// The list has too many entries.
    TooMany,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("denied by configuration"),
            Self::Empty => f.write_str("it has no name"),
            Self::TooLong { chars } => {
                write!(f, "its name has {chars} characters, over {NAME_CHARS}")
            }
            Self::BadCharacter(c) => {
                write!(f, "its name has {c:?}, and names have only A-Z a-z 0-9 _ . -")
            }
            Self::Duplicate => f.write_str("its server has another of this name"),
            // The official TypeScript SDK refuses the whole list then, and clients are built on it.
            Self::NoObject => f.write_str(
                "its inputSchema is no object with \"type\": \"object\", \
                 for which clients refuse the whole list",
            ),
            Self::BadHeader => f.write_str(
                "an x-mcp-header of its schema is not a token, there twice, or not on a property \
                 that is a string, an integer or a boolean",
            ),
            Self::Remote(reference) => {
                write!(f, "its schema refers to the network: {reference}")
            }
            Self::TooLarge { bytes } => {
                write!(f, "its definition has {bytes} bytes, over {DEFINITION_BYTES}")
            }
            Self::TooMany => write!(f, "its server has over {ENTRIES} of this kind"),
        }
    }
}

/// Divides an offer into what may stand in the catalogue, and what not.
pub fn vet(offer: &Offer, rules: Rules<'_>) -> (Offer, Vec<Refused>) {
    let mut refused = Vec::new();
    let mut kept = |kind: Kind| -> Vec<Definition> {
        let (mut kept, mut names) = (Vec::new(), BTreeSet::new());
        for definition in offer.list(kind) {
            let why = if kept.len() >= ENTRIES {
                Some(Refusal::TooMany)
            } else {
                refusal(kind, definition, rules)
                    .or_else(|| (!names.insert(&definition.name)).then_some(Refusal::Duplicate))
            };
            match why {
                None => kept.push(definition.clone()),
                Some(why) => {
                    let name = definition.name.chars().take(SHOWN_CHARS).collect();
                    refused.push(Refused { kind, name, why });
                }
            }
        }
        kept
    };
    let vetted = Offer {
        tools: kept(Kind::Tools),
        prompts: kept(Kind::Prompts),
        resources: kept(Kind::Resources),
        templates: kept(Kind::Templates),
        instructions: offer.instructions.as_deref().map(|text| {
            let end = text.floor_char_boundary(INSTRUCTIONS_BYTES);
            text.get(..end).unwrap_or_default().to_owned()
        }),
    };
    (vetted, refused)
}

fn refusal(kind: Kind, definition: &Definition, rules: Rules<'_>) -> Option<Refusal> {
    let name = &definition.name;
    if name.is_empty() {
        return Some(Refusal::Empty);
    }
    if kind == Kind::Tools {
        if !is_allowed(name, rules.allow, rules.deny) {
            return Some(Refusal::Denied);
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if let Some(bad) = name.chars().find(|c| !legal(*c)) {
            return Some(Refusal::BadCharacter(bad));
        }
        let chars = rules.naming.federated(rules.server, kind, name).chars().count();
        if chars > NAME_CHARS {
            return Some(Refusal::TooLong { chars });
        }
    }
    let bytes = serde_json::to_string(&definition.members).map_or(usize::MAX, |text| text.len());
    if bytes > DEFINITION_BYTES {
        return Some(Refusal::TooLarge { bytes });
    }
    if kind != Kind::Tools {
        return None;
    }
    let schema = |member| serde_json::from_str::<Value>(definition.members.get(member)?).ok();
    let (input, output) = (schema("inputSchema"), schema("outputSchema"));
    if input.as_ref().and_then(|input| input.get("type")) != Some(&Value::from("object")) {
        return Some(Refusal::NoObject);
    }
    if input.as_ref().is_some_and(|input| !mirror::are_valid(input)) {
        return Some(Refusal::BadHeader);
    }
    input.iter().chain(&output).find_map(remote).map(Refusal::Remote)
}

/// Whether the configuration lets a tool through.
pub fn is_allowed(name: &str, allow: &[String], deny: &[String]) -> bool {
    let fits = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, name));
    (allow.is_empty() || fits(allow)) && !fits(deny)
}

/// Whether a name fits a pattern in which `*` stands for anything.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        // The earliest place leaves most to the parts behind it.
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A reference of a schema to something outside of it.
fn remote(schema: &Value) -> Option<String> {
    match schema {
        Value::Array(all) => all.iter().find_map(remote),
        Value::Object(members) => members.iter().find_map(|(key, value)| match (&**key, value) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(to)) => {
                (!to.starts_with('#')).then(|| shown(to))
            }
            ("$schema", Value::String(dialect)) => {
                let known = DIALECTS.iter().any(|known| dialect.starts_with(known));
                (!known).then(|| shown(dialect))
            }
            (key, _) if DATA.contains(&key) => None,
            (_, value) => remote(value),
        }),
        _ => None,
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::protocol::ResultObject;

    fn tool(name: &str, mut schema: Value) -> Definition {
        if schema.is_object() {
            schema["type"] = json!("object");
        }
        let members = json!({ "name": name, "inputSchema": schema });
        Definition { name: name.to_owned(), members: ResultObject::of(&members).unwrap() }
    }

    fn refusals(tools: Vec<Definition>, allow: &[&str], deny: &[&str]) -> Vec<Option<Refusal>> {
        let patterns = |all: &[&str]| all.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        let (allow, deny) = (patterns(allow), patterns(deny));
        let rules = Rules { server: "s", naming: &Naming::default(), allow: &allow, deny: &deny };
        let all = tools.len();
        let names: Vec<_> = tools.iter().map(|tool| tool.name.clone()).collect();
        let (kept, refused) = vet(&Offer { tools, ..Offer::default() }, rules);
        assert_eq!(kept.tools.len() + refused.len(), all);
        let why = |name: &String| refused.iter().find(|r| r.name == *name).map(|r| r.why.clone());
        names.iter().map(why).collect()
    }

    #[test]
    fn names_are_those_that_clients_take() {
        let long = "x".repeat(126);
        let table = [
            ("search", None),
            ("Read.file-2_b", None),
            ("", Some(Refusal::Empty)),
            ("a b", Some(Refusal::BadCharacter(' '))),
            ("a/b", Some(Refusal::BadCharacter('/'))),
            ("größe", Some(Refusal::BadCharacter('ö'))),
            (&long, Some(Refusal::TooLong { chars: 129 })),
            (&long[..125], None),
        ];
        for (name, expected) in table {
            assert_eq!(refusals(vec![tool(name, json!({}))], &[], &[]), [expected], "{name}");
        }
        let twice = vec![tool("a", json!({})), tool("a", json!({ "properties": {} }))];
        assert_eq!(refusals(twice, &[], &[])[1], Some(Refusal::Duplicate));
    }

    #[test]
    fn schemas_stay_at_home() {
        let remote = |to: &str| Some(Refusal::Remote(to.to_owned()));
        let table = [
            (json!({ "$ref": "#/$defs/a" }), None),
            (json!({ "$schema": "https://json-schema.org/draft/2020-12/schema" }), None),
            (json!({ "$schema": "http://json-schema.org/draft-07/schema#" }), None),
            (json!({ "$schema": "https://evil.example/s" }), remote("https://evil.example/s")),
            (json!({ "properties": { "a": { "$ref": "http://a/b" } } }), remote("http://a/b")),
            (json!({ "anyOf": [{}, { "$ref": "other.json" }] }), remote("other.json")),
            (json!({ "properties": { "$ref": { "type": "string" } } }), None),
            (json!({ "default": { "$ref": "http://a/b" } }), None),
        ];
        for (schema, expected) in table {
            assert_eq!(refusals(vec![tool("a", schema.clone())], &[], &[]), [expected], "{schema}");
        }
    }

    #[test]
    fn inputs_are_objects() {
        for schema in [json!(null), json!("object"), json!(true), json!([])] {
            let why = refusals(vec![tool("a", schema.clone())], &[], &[]);
            assert_eq!(why, [Some(Refusal::NoObject)], "{schema}");
        }
        let without = ResultObject::of(&json!({ "name": "a" })).unwrap();
        let without = Definition { name: "a".to_owned(), members: without };
        assert_eq!(refusals(vec![without], &[], &[]), [Some(Refusal::NoObject)]);
        let header = json!({ "properties": { "a": { "type": "null", "x-mcp-header": "A" } } });
        assert_eq!(refusals(vec![tool("a", header)], &[], &[]), [Some(Refusal::BadHeader)]);
    }

    #[test]
    fn what_is_too_large_is_left_out() {
        let large = tool("a", json!({ "description": "x".repeat(DEFINITION_BYTES) }));
        let why = refusals(vec![large, tool("b", json!({}))], &[], &[]);
        assert!(matches!(why.as_slice(), [Some(Refusal::TooLarge { .. }), None]), "{why:?}");
    }

    #[test]
    fn the_configuration_allows_and_denies() {
        let names = ["read_file", "read_dir", "write_file", "delete"];
        let table: [(&[&str], &[&str], [bool; 4]); 5] = [
            (&[], &[], [true, true, true, true]),
            (&["read_*"], &[], [true, true, false, false]),
            (&[], &["*_file", "delete"], [false, true, false, false]),
            (&["*"], &["read_dir"], [true, false, true, true]),
            (&["read_file"], &["read_file"], [false, false, false, false]),
        ];
        for (allow, deny, expected) in table {
            let tools = names.iter().map(|name| tool(name, json!({}))).collect();
            let why = refusals(tools, allow, deny);
            let expected = expected.map(|there| (!there).then_some(Refusal::Denied));
            assert_eq!(why, expected, "{allow:?} {deny:?}");
        }
    }

    #[test]
    fn patterns_fit() {
        let table = [
            ("a", "a", true),
            ("a", "ab", false),
            ("a", "ba", false),
            ("*", "", true),
            ("**", "x", true),
            ("a*", "a", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*ab", "aab", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, name, fits) in table {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_made_of_a_name_fits_it(parts in prop::collection::vec("[ab]{0,3}", 1..5)) {
            prop_assert!(matches(&parts.join("*"), &parts.join("ba")));
            prop_assert!(matches(&parts.join("*"), &parts.concat()));
        }
    }
}
