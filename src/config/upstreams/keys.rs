//! The keys of a server: ours, the names that clients have for them, and those that only concern a
//! client. Case, `_` and `-` make no difference, so that `envFile` is `env_file`.

use config::{Value, ValueKind};

/// A key that the node reads.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Our name.
    pub(super) name: &'static str,
    /// The names that clients have for it.
    aliases: &'static [&'static str],
    /// What its value is.
    kind: Kind,
}

/// What a key's value is, which decides how a variable's text is read.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Number,
    Flag,
    List,
    Table,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, aliases: &[], kind }
}

const fn aliased(name: &'static str, kind: Kind, aliases: &'static [&'static str]) -> Key {
    Key { name, aliases, kind }
}

/// The keys of a server.
pub(super) const SERVER: &[Key] = &[
    key("command", Kind::Text),
    key("args", Kind::List),
    key("env", Kind::Table),
    key("env_vars", Kind::List),
    key("env_file", Kind::Text),
    key("cwd", Kind::Text),
    aliased("url", Kind::Text, &["server_url", "http_url"]),
    aliased("headers", Kind::Table, &["http_headers"]),
    key("env_http_headers", Kind::Table),
    aliased("type", Kind::Text, &["transport", "transport_type"]),
    key("bearer_token", Kind::Text),
    key("bearer_token_env_var", Kind::Text),
    key("bearer_token_file", Kind::Text),
    key("oauth", Kind::Table),
    key("enabled", Kind::Flag),
    key("disabled", Kind::Flag),
    key("restart", Kind::Text),
    key("max_restarts", Kind::Number),
    key("window_s", Kind::Number),
    key("shutdown_ms", Kind::Number),
    aliased("start_timeout_ms", Kind::Number, &["startup_timeout_ms"]),
    key("startup_timeout_sec", Kind::Number),
    key("timeout_ms", Kind::Number),
    key("tool_timeout_sec", Kind::Number),
    key("idle_timeout_s", Kind::Number),
    key("share", Kind::Text),
    key("instances", Kind::Number),
    key("tools", Kind::Table),
    aliased("enabled_tools", Kind::List, &["include_tools"]),
    aliased("disabled_tools", Kind::List, &["exclude_tools"]),
    key("replay", Kind::Text),
];

/// The keys of `oauth`.
pub(super) const OAUTH: &[Key] = &[
    key("client_id", Kind::Text),
    key("client_secret", Kind::Text),
    key("client_secret_file", Kind::Text),
    aliased("scopes", Kind::List, &["scope"]),
];

/// The keys of `tools`.
pub(super) const TOOLS: &[Key] = &[key("allow", Kind::List), key("deny", Kind::List)];

/// Keys by which clients rule their own windows, prompts and stores. They say nothing to a node.
const CLIENTS_ALONE: &[&str] = &[
    "always_allow",
    "always_load",
    "audiences",
    "auth_server_metadata_url",
    "auto_approve",
    "callback_port",
    "default_tools_approval_mode",
    "description",
    "dev",
    "disabled_reason",
    "display_name",
    "experimental_environment",
    "extension_name",
    "gallery",
    "icon",
    "icons",
    "logo_url",
    "metadata",
    "name",
    "oauth_resource",
    "oauth_scopes",
    "provider",
    "provider_url",
    "redirect_uri",
    "registration_url",
    "required",
    "resource",
    "scopes",
    "source",
    "supports_parallel_tool_calls",
    "tags",
    "title",
    "token_param_name",
    "trust",
    "version",
    "watch_paths",
];

/// Keys of clients without which a server is not what its file says, and what to do about each.
const LOST: &[(&str, &str)] = &[
    ("timeout", "means seconds in some clients and milliseconds in others; give timeout_ms"),
    ("sandbox", "isn't applied: the server runs without a sandbox"),
    ("sandbox_enabled", "isn't applied: the server runs without a sandbox"),
    (
        "auth",
        "lets a user log in, which a node can't; give oauth with a client's credentials, \
         bearer_token_file or headers",
    ),
    ("auth_provider_type", "isn't known here; give bearer_token_file, oauth or headers"),
    ("headers_helper", "isn't run; give bearer_token_file, oauth or headers"),
];

/// What a key is that no reader took.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It concerns a client alone.
    ClientsAlone,
    /// It is a client's, and its meaning is lost; with what to do.
    Lost(&'static str),
    /// It looks like a misspelt key of ours.
    Misspelt(&'static str),
    /// Nobody knows it.
    Strange,
}

/// A key without what makes no difference.
pub(super) fn plain(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Our name of a key, if it is one.
pub(super) fn known(keys: &'static [Key], key: &str) -> Option<&'static str> {
    let wanted = plain(key);
    keys.iter().find(|key| key.names().any(|name| plain(name) == wanted)).map(|key| key.name)
}

/// What a key is that isn't one of these.
pub(super) fn unknown(keys: &'static [Key], key: &str) -> Unknown {
    let wanted = plain(key);
    let same = |name: &str| plain(name) == wanted;
    if CLIENTS_ALONE.iter().any(|name| same(name)) {
        return Unknown::ClientsAlone;
    }
    if let Some((_, what)) = LOST.iter().find(|(name, _)| same(name)) {
        return Unknown::Lost(what);
    }
    let near = keys.iter().filter_map(|key| {
        let distance = key.names().map(|name| distance(&wanted, name)).min()?;
        Some((distance?, key.name))
    });
    near.min().map_or(Unknown::Strange, |(_, name)| Unknown::Misspelt(name))
}

/// How many slips make one of the other; `None` where nobody would take one for the other. A
/// missing unit is a slip, too.
fn distance(wanted: &str, name: &str) -> Option<usize> {
    let unitless = ["_ms", "_sec", "_s"].iter().find_map(|unit| name.strip_suffix(unit));
    if unitless.is_some_and(|name| plain(name) == wanted) {
        return Some(1);
    }
    let name = plain(name);
    let tolerated = if name.len() > 4 { 2 } else { 1 };
    Some(strsim::damerau_levenshtein(wanted, &name)).filter(|slips| *slips <= tolerated)
}

/// All names of these keys, for whoever has to choose one.
pub(super) fn listed(keys: &'static [Key]) -> String {
    keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")
}

impl Key {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// The text of a variable or a flag, as the kind of its key wants it. One that doesn't fit stays a
/// text, which is told later. `path` begins with the server's name.
pub(in super::super) fn value_of_text(path: &str, text: &str) -> ValueKind {
    let below = path.split_once('.').map_or("", |(_, key)| key);
    let mut parts = below.splitn(3, '.');
    let (key, nested) = (parts.next().unwrap_or_default(), parts.next());
    let kind = match (known(SERVER, key), nested) {
        (Some("tools"), Some(nested)) => kind_of(TOOLS, nested),
        (Some("oauth"), Some(nested)) => kind_of(OAUTH, nested),
        (_, Some(_)) => Kind::Text,
        (_, None) => kind_of(SERVER, key),
    };
    let read = match kind {
        Kind::Text => None,
        Kind::Number => text.parse().map(ValueKind::I64).ok(),
        Kind::Flag => text.parse().map(ValueKind::Boolean).ok(),
        Kind::List => Some(list_of(text)),
        Kind::Table => json_of(text),
    };
    read.unwrap_or_else(|| ValueKind::String(text.to_owned()))
}

fn kind_of(keys: &'static [Key], key: &str) -> Kind {
    let name = known(keys, key);
    keys.iter().find(|key| Some(key.name) == name).map_or(Kind::Text, |key| key.kind)
}

/// A JSON list, or items between commas.
fn list_of(text: &str) -> ValueKind {
    if let Some(list @ ValueKind::Array(_)) = json_of(text) {
        return list;
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    ValueKind::Array(items.map(Value::from).collect())
}

fn json_of(text: &str) -> Option<ValueKind> {
    serde_json::from_str::<Value>(text).ok().map(|value| value.kind)
}
