//! What a server tells: of its calls' progress, in its log, of itself.

use std::sync::Weak;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::dispatch::{Dispatch, News};
use super::message;
use crate::protocol::envelope::Notification;
use crate::protocol::notification::Outgoing;
use crate::protocol::{Kind, Level};

/// How much of what a server says the log shows, in bytes.
const SHOWN_BYTES: usize = 1_024;

impl Dispatch {
    /// Takes a notification; `of` is the request on whose stream it came.
    pub(super) fn told(&self, notification: &Notification, of: Option<u64>) {
        let params = notification.params.as_deref();
        let tell = |kind| self.tell(News::ListChanged(kind));
        match notification.method.as_str() {
            "notifications/progress" => self.progressed(params),
            "notifications/message" => self.logged(params, of),
            "notifications/tools/list_changed" => tell(Kind::Tools),
            "notifications/prompts/list_changed" => tell(Kind::Prompts),
            "notifications/resources/list_changed" => {
                tell(Kind::Resources);
                tell(Kind::Templates);
            }
            "notifications/resources/updated" => {
                if let Some(Updated { uri }) = read(params) {
                    self.tell(News::ResourceUpdated(uri));
                }
            }
            "notifications/elicitation/complete" => self.completed(params),
            "notifications/subscriptions/acknowledged" => self.acknowledged(params, of),
            "notifications/cancelled" => self.withdrawn(notification),
            other => {
                let method = message::cut(other, SHOWN_BYTES);
                tracing::debug!(server = %self.name(), method, "it told what nobody knows");
            }
        }
    }

    /// The token is our id; the client gets its own back.
    fn progressed(&self, params: Option<&RawValue>) {
        let (Some(params), Some(Progressed { progress_token, progress })) = (params, read(params))
        else {
            return;
        };
        let call = self.table().caller(progress_token).cloned();
        if let Some(call) = call {
            call.pass_progress(progress, params);
        }
    }

    fn logged(&self, params: Option<&RawValue>, of: Option<u64>) {
        let (Some(params), Some(Logged { level })) = (params, read(params)) else { return };
        let message = message::cut(params.get(), SHOWN_BYTES);
        tracing::debug!(server = %self.name(), ?level, message, "it says");
        let call = self.table().hearer(of).cloned();
        if let Some(call) = call {
            return call.pass_log(level, params);
        }
        let later = self.owner().and_then(|owner| owner.later.as_ref());
        let later = later.and_then(Weak::upgrade);
        if let Some(client) = later.filter(|it| it.log_level().is_some_and(|wants| level >= wants))
        {
            client.notify(&Outgoing::passed("notifications/message", params));
        }
    }

    fn completed(&self, params: Option<&RawValue>) {
        let (Some(params), Some(Completed { elicitation_id })) = (params, read(params)) else {
            return;
        };
        let client = self.visits().take(&elicitation_id);
        if let Some(client) = client {
            client.notify(&Outgoing::passed("notifications/elicitation/complete", params));
        }
    }

    /// A stream of notifications is open; over a pipe only its mark says which.
    fn acknowledged(&self, params: Option<&RawValue>, of: Option<u64>) {
        let marked = read(params).map(|Marked { meta }| meta.subscription_id);
        let Some(id) = marked.or(of) else { return };
        let waker = self.table().acknowledge(id);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn withdrawn(&self, notification: &Notification) {
        let Some(id) = notification.cancelled() else { return };
        let waker = self.table().withdraw(&id);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progressed {
    progress_token: u64,
    progress: f64,
}

#[derive(Deserialize)]
struct Logged {
    level: Level,
}

#[derive(Deserialize)]
struct Updated {
    uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Completed {
    elicitation_id: String,
}

#[derive(Deserialize)]
struct Marked {
    #[serde(rename = "_meta")]
    meta: Mark,
}

#[derive(Deserialize)]
struct Mark {
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    subscription_id: u64,
}

fn read<'a, T: Deserialize<'a>>(params: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(params?.get()).ok()
}
