//! Server-sent events, as a client reads them.

use reqwest::{Method, Response};
use serde_json::Value;

use crate::harness::{client, within};

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) retry: String,
    pub(crate) data: String,
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The method of a notification or request, or `result` or `error`.
    pub(crate) fn short(&self) -> String {
        if self.data.is_empty() {
            return "priming".to_owned();
        }
        let json = self.json();
        match json["method"].as_str() {
            Some(method) => method.to_owned(),
            None if json["error"].is_null() => "result".to_owned(),
            None => "error".to_owned(),
        }
    }
}

/// A response of events, read as they come.
pub(crate) struct Events {
    response: Response,
    text: String,
    pub(crate) comments: usize,
}

impl Events {
    pub(crate) async fn open(
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Self {
        let mut request = client().request(method, url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("accept", "application/json, text/event-stream");
        let response = request.send().await.unwrap();
        let kind = response.headers().get("content-type").unwrap().to_str().unwrap().to_owned();
        if kind != "text/event-stream" {
            panic!("{} {kind}: {}", response.status(), response.text().await.unwrap());
        }
        Self { response, text: String::new(), comments: 0 }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        within(async {
            loop {
                while let Some((block, rest)) = self.text.split_once("\n\n") {
                    let (block, rest) = (block.to_owned(), rest.to_owned());
                    self.text = rest;
                    if block.starts_with(':') {
                        self.comments += 1;
                        continue;
                    }
                    return Some(parse_event(&block));
                }
                let chunk = self.response.chunk().await.unwrap()?;
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        })
        .await
    }

    /// All that is left, in short.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event.short());
        }
        all
    }
}

pub(crate) fn parse_event(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "id" => event.id = value,
            "event" => event.kind = value,
            "retry" => event.retry = value,
            "data" => event.data.push_str(&value),
            other => panic!("unknown field {other}"),
        }
    }
    event
}
