//! Where a server is: a command to run, or a URL.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue, Uri};

use super::dotenv;
use super::fields::{At, Reader};
use super::keys::{self, plain};
use super::notes::Place;
use super::variables::secret_of;
use crate::provider::upstream::Target;
use crate::provider::upstream::spec::{Command, HttpTarget, HttpTransport, UpstreamAuth};
use crate::secret::Secret;

/// Keys that make sense for a command alone, and for a URL alone.
const FOR_COMMANDS: [&str; 5] = ["args", "env", "env_vars", "env_file", "cwd"];
const FOR_URLS: [&str; 6] = [
    "headers",
    "env_http_headers",
    "bearer_token",
    "bearer_token_env_var",
    "bearer_token_file",
    "oauth",
];

/// Headers that each request has from the node, or from HTTP itself.
const OF_THE_NODE: [&str; 11] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "transfer-encoding",
];

/// The transports, as clients name them.
#[derive(Clone, Copy, PartialEq)]
enum Transport {
    Stdio,
    Http(HttpTransport),
}

/// Where the server is; `None` where nothing can be made of it.
pub(super) fn target(reader: &mut Reader<'_>) -> Option<Target> {
    let transport = transport(reader);
    let named = reader.has("command") || reader.has("url");
    match (reader.path("command"), reader.text("url")) {
        (Some(command), Some(_)) => {
            reader.notes.problem(&command.place, "stands beside url; give one of them");
            None
        }
        (None, None) => {
            let place = reader.place.clone();
            if !named {
                reader.notes.problem(&place, "has neither command nor url; give one of them");
            }
            None
        }
        (Some(program), None) => {
            if let Some(At { value: Transport::Http(_), place }) = transport {
                reader.notes.problem(&place, "needs a url, and there is a command");
            }
            reader.without_effect(&FOR_URLS, "has no effect: the server is run by its command");
            Some(Target::Stdio(command(reader, program.value)))
        }
        (None, Some(url)) => {
            let transport = match transport {
                Some(At { value: Transport::Stdio, place }) => {
                    reader.notes.problem(&place, "needs a command, and there is a url");
                    HttpTransport::Auto
                }
                Some(At { value: Transport::Http(transport), .. }) => transport,
                None => HttpTransport::Auto,
            };
            reader.without_effect(&FOR_COMMANDS, "has no effect: the server is reached by its url");
            Some(Target::Http(http_target(reader, url, transport)))
        }
    }
}

fn transport(reader: &mut Reader<'_>) -> Option<At<Transport>> {
    let At { value, place } = reader.text("type")?;
    let value = match plain(&value).as_str() {
        "stdio" => Transport::Stdio,
        // What clients call so falls back to HTTP+SSE at some, and the node does it for all.
        "http" => Transport::Http(HttpTransport::Auto),
        "streamablehttp" => Transport::Http(HttpTransport::Streamable),
        "sse" => Transport::Http(HttpTransport::Sse),
        _ => {
            let what = "must be one of \"stdio\", \"http\", \"streamable-http\", \"sse\"";
            reader.notes.problem(&place, what);
            return None;
        }
    };
    Some(At { value, place })
}

fn command(reader: &mut Reader<'_>, program: String) -> Command {
    let args = reader.texts("args").map(|args| args.value).unwrap_or_default();
    let mut env = passed_on(reader);
    env.extend(env_file(reader));
    for (name, At { value, place }) in reader.table("env") {
        if name.is_empty() || name.contains(['=', '\0']) {
            reader.notes.problem(&place, "can't be the name of a variable");
        }
        env.insert(name, Secret::from(value.as_str()));
    }
    Command { program, args, env, cwd: reader.path("cwd").map(|cwd| PathBuf::from(cwd.value)) }
}

/// Variables of the node's own that the child gets, where they are set, as Codex does it.
fn passed_on(reader: &mut Reader<'_>) -> BTreeMap<String, Secret> {
    let names = reader.texts("env_vars").map(|names| names.value).unwrap_or_default();
    let pass =
        |name: String| reader.variables.get(&name).map(Secret::from).map(|value| (name, value));
    names.into_iter().filter_map(pass).collect()
}

fn env_file(reader: &mut Reader<'_>) -> BTreeMap<String, Secret> {
    let Some(At { value: path, place }) = reader.path("env_file") else { return BTreeMap::new() };
    match std::fs::read_to_string(&path).map(|text| dotenv::parse(&text)) {
        Ok(Ok(variables)) => {
            let secret = |(name, value): (String, String)| (name, Secret::from(value.as_str()));
            return variables.into_iter().map(secret).collect();
        }
        Ok(Err(lines)) => {
            for line in lines {
                reader.notes.problem(&place, format!("line {line} of {path} is no NAME=VALUE"));
            }
        }
        Err(error) => missing(reader, &place, format!("{path} can't be read: {error}")),
    }
    BTreeMap::new()
}

/// Something around the node isn't there. For a server that isn't started that is no fault.
fn missing(reader: &mut Reader<'_>, place: &Place, what: String) {
    if reader.lenient {
        reader.notes.warning(place, what);
    } else {
        reader.notes.problem(place, what);
    }
}

fn http_target(reader: &mut Reader<'_>, url: At<String>, transport: HttpTransport) -> HttpTarget {
    let At { value: url, place } = url;
    // A variable that isn't set is told already.
    if !url.contains("${") && !is_http(&url) {
        let what = "must be an address with a host, such as https://example.com/mcp";
        reader.notes.problem(&place, what);
    }
    let mut headers = headers(reader);
    let (bearer, token_file) = (bearer(reader), reader.path("bearer_token_file"));
    let oauth = oauth(reader);
    let ways = [
        headers.get("authorization").map(|(_, place)| place.clone()),
        bearer.as_ref().map(|bearer| bearer.place.clone()),
        token_file.as_ref().map(|file| file.place.clone()),
        oauth.as_ref().map(|oauth| oauth.place.clone()),
    ];
    for place in ways.into_iter().flatten().skip(1) {
        let what = "is a second way to say who the node is; give one of them";
        reader.notes.problem(&place, what);
    }
    if let Some(At { value, place }) = bearer {
        headers.insert("authorization".to_owned(), (format!("Bearer {value}"), place));
    }
    let auth = match (token_file, oauth) {
        (Some(At { value: path, place }), _) => {
            if let Err(what) = secret_of(&path) {
                // It is read when it is needed, and may be there by then.
                reader.notes.warning(&place, what);
            }
            Some(UpstreamAuth::TokenFile(path.into()))
        }
        (None, oauth) => oauth.map(|oauth| oauth.value),
    };
    let secret =
        |(name, (value, _)): (String, (String, Place))| (name, Secret::from(value.as_str()));
    HttpTarget { url, transport, headers: headers.into_iter().map(secret).collect(), auth }
}

fn is_http(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        let host = uri.host().is_some_and(|host| !host.is_empty());
        host && matches!(uri.scheme_str(), Some("http" | "https"))
    })
}

/// The headers, by their names in small letters.
fn headers(reader: &mut Reader<'_>) -> BTreeMap<String, (String, Place)> {
    let mut given = reader.table("headers");
    for (name, At { value: variable, place }) in reader.table("env_http_headers") {
        match reader.variables.get(&variable).map(str::to_owned) {
            Some(value) => given.push((name, At { value, place })),
            None => {
                let what = format!("the environment variable {variable} is not set");
                missing(reader, &place, what);
            }
        }
    }
    let mut headers = BTreeMap::new();
    for (name, At { value, place }) in given {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            reader.notes.problem(&place, "can't be the name of a header");
            continue;
        };
        if OF_THE_NODE.contains(&name.as_str()) {
            reader.notes.warning(&place, "is set by the node itself, and left out");
        } else if HeaderValue::from_str(&value).is_err() {
            reader.notes.problem(&place, "can't be the value of a header");
        } else if headers.contains_key(name.as_str()) {
            reader.notes.problem(&place, "is given twice: case makes no difference");
        } else {
            headers.insert(name.as_str().to_owned(), (value, place));
        }
    }
    headers
}

/// A token that is given here, or in a variable.
fn bearer(reader: &mut Reader<'_>) -> Option<At<String>> {
    let written = reader.secret("bearer_token");
    let named = reader.text("bearer_token_env_var").and_then(|At { value: variable, place }| {
        let value = reader.variables.get(&variable).filter(|value| !value.is_empty());
        match value.map(str::to_owned) {
            Some(value) => Some(At { value, place }),
            None => {
                let what = format!("the environment variable {variable} is not set");
                missing(reader, &place, what);
                None
            }
        }
    });
    if let (Some(_), Some(At { place, .. })) = (&written, &named) {
        reader.notes.problem(place, "says the same as bearer_token; give one of them");
    }
    let token = written.or(named)?;
    if HeaderValue::from_str(&token.value).is_err() {
        reader.notes.problem(&token.place, "can't be the value of a header");
    }
    Some(token)
}

fn oauth(reader: &mut Reader<'_>) -> Option<At<UpstreamAuth>> {
    let mut oauth = reader.object("oauth", keys::OAUTH)?;
    let id = oauth.text("client_id");
    let (secret, file) = (oauth.secret("client_secret"), oauth.path("client_secret_file"));
    let scopes = if oauth.is_list("scopes") {
        oauth.texts("scopes").map(|scopes| scopes.value)
    } else {
        let scopes = oauth.text("scopes");
        scopes.map(|scopes| scopes.value.split_whitespace().map(str::to_owned).collect())
    };
    let secret = match (secret, file) {
        (Some(_), Some(At { place, .. })) => {
            oauth.notes.problem(&place, "stands beside client_secret; give one of them");
            None
        }
        (Some(secret), None) => Some(secret.value),
        (None, Some(At { value: path, place })) => match secret_of(&path) {
            Ok(secret) => Some(secret),
            Err(what) => {
                missing(&mut oauth, &place, what);
                Some(String::new())
            }
        },
        (None, None) => None,
    };
    let place = oauth.place.clone();
    let auth = match (id, secret) {
        (Some(id), Some(secret)) => Some(UpstreamAuth::ClientCredentials {
            client_id: id.value,
            client_secret: Secret::from(secret.as_str()),
            scopes: scopes.unwrap_or_default(),
        }),
        _ if place.source.own => {
            oauth.notes.problem(&place, "needs client_id, and client_secret or client_secret_file");
            None
        }
        _ => {
            let what = "lets a user log in, which a node can't; give client_id and client_secret, \
                        bearer_token_file or headers";
            oauth.notes.warning(&place, what);
            None
        }
    };
    oauth.finish();
    auth.map(|value| At { value, place })
}
