//! One request of a client, until its outcome is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::events::{Event, parse_event};
use crate::harness::{Session, modern, modern_headers, request};

/// What a client does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Accept,
    Refuse,
    Never,
}

/// What is asked, and how.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) client: Client,
    pub(super) url: String,
    /// None asks without a session.
    pub(super) session: Option<Session>,
    pub(super) id: usize,
    pub(super) tool: &'static str,
    pub(super) events: bool,
    /// Leaves the stream behind its first event, and comes back for the rest.
    pub(super) resumes: bool,
    pub(super) reply: Reply,
    /// The client has cancelled it, and its events may end without an answer.
    pub(super) cancelled: Arc<AtomicBool>,
}

/// What came of it: the error's code, or 0 for a result.
pub(super) type Outcome = Result<i64, String>;

/// The outcomes that a request can have in a storm.
const POSSIBLE: [i64; 7] = [0, -32603, -31001, -31002, -31004, -32021, -32602];

/// Sends the request and waits for its only outcome.
pub(super) async fn run(plan: Plan) -> Outcome {
    let sent = plan.post().send().await.map_err(|error| format!("{plan:?}: {error:?}"))?;
    let code = if is_events(&sent) { plan.streamed(sent).await } else { plan.whole(sent).await }?;
    if POSSIBLE.contains(&code) { Ok(code) } else { Err(format!("{plan:?}: {code}")) }
}

fn is_events(response: &Response) -> bool {
    response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream")
}

impl Plan {
    fn post(&self) -> RequestBuilder {
        let meta = json!({ "progressToken": self.id });
        let params = json!({ "name": self.tool, "arguments": {}, "_meta": meta });
        let post = self.client.request(Method::POST, &self.url);
        let mut post = match &self.session {
            Some(session) => post.header("mcp-session-id", &session.id).body(request(
                self.id,
                "tools/call",
                params,
            )),
            None => post.body(modern(self.id, "tools/call", params)),
        };
        if self.session.is_none() {
            for (name, value) in modern_headers("tools/call", self.tool) {
                post = post.header(name, value);
            }
        }
        let accept = if self.events { "application/json, text/event-stream" } else { "*/*" };
        post.header("accept", accept)
    }

    /// The outcome of what its client cancelled.
    fn withdrawn(&self) -> Option<i64> {
        self.cancelled.load(Ordering::Relaxed).then_some(-31002)
    }

    /// One message.
    async fn whole(&self, response: Response) -> Outcome {
        let status = response.status();
        let text = response.text().await.map_err(|error| format!("{self:?}: {error:?}"))?;
        let message: Value = serde_json::from_str(&text).map_err(|_| text.clone())?;
        if message["id"] != self.id {
            return Err(format!("{self:?}: {status} {text}"));
        }
        Ok(message["error"]["code"].as_i64().unwrap_or_default())
    }

    /// Events, exactly one of which is the answer; the last one.
    async fn streamed(&self, response: Response) -> Outcome {
        let mut stream = Stream { response, text: String::new() };
        let (mut outcome, mut left) = (None, false);
        loop {
            let Some(event) = stream.next().await.map_err(|error| format!("{self:?}: {error}"))?
            else {
                let without = || format!("{self:?}: a stream without an answer");
                return outcome.or(self.withdrawn()).ok_or_else(without);
            };
            if outcome.is_some() {
                return Err(format!("{self:?}: {event:?} behind the answer"));
            }
            match event.short().as_str() {
                "result" | "error" if event.json()["id"] == self.id => {
                    outcome = Some(event.json()["error"]["code"].as_i64().unwrap_or_default());
                }
                "result" | "error" => return Err(format!("{self:?}: {event:?}")),
                "elicitation/create" => self.answer(&event).await?,
                _ => {}
            }
            if self.resumes && !left && outcome.is_none() && !event.id.is_empty() {
                left = true;
                drop(stream);
                match self.resume(&event.id).await? {
                    Some(response) => stream = Stream { response, text: String::new() },
                    // The session has ended meanwhile, or the request was cancelled.
                    None => return Ok(-31004),
                }
            }
        }
    }

    async fn resume(&self, last: &str) -> Result<Option<Response>, String> {
        let session = self.session.as_ref().expect("only sessions resume");
        let get = self.client.get(&self.url).header("accept", "text/event-stream");
        let get = get.header("mcp-session-id", &session.id).header("last-event-id", last);
        let response = get.send().await.map_err(|error| format!("{self:?}: {error:?}"))?;
        match response.status() {
            StatusCode::OK => Ok(Some(response)),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::NO_CONTENT if self.withdrawn().is_some() => Ok(None),
            status => Err(format!("{self:?} resumes: {status}")),
        }
    }

    async fn answer(&self, question: &Event) -> Result<(), String> {
        let id = question.json()["id"].clone();
        let message = match self.reply {
            Reply::Never => return Ok(()),
            Reply::Accept => {
                let result = json!({ "action": "accept", "content": { "name": "storm" } });
                json!({ "jsonrpc": "2.0", "id": id, "result": result })
            }
            Reply::Refuse => {
                let error = json!({ "code": -1, "message": "no" });
                json!({ "jsonrpc": "2.0", "id": id, "error": error })
            }
        };
        let session = self.session.as_ref().expect("only sessions are asked");
        let post = self.client.post(&self.url).header("mcp-session-id", &session.id);
        let sent = post.body(message.to_string()).send().await;
        match sent.map_err(|error| format!("{self:?}: {error:?}"))?.status() {
            StatusCode::ACCEPTED | StatusCode::NOT_FOUND => Ok(()),
            // An actor that is killed again and again takes no answers for a while.
            StatusCode::SERVICE_UNAVAILABLE => Ok(()),
            status => Err(format!("{self:?} answers: {status}")),
        }
    }
}

/// A response of events that may break off.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn next(&mut self) -> Result<Option<Event>, String> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if !block.starts_with(':') {
                    return Ok(Some(parse_event(&block)));
                }
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.text.push_str(std::str::from_utf8(&chunk).unwrap()),
                Ok(None) => return Ok(None),
                Err(error) => return Err(format!("{error:?}")),
            }
        }
    }
}
