//! Notifications that the node sends.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::splice::Edits;
use super::{Kind, Level, RequestId};

/// `_meta` key of the `subscriptions/listen` request that a notification belongs to (2026-07-28).
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// A notification on its way to a client: a method, and parameters as text.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The method's name.
    pub method: &'static str,
    /// The parameters' text, an object.
    pub params: Option<Box<RawValue>>,
}

/// How far a request's work is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// What is done; it grows with each notification.
    pub progress: f64,
    /// What is to do, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// What is being done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A log message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogMessage {
    /// How grave it is.
    pub level: Level,
    /// Which part of the server speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logger: Option<String>,
    /// What it says: any JSON value, mostly a text.
    pub data: serde_json::Value,
}

impl Outgoing {
    /// `notifications/progress` for the token that the request brought.
    pub fn progress(token: &RawValue, progress: &Progress) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Params<'a> {
            progress_token: &'a RawValue,
            #[serde(flatten)]
            progress: &'a Progress,
        }
        Self::new("notifications/progress", &Params { progress_token: token, progress })
    }

    /// `notifications/message`
    pub fn log(message: &LogMessage) -> Self {
        Self::new("notifications/message", message)
    }

    /// `notifications/…/list_changed`
    pub fn list_changed(kind: Kind) -> Self {
        let method = match kind {
            Kind::Tools => "notifications/tools/list_changed",
            Kind::Prompts => "notifications/prompts/list_changed",
            Kind::Resources | Kind::Templates => "notifications/resources/list_changed",
        };
        Self { method, params: None }
    }

    /// `notifications/resources/updated`
    pub fn resource_updated(uri: &str) -> Self {
        Self::new("notifications/resources/updated", &serde_json::json!({ "uri": uri }))
    }

    /// `notifications/cancelled` for a request of ours that nobody waits for any more.
    pub fn cancelled(id: &RequestId, reason: &str) -> Self {
        let params = serde_json::json!({ "requestId": id, "reason": reason });
        Self::new("notifications/cancelled", &params)
    }

    /// A notification of somebody else's that is only passed on.
    pub fn passed(method: &'static str, params: &RawValue) -> Self {
        Self { method, params: Some(params.to_owned()) }
    }

    /// Any notification.
    pub fn new<T: Serialize>(method: &'static str, params: &T) -> Self {
        // What the node sends has string keys and finite numbers, so it always has a JSON form.
        Self { method, params: to_raw_value(params).ok() }
    }

    /// The whole message. `subscription` is told in `_meta`, for notifications of a
    /// `subscriptions/listen` stream.
    pub fn encode(&self, subscription: Option<&RequestId>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Wire<'a, P> {
            jsonrpc: &'static str,
            method: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            params: Option<&'a P>,
        }
        let wire = |params| Wire { jsonrpc: "2.0", method: self.method, params };
        let Some(id) = subscription else {
            return serde_json::to_vec(&wire(self.params.as_ref())).unwrap_or_default();
        };
        let mut edits = Edits::default();
        let mut meta = Edits::default();
        // An id always has a JSON form.
        if meta.set(SUBSCRIPTION_ID, id).is_ok() {
            edits.within("_meta", meta);
        }
        let params = edits.apply(self.params.as_deref());
        let method = self.method;
        format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_have_no_id_and_tell_their_subscription() {
        let text = |outgoing: Outgoing, id: Option<RequestId>| {
            String::from_utf8(outgoing.encode(id.as_ref())).unwrap()
        };
        let changed = Outgoing::list_changed(Kind::Tools);
        assert_eq!(
            text(changed.clone(), None),
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#
        );
        let meta = r#""params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}"#;
        assert!(text(changed, Some(7.into())).contains(meta));
        let token: Box<RawValue> = serde_json::from_str("\"t\"").unwrap();
        let progress = Progress { progress: 1.0, total: None, message: None };
        let progress = Outgoing::progress(&token, &progress);
        assert!(text(progress, None).contains(r#""params":{"progressToken":"t","progress":1.0}"#));
    }
}
