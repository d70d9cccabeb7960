//! The server: what each method does, in the era that it speaks.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::library;
use crate::outcome::Outcome;
use crate::output::Output;
use crate::questions::Questions;
use crate::tools;

/// The revision of each era.
const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// Entries of a page where lists come in pages.
const PAGE: usize = 3;

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: Value,
    pub(crate) method: String,
    pub(crate) params: Value,
    /// The whole message, as it came.
    pub(crate) line: String,
}

/// What all requests share.
pub(crate) struct Server {
    pub(crate) arguments: Arguments,
    pub(crate) output: Output,
    pub(crate) questions: Questions,
    /// How many requests were cancelled while they ran.
    pub(crate) cancelled: AtomicU64,
    /// Whether the tool that comes and goes is there.
    pub(crate) has_more: AtomicBool,
    /// How often the resource changed.
    pub(crate) edition: AtomicU64,
    ready: AtomicBool,
    watched: Mutex<Watched>,
}

/// What the client wants to hear of.
#[derive(Debug, Default)]
struct Watched {
    /// The lowest level of messages, as an index (2025-11-25).
    level: usize,
    /// URIs of resources (2025-11-25).
    uris: BTreeSet<String>,
    /// The requests that listen, with what they asked for (2026-07-28).
    listening: Vec<(Value, Value)>,
}

impl Server {
    pub(crate) fn new(arguments: Arguments) -> Self {
        Self {
            output: Output::new(arguments.noise),
            arguments,
            questions: Questions::default(),
            cancelled: AtomicU64::new(0),
            has_more: AtomicBool::new(false),
            edition: AtomicU64::new(1),
            ready: AtomicBool::new(false),
            watched: Mutex::default(),
        }
    }

    /// Does a request, and writes its answer.
    pub(crate) async fn answer(self: Arc<Self>, request: Request) {
        if self.arguments.never_answers_initialize {
            return;
        }
        let outcome = self.outcome(&request).await;
        self.respond(&request.id, outcome);
    }

    /// Writes an answer.
    pub(crate) fn respond(&self, id: &Value, outcome: Outcome) {
        let mut message = json!({ "jsonrpc": "2.0", "id": id });
        match outcome {
            Outcome::Result(result) => message["result"] = self.dressed(result),
            Outcome::Verbatim(text) => {
                return self
                    .output
                    .line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{text}}}"#));
            }
            Outcome::Error(code, text, data) => {
                message["error"] = json!({ "code": code, "message": text });
                if !data.is_null() {
                    message["error"]["data"] = data;
                }
            }
            Outcome::Silence => return,
        }
        self.output.message(&message);
    }

    /// A result of the modern era says of what type it is, and whose.
    fn dressed(&self, mut result: Value) -> Value {
        if self.arguments.modern {
            if result["resultType"].is_null() {
                result["resultType"] = json!("complete");
            }
            result["_meta"][SERVER_INFO] = info();
        }
        result
    }

    async fn outcome(&self, request: &Request) -> Outcome {
        match self.refusal(request) {
            Some(refusal) => refusal,
            None if self.arguments.modern => self.modern(request).await,
            None => self.legacy(request).await,
        }
    }

    /// What is wrong with a request of this era.
    fn refusal(&self, Request { method, params, .. }: &Request) -> Option<Outcome> {
        if !self.arguments.modern {
            let early = !matches!(method.as_str(), "initialize" | "ping" | "server/discover");
            let refused = early && !self.ready.load(Ordering::Relaxed);
            return refused.then(|| Outcome::error(-32600, "initialize first"));
        }
        let data = json!({ "supported": [MODERN], "requested": params["_meta"][VERSION] });
        match params["_meta"][VERSION].as_str() {
            Some(MODERN) => None,
            None if method != "initialize" => Some(Outcome::invalid("_meta tells no version")),
            _ => Some(Outcome::Error(-32022, "only 2026-07-28 is spoken here".to_owned(), data)),
        }
    }

    async fn modern(&self, request: &Request) -> Outcome {
        match request.method.as_str() {
            "server/discover" => Outcome::Result(json!({
                "supportedVersions": [MODERN], "capabilities": capabilities(),
                "instructions": "Call me names.", "ttlMs": 0, "cacheScope": "public",
            })),
            "subscriptions/listen" => {
                let asked = request.params["notifications"].clone();
                self.watched().listening.push((request.id.clone(), asked.clone()));
                let params =
                    json!({ "notifications": asked, "_meta": { SUBSCRIPTION: request.id } });
                self.notify("notifications/subscriptions/acknowledged", params);
                // It stays open until it is cancelled.
                std::future::pending().await
            }
            _ => self.either(request).await,
        }
    }

    async fn legacy(&self, request: &Request) -> Outcome {
        let uri = || request.params["uri"].as_str().unwrap_or_default().to_owned();
        match request.method.as_str() {
            "initialize" => {
                self.ready.store(true, Ordering::Relaxed);
                return Outcome::Result(json!({
                    "protocolVersion": LEGACY, "capabilities": capabilities(),
                    "serverInfo": info(), "instructions": "Call me names.",
                }));
            }
            "ping" => {}
            "logging/setLevel" => match level(&request.params["level"]) {
                Some(level) => self.watched().level = level,
                None => return Outcome::invalid("there is no such level"),
            },
            "resources/subscribe" => _ = self.watched().uris.insert(uri()),
            "resources/unsubscribe" => _ = self.watched().uris.remove(&uri()),
            _ => return self.either(request).await,
        }
        Outcome::Result(json!({}))
    }

    /// What both eras have.
    async fn either(&self, request: &Request) -> Outcome {
        let params = &request.params;
        match request.method.as_str() {
            "tools/list" => self.page("tools", tools::definitions(self), params),
            "tools/call" => tools::call(self, request).await,
            "resources/list" => self.page("resources", library::resources(), params),
            "resources/templates/list" => {
                self.page("resourceTemplates", library::templates(), params)
            }
            "resources/read" => library::read(self, params),
            "prompts/list" => self.page("prompts", library::prompts(), params),
            "prompts/get" => library::prompt(params),
            "completion/complete" => library::complete(params),
            method => Outcome::unknown(method),
        }
    }

    /// A list, or the page of it that the cursor tells.
    fn page(&self, member: &str, all: Vec<Value>, params: &Value) -> Outcome {
        let size = if self.arguments.paged { PAGE } else { usize::MAX };
        let cursor = params["cursor"].as_str().map_or(Ok(0), str::parse::<usize>);
        let Ok(begin) = cursor else { return Outcome::invalid("there is no such cursor") };
        let end = begin.saturating_add(size);
        let mut list = json!({});
        if end < all.len() {
            list["nextCursor"] = json!(end.to_string());
        }
        if self.arguments.modern {
            (list["ttlMs"], list["cacheScope"]) = (json!(0), json!("public"));
        }
        list[member] = all.into_iter().skip(begin).take(size).collect();
        Outcome::Result(list)
    }

    pub(crate) fn notify(&self, method: &str, params: Value) {
        self.output.message(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Tells that the list of tools is another one, where somebody asked for that.
    pub(crate) fn tell_tools_changed(&self) {
        self.tell("notifications/tools/list_changed", &json!({}), |asked| {
            asked["toolsListChanged"] == true
        });
    }

    /// Tells that a resource is another one, where somebody watches it.
    pub(crate) fn tell_updated(&self, uri: &str) {
        if self.arguments.modern || self.watched().uris.contains(uri) {
            self.tell("notifications/resources/updated", &json!({ "uri": uri }), |asked| {
                let uris = asked["resourceSubscriptions"].as_array();
                uris.is_some_and(|uris| uris.iter().any(|asked| asked == uri))
            });
        }
    }

    fn tell(&self, method: &str, params: &Value, is_asked_for: impl Fn(&Value) -> bool) {
        if !self.arguments.modern {
            return self.notify(method, params.clone());
        }
        for (id, asked) in &self.watched().listening {
            if is_asked_for(asked) {
                let mut params = params.clone();
                params["_meta"][SUBSCRIPTION] = id.clone();
                self.notify(method, params);
            }
        }
    }

    /// Whether a message of this level is wanted.
    pub(crate) fn logs(&self, wanted: &str, request: &Request) -> bool {
        let lowest = if self.arguments.modern {
            level(&request.params["_meta"]["io.modelcontextprotocol/logLevel"])
        } else {
            Some(self.watched().level)
        };
        let wanted = LEVELS.iter().position(|level| *level == wanted);
        lowest.is_some_and(|lowest| wanted >= Some(lowest))
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn level(name: &Value) -> Option<usize> {
    LEVELS.iter().position(|level| name == level)
}

fn info() -> Value {
    json!({ "name": "unruly", "version": "1.0.0" })
}

fn capabilities() -> Value {
    json!({
        "tools": { "listChanged": true },
        "resources": { "subscribe": true },
        "prompts": {},
        "completions": {},
        "logging": {},
    })
}
