//! A client behind a call: it keeps what it is told, and the test answers what it is asked.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::protocol::call::ToolCall;
use crate::protocol::notification::Outgoing;
use crate::protocol::{
    Ask, AskError, ClientCapabilities, Level, Operation, ResultObject, Revision, RpcError,
};
use crate::provider::upstream::{Connection, Instances, Parked, UpstreamProvider};
use crate::provider::{
    CallContext, CallError, ClientLink, Inputs, Provider, ProviderCall, Questions, Side, Who,
};

type Reply = Result<Box<RawValue>, AskError>;
type Question = (Ask, oneshot::Sender<Reply>);

/// What a client can that can everything.
const ABLE: ClientCapabilities = ClientCapabilities {
    elicitation_form: true,
    elicitation_url: true,
    sampling: true,
    sampling_tools: true,
    roots: true,
    tasks_extension: false,
};

/// The client.
pub(super) struct Client {
    revision: Revision,
    session: Option<&'static str>,
    principal: &'static str,
    capabilities: ClientCapabilities,
    level: Option<Level>,
    told: Mutex<Vec<String>>,
    questions: mpsc::Sender<Question>,
}

/// The questions that it is asked.
pub(super) struct Questioned(mpsc::Receiver<Question>);

impl Questioned {
    /// The next one, and where its answer goes.
    pub(super) async fn next(&mut self) -> Question {
        let next = timeout(Duration::from_secs(3_600), self.0.recv()).await;
        next.expect("nothing is asked").expect("nobody asks")
    }
}

impl Client {
    /// A client with a session.
    pub(super) fn legacy(session: &'static str) -> (Self, Questioned) {
        let (questions, questioned) = mpsc::channel(16);
        let client = Self {
            revision: Revision::V2025_11_25,
            session: Some(session),
            principal: "",
            capabilities: ABLE,
            level: Some(Level::Info),
            told: Mutex::default(),
            questions,
        };
        (client, Questioned(questioned))
    }

    /// A client without one, that can't be asked while its request runs.
    pub(super) fn modern(principal: &'static str) -> Self {
        let (client, _) = Self::legacy("");
        let revision = Revision::V2026_07_28;
        Self { revision, session: None, principal, level: None, ..client }
    }

    /// It can do this, and no more.
    pub(super) fn able(mut self, capabilities: ClientCapabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// It wants log messages of this level.
    pub(super) fn hearing(mut self, level: Option<Level>) -> Self {
        self.level = level;
        self
    }

    /// What it was told, method and parameters.
    pub(super) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

struct Link(Arc<Client>);

impl ClientLink for Link {
    fn notify(&self, notification: &Outgoing) {
        let params = notification.params.as_deref().map_or("", RawValue::get);
        self.0.told.lock().unwrap().push(format!("{} {params}", notification.method));
    }

    fn ask(&self, ask: Ask) -> BoxFuture<'static, Reply> {
        let questions = self.0.questions.clone();
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            questions.send((ask, reply)).await.map_err(|_| AskError::Gone)?;
            answer.await.unwrap_or(Err(AskError::Gone))
        })
    }

    fn log_level(&self) -> Option<Level> {
        self.0.level
    }

    fn can_wait(&self) -> bool {
        self.0.session.is_some()
    }
}

/// A request of a client's.
#[derive(Clone)]
pub(super) struct Request {
    client: Arc<Client>,
    operation: Operation,
    params: Option<String>,
    token: Option<String>,
    inputs: Inputs,
}

impl Request {
    /// It calls the tool `echo`, which it knows as `up__echo`, with these arguments as its text.
    pub(super) fn echo(client: &Arc<Client>, arguments: &str) -> Self {
        let call = ToolCall { name: "echo".into(), arguments: Some(raw(arguments)), task: None };
        let mut request = Self::of(client, Operation::CallTool(call));
        request.params = Some(format!(r#"{{"name":"up__echo","arguments":{arguments}}}"#));
        request
    }

    /// It wants this done.
    pub(super) fn of(client: &Arc<Client>, operation: Operation) -> Self {
        let (client, inputs) = (Arc::clone(client), Inputs::default());
        Self { client, operation, params: None, token: None, inputs }
    }

    /// It wants to be told of progress.
    pub(super) fn with_token(mut self, token: &str) -> Self {
        let meta = format!(r#","_meta":{{"progressToken":{token}}}}}"#);
        let params = self.params.take().unwrap();
        self.params = Some(format!("{}{meta}", params.strip_suffix('}').unwrap()));
        self.token = Some(token.to_owned());
        self
    }

    /// It comes again, with answers, and whatever it was given with the questions.
    pub(super) fn again(mut self, asked: &Questions, answers: &[(&str, Value)]) -> Self {
        self.inputs.state = asked.state.clone();
        for (key, answer) in answers {
            self.inputs.answers.insert((*key).to_owned(), raw(&answer.to_string()));
        }
        self
    }

    /// The same by another principal.
    pub(super) fn by(mut self, client: &Arc<Client>) -> Self {
        self.client = Arc::clone(client);
        self
    }

    fn context(&self) -> (CallContext, Arc<dyn ClientLink>) {
        let client = &self.client;
        let link: Arc<dyn ClientLink> = Arc::new(Link(Arc::clone(client)));
        let side = Side {
            who: Who {
                principal: client.principal.into(),
                session: client.session.map(Arc::from),
                later: Some(Arc::downgrade(&link) as Weak<dyn ClientLink>),
            },
            capabilities: client.capabilities,
            params: self.params.as_deref().map(|params| raw(params).into()),
            progress_token: self.token.as_deref().map(|token| raw(token).into()),
            inputs: Arc::new(self.inputs.clone()),
            client: Arc::clone(&link),
            ..Side::silent(client.revision)
        };
        let deadline = Instant::now() + Duration::from_secs(3_600);
        (CallContext::new(side, CancellationToken::new(), deadline), link)
    }

    /// Sends it; the future is the request.
    pub(super) fn send(
        &self,
        provider: &UpstreamProvider,
    ) -> BoxFuture<'static, Result<String, CallError>> {
        let (context, link) = self.context();
        let call = provider.call(ProviderCall { operation: self.operation.clone(), context });
        Box::pin(async move {
            let _link = link;
            call.await.map(|result| text(&result))
        })
    }
}

/// One instance for everybody.
struct One(Arc<Connection>);

impl Instances for One {
    fn pick(&self, _: &Who) -> BoxFuture<'static, Result<Arc<Connection>, RpcError>> {
        Box::pin(std::future::ready(Ok(Arc::clone(&self.0))))
    }

    fn timeout(&self) -> Option<Duration> {
        Some(Duration::from_secs(600))
    }
}

/// The provider of the server `up`, of which this is the only instance.
pub(super) fn provider(connection: &Arc<Connection>, parked: &Parked) -> UpstreamProvider {
    UpstreamProvider::new("up".into(), Arc::new(One(Arc::clone(connection))), parked.clone())
}

pub(super) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn text(result: &ResultObject) -> String {
    serde_json::to_string(result).unwrap()
}

/// The error of a call that failed.
pub(super) fn failed(outcome: Result<String, CallError>) -> RpcError {
    match outcome {
        Err(CallError::Failed(error)) => error,
        other => panic!("it did not fail: {other:?}"),
    }
}

/// The questions with which a call ended.
pub(super) fn asked(outcome: Result<String, CallError>) -> Questions {
    match outcome {
        Err(CallError::InputRequired(questions)) => *questions,
        other => panic!("it asks nothing: {other:?}"),
    }
}
