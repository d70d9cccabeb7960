//! Upstreams without processes, for the tests of their supervision: servers of the session era that
//! live in the test, do as they are told, and remember what they were asked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use supervisors::{ChildSpec, Root, Strategy, Supervisor, SupervisorRef};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::open::{Open, Opened, Opening};
use super::{Pace, Shared, Specs, State, Upstreams};
use crate::catalogue::{Naming, Scope, ServerName};
use crate::protocol::call::ToolCall;
use crate::protocol::envelope::decode;
use crate::protocol::{Kind, Limits, Operation, ResultObject, Revision, RpcError};
use crate::provider::upstream::spec::{Command, Target, UpstreamSpec};
use crate::provider::upstream::wire::Why;
use crate::provider::upstream::{Closing, Inbox, Order, Parked, Wire};
use crate::provider::{CallContext, CallError, ProviderCall, Side, Who};
use crate::registry::{self, Published, Registry};
use crate::telemetry::Metrics;

/// How the next instances of a server behave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mood {
    /// They serve.
    #[default]
    Kind,
    /// They can't be started.
    Missing,
    /// They end at once.
    Dying,
    /// They answer nothing.
    Mute,
}

/// All servers of a test. Each is called by its command.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) mood: Mutex<Mood>,
    pub(super) instances: Mutex<Vec<Arc<Instance>>>,
    /// How long a handshake takes.
    pub(super) handshake: Mutex<Duration>,
    tools: Mutex<Vec<&'static str>>,
    starting: AtomicUsize,
    pub(super) most_starting: AtomicUsize,
}

/// One instance.
pub(super) struct Instance {
    pub(super) server: String,
    inbox: Arc<dyn Inbox>,
    end: Mutex<Option<oneshot::Sender<Closing>>>,
    pub(super) is_mute: AtomicBool,
    /// The methods that it was asked, and the names and URIs in them.
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) is_gone: Arc<AtomicBool>,
}

/// Tells when the work of a wire is dropped or over.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Instance {
    pub(super) fn end(&self, why: Why, cause: &str) {
        if let Some(end) = self.end.lock().unwrap().take() {
            let _ = end.send(Closing { why, cause: cause.to_owned() });
        }
    }

    pub(super) fn say(&self, message: &Value) {
        let message = decode(message.to_string().as_bytes(), Limits::default()).unwrap();
        self.inbox.message(message, None);
    }

    pub(super) fn runs(&self) -> bool {
        !self.is_gone.load(Ordering::SeqCst)
    }

    pub(super) fn was_asked(&self, what: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked == what)
    }

    fn heard(&self, text: &[u8], tools: &[&str]) {
        let message: Value = serde_json::from_slice(text).unwrap();
        let method = message["method"].as_str().unwrap_or_default();
        let params = &message["params"];
        let about = [&params["name"], &params["uri"]].into_iter().find_map(Value::as_str);
        let asked = format!("{method} {}", about.unwrap_or_default());
        self.asked.lock().unwrap().push(asked.trim().to_owned());
        if message["id"].is_null() || self.is_mute.load(Ordering::SeqCst) {
            return;
        }
        let answer = match method {
            "initialize" => json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {
                    "tools": { "listChanged": true }, "resources": { "subscribe": true },
                },
                "serverInfo": { "name": self.server, "version": "1" },
            }),
            "tools/list" => {
                let tool =
                    |name: &&str| json!({ "name": name, "inputSchema": { "type": "object" } });
                json!({ "tools": tools.iter().map(tool).collect::<Vec<_>>() })
            }
            "resources/list" => json!({ "resources": [{ "uri": "x://a", "name": "a" }] }),
            "resources/templates/list" => json!({ "resourceTemplates": [] }),
            "tools/call" if params["name"] == "hang" => return,
            "tools/call" => json!({ "content": [], "server": self.server }),
            "ping" | "resources/subscribe" | "resources/unsubscribe" => json!({}),
            _ => {
                let error = json!({ "code": -32601, "message": "Method not found" });
                let id = &message["id"];
                return self.say(&json!({ "jsonrpc": "2.0", "id": id, "error": error }));
            }
        };
        self.say(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": answer }));
    }
}

impl Fake {
    pub(super) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(super) fn have(&self, tools: &[&'static str]) {
        *self.tools.lock().unwrap() = tools.to_vec();
    }

    /// All instances of a server there ever were.
    pub(super) fn of(&self, server: &str) -> Vec<Arc<Instance>> {
        let all = self.instances.lock().unwrap();
        all.iter().filter(|instance| instance.server == server).cloned().collect()
    }

    /// The one instance of a server that runs.
    pub(super) fn running(&self, server: &str) -> Arc<Instance> {
        let mut running: Vec<_> = self.of(server).into_iter().filter(|i| i.runs()).collect();
        assert_eq!(running.len(), 1, "one instance of {server} runs");
        running.remove(0)
    }
}

impl Open for Arc<Fake> {
    fn open(&self, opening: Opening) -> BoxFuture<'static, Opened> {
        let Target::Stdio(Command { program, .. }) = &opening.spec.target else {
            panic!("no HTTP")
        };
        let mood = *self.mood.lock().unwrap();
        if mood == Mood::Missing {
            return Box::pin(async { Err("there is no such command".to_owned()) });
        }
        let (orders, mut given) = mpsc::channel(64);
        let (end, ended) = oneshot::channel();
        let instance = Arc::new(Instance {
            server: program.clone(),
            inbox: opening.inbox,
            end: Mutex::new(Some(end)),
            is_mute: AtomicBool::new(mood == Mood::Mute),
            asked: Mutex::default(),
            is_gone: Arc::default(),
        });
        opening.tail.push("the last words");
        self.instances.lock().unwrap().push(Arc::clone(&instance));
        if mood == Mood::Dying {
            instance.end(Why::Crashed, "it exited with status 1");
        }
        let (fake, gone) = (Arc::clone(self), Gone(Arc::clone(&instance.is_gone)));
        let pause = *self.handshake.lock().unwrap();
        let talk = async move {
            while let Some(order) = given.recv().await {
                match order {
                    Order::Request(request) => {
                        if request.method == "initialize" && !pause.is_zero() {
                            let now = fake.starting.fetch_add(1, Ordering::SeqCst) + 1;
                            fake.most_starting.fetch_max(now, Ordering::SeqCst);
                            sleep(pause).await;
                            fake.starting.fetch_sub(1, Ordering::SeqCst);
                        }
                        let tools = fake.tools.lock().unwrap().clone();
                        instance.heard(&request.text, &tools);
                    }
                    Order::Message(text) => instance.heard(&text, &[]),
                    Order::Abandon(_) | Order::Speak(_) => {}
                }
            }
        };
        let work = async move {
            let _gone = gone;
            tokio::select! {
                closing = ended => closing.unwrap(),
                () = talk => Closing { why: Why::Told, cause: "it was told to".to_owned() },
            }
        };
        Box::pin(async { Ok((Wire { orders, work: Box::pin(work) }, None)) })
    }
}

/// A supervision tree with upstreams alone.
pub(super) struct World {
    pub(super) upstreams: Upstreams,
    pub(super) published: Published,
    pub(super) metrics: Metrics,
    pub(super) fake: Arc<Fake>,
    pub(super) root: Root<SupervisorRef>,
}

/// An upstream whose command is its name.
pub(super) fn spec(name: &str) -> UpstreamSpec {
    UpstreamSpec::new(Target::Stdio(Command { program: name.to_owned(), ..Command::default() }))
}

pub(super) fn specs(all: impl IntoIterator<Item = UpstreamSpec>) -> Specs {
    let named = |spec: UpstreamSpec| match &spec.target {
        Target::Stdio(command) => (ServerName::from(command.program.as_str()), spec),
        Target::Http(_) => panic!("no HTTP"),
    };
    all.into_iter().map(named).collect()
}

impl World {
    pub(super) async fn start(specs: Specs) -> Self {
        let fake = Arc::new(Fake::default());
        fake.have(&["echo", "hang"]);
        Self::start_with(specs, fake, Pace::default()).await
    }

    pub(super) async fn start_with(specs: Specs, fake: Arc<Fake>, pace: Pace) -> Self {
        let (published, metrics) = (Published::default(), Metrics::default());
        let opener = Arc::new(Arc::clone(&fake));
        let mut shared = Shared::new(published.clone(), metrics.clone(), opener, Parked::default());
        shared.pace = pace;
        let upstreams = Upstreams::new(specs, shared);
        let (hosted, naming) = (Vec::new(), Naming::default());
        let config = registry::Config { published: published.clone(), hosted, naming };
        let registry = ChildSpec::actor("registry", move || (Registry, config.clone()));
        let root = Supervisor::new(Strategy::OneForOne).child(registry).child(upstreams.child());
        let root = root.start().await.unwrap();
        Self { upstreams, published, metrics, fake, root }
    }

    /// Waits until an upstream is in a state.
    pub(super) async fn reaches(&self, server: &str, state: State) {
        until(|| self.upstreams.board(server).is_some_and(|board| board.state() == state)).await;
    }

    pub(super) async fn call(&self, server: &str, tool: &str) -> Result<ResultObject, RpcError> {
        self.call_as(server, tool, Who::nobody()).await
    }

    pub(super) async fn call_as(
        &self,
        server: &str,
        tool: &str,
        who: Who,
    ) -> Result<ResultObject, RpcError> {
        let call = ToolCall { name: tool.to_owned(), arguments: None, task: None };
        let operation = Operation::CallTool(call);
        let side = Side { who, ..Side::silent(Revision::V2025_11_25) };
        let deadline = Instant::now() + Duration::from_secs(60);
        let context = CallContext::new(side, CancellationToken::new(), deadline);
        let provider = self.published.load().provider(server).unwrap();
        provider.call(ProviderCall { operation, context }).await.map_err(|error| match error {
            CallError::Failed(error) => error,
            other => panic!("{other:?}"),
        })
    }

    /// The tools that the federated endpoint lists.
    pub(super) fn tools(&self) -> Vec<String> {
        let snapshot = self.published.load();
        let page = snapshot.catalogue.page(&Scope::Federated, Kind::Tools, None, 10_000).unwrap();
        let name = |raw: &&serde_json::value::RawValue| {
            let tool: Value = serde_json::from_str(raw.get()).unwrap();
            tool["name"].as_str().unwrap().to_owned()
        };
        page.items.iter().map(name).collect()
    }
}

/// Waits until something is so; the clock of these tests stands still while anything runs.
pub(super) async fn until(mut is_so: impl FnMut() -> bool) {
    let happens = async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(3_600), happens).await.expect("it never happens");
}
