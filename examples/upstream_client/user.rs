//! Somebody who uses the node, in a session: asks, and answers what is asked meanwhile.

use std::io;

use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::sample;

/// A user with a session.
pub(crate) struct User {
    client: Client,
    url: String,
    session: String,
    asked: u64,
}

impl User {
    /// Opens a session, by one who can answer all questions.
    ///
    /// # Errors
    /// Where the node doesn't answer as it should.
    pub(crate) async fn open(url: &str) -> Result<Self, reqwest::Error> {
        let client = Client::builder().no_proxy().build()?;
        let mut user = Self { client, url: url.to_owned(), session: String::new(), asked: 0 };
        let params = json!({
            "protocolVersion": "2025-11-25",
            "clientInfo": { "name": "user", "version": "1" },
            "capabilities": { "elicitation": {}, "sampling": {}, "roots": {} },
        });
        let message =
            json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let opened = user.post(&message).await?;
        let session = opened.headers().get("mcp-session-id");
        user.session = session.and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        user.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
        Ok(user)
    }

    /// What the list of this method has in its member; nothing, where there is no such list.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn list(&mut self, method: &str, member: &str) -> io::Result<Vec<Value>> {
        let answer = self.ask(method, json!({})).await?;
        Ok(answer["result"][member].as_array().cloned().unwrap_or_default())
    }

    /// Asks, and gives the answer, after what was asked meanwhile is answered.
    ///
    /// # Errors
    /// Where the node gives no answer.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> io::Result<Value> {
        self.asked += 1;
        let id = self.asked;
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let mut response = self.post(&message).await.map_err(io::Error::other)?;
        let mut text = String::new();
        while let Some(chunk) = response.chunk().await.map_err(io::Error::other)? {
            text.push_str(&String::from_utf8_lossy(&chunk));
            // Whole lines: each is a message, or begins with `data:`, or is none.
            while let Some((line, rest)) = text.split_once('\n') {
                let message = read(line);
                text = rest.to_owned();
                if let Some(answer) = self.answered(id, message).await? {
                    return Ok(answer);
                }
            }
        }
        let message = read(&text);
        let answer = self.answered(id, message).await?;
        answer.ok_or_else(|| io::Error::other(format!("{method} has no answer")))
    }

    /// The answer, if this message is it; a question is answered.
    async fn answered(&self, id: u64, message: Option<Value>) -> io::Result<Option<Value>> {
        let Some(message) = message else { return Ok(None) };
        if let (Some(method), Some(question)) = (message["method"].as_str(), message.get("id")) {
            let result = sample::answer(method, &message["params"]);
            let reply = json!({ "jsonrpc": "2.0", "id": question, "result": result });
            self.post(&reply).await.map_err(io::Error::other)?;
            return Ok(None);
        }
        Ok(Some(message).filter(|message| message["id"] == id))
    }

    async fn post(&self, message: &Value) -> Result<Response, reqwest::Error> {
        let mut request = self.client.post(&self.url).json(message);
        request = request.header("accept", "application/json, text/event-stream");
        if !self.session.is_empty() {
            request = request.header("mcp-session-id", &self.session);
        }
        request.send().await
    }
}

fn read(line: &str) -> Option<Value> {
    serde_json::from_str(line.strip_prefix("data:").unwrap_or(line)).ok()
}
