//! What all messages to one server share: where it is, how it is reached, and what was agreed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming as Received;
use tracing::debug;
use url::Url;

use super::auth::{Credentials, asks_for_token};
use super::client::Client;
use super::head::Agreed;
use super::{Limits, StartError, address};
use crate::protocol::header::name;
use crate::protocol::{self, Body, Incoming, RequestId, Revision, decode_body};
use crate::provider::upstream::spec::HttpTarget;
use crate::provider::upstream::{Failure, Inbox};

/// Redirects of one request that are followed.
const REDIRECTS: usize = 3;

/// What all messages to one server share.
pub(super) struct Link {
    pub(super) limits: Limits,
    /// What the server is called in the log: its origin.
    pub(super) name: String,
    url: Url,
    headers: HeaderMap,
    client: Client,
    credentials: Credentials,
    inbox: Arc<dyn Inbox>,
    agreed: Mutex<Agreed>,
}

/// What became of a text that came from the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Messages in it.
    pub(super) messages: usize,
    /// The answer to the request that it belongs to was among them.
    pub(super) is_answer: bool,
}

impl Link {
    pub(super) fn new(
        target: &HttpTarget,
        limits: Limits,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Self, StartError> {
        let url = address::url(&target.url)?;
        let headers = address::headers(&target.headers)?;
        let client = Client::new(url.scheme() == "https", limits.connect_timeout)
            .map_err(StartError::Tls)?;
        let credentials = Credentials::new(target.auth.as_ref(), &url, &client);
        let (name, agreed) = (url.origin().ascii_serialization(), Mutex::default());
        Ok(Self { limits, name, url, headers, client, credentials, inbox, agreed })
    }

    /// Where the server is.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// What has been agreed so far.
    pub(super) fn agreed(&self) -> Agreed {
        self.agreement().clone()
    }

    /// From now on messages are of this revision.
    pub(super) fn speak(&self, revision: Revision) {
        self.agreement().revision = Some(revision);
    }

    /// From now on messages belong to the session that this answer opened, if it did.
    pub(super) fn join(&self, headers: &HeaderMap) {
        self.agreement().session = headers.get(name::SESSION_ID).cloned();
    }

    fn agreement(&self) -> MutexGuard<'_, Agreed> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message, or asks for a stream, and gives the answer as soon as its headers are
    /// there, whatever its status. Where the server wants another token, and there is one, it is
    /// sent once more: the server did nothing with it yet.
    ///
    /// # Errors
    /// [`Failure::Unreachable`], [`Failure::Lost`], and [`Failure::Status`] for a redirect that
    /// isn't followed.
    pub(super) async fn send(
        &self,
        method: Method,
        to: &Url,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Response<Received>, Failure> {
        let token = self.credentials.token().await?;
        let response = self.reach(&method, to, headers, token.as_ref(), body).await?;
        if !asks_for_token(response.status(), response.headers()) {
            return Ok(response);
        }
        match self.credentials.renewed(token.as_ref(), response.headers()).await? {
            Some(token) => self.reach(&method, to, headers, Some(&token), body).await,
            None => Ok(response),
        }
    }

    /// Sends to where the server is, and to where it moved.
    async fn reach(
        &self,
        method: &Method,
        to: &Url,
        headers: &HeaderMap,
        token: Option<&HeaderValue>,
        body: &Bytes,
    ) -> Result<Response<Received>, Failure> {
        let mut url = to.clone();
        for _ in 0..=REDIRECTS {
            let request = Request::builder().method(method).uri(url.as_str());
            let request = request.body(Full::new(body.clone()));
            // What the URL standard takes for a URL, the `http` crate may not.
            let mut request = request.map_err(|error| Failure::Unreachable(error.to_string()))?;
            let all = request.headers_mut();
            all.extend(self.headers.clone());
            all.extend(headers.clone());
            if let Some(token) = token {
                all.insert(AUTHORIZATION, token.clone());
            }
            let response = self.client.send(request).await?;
            if !is_redirect(response.status(), method) {
                return Ok(response);
            }
            url = self.redirected(&url, &response)?;
        }
        Err(Failure::Lost("it redirects in circles".to_owned()))
    }

    /// Where an answer redirects to. What the node says of itself is for this server alone, so it
    /// has to be the same origin.
    fn redirected(&self, from: &Url, response: &Response<Received>) -> Result<Url, Failure> {
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let refuse = |body: String| Err(Failure::Status { status, body });
        match location.and_then(|to| from.join(to).ok()) {
            None => refuse("a redirect to nowhere".to_owned()),
            Some(to) if to.origin() != self.url.origin() => {
                let origin = to.origin().ascii_serialization();
                refuse(format!("a redirect to {origin}, which isn't followed"))
            }
            Some(to) => Ok(to),
        }
    }

    /// Hands on what came: one message, or several. `of` is the request on whose stream it came.
    pub(super) fn deliver(&self, text: &[u8], of: Option<u64>) -> Delivered {
        let mut delivered = Delivered::default();
        let messages = match decode_body(text, protocol::Limits::default()) {
            Ok(Body::One(message)) => vec![Ok(message)],
            Ok(Body::Batch(messages)) => messages,
            Err(error) => vec![Err(error)],
        };
        for message in messages {
            match message {
                Ok(message) => {
                    let message = addressed(message, of);
                    delivered.messages += 1;
                    delivered.is_answer |= of.is_some_and(|id| answers(&message, id));
                    self.inbox.message(message, of);
                }
                Err(error) => debug!(server = self.name, error = error.error.message, "no message"),
            }
        }
        delivered
    }

    /// Says that a request gets no answer.
    pub(super) fn fail(&self, id: u64, failure: Failure) {
        self.inbox.failed(id, failure);
    }
}

/// Whether the request is to be made again elsewhere; 303 and, for a message, 301 and 302 would
/// make something else of it.
fn is_redirect(status: StatusCode, method: &Method) -> bool {
    match status {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::GET,
        _ => false,
    }
}

/// Whether the body of an answer is of this media type.
pub(super) fn is_of_type(headers: &HeaderMap, expected: &str) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value: &HeaderValue| value.to_str().ok());
    let essence = named.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(expected)
}

/// An error without an id, on the stream of a request, is the answer to that: the server could not
/// read the request, or did not want to.
fn addressed(message: Incoming, of: Option<u64>) -> Incoming {
    match (message, of) {
        (Incoming::Response { id: None, outcome: outcome @ Err(_) }, Some(id)) => {
            Incoming::Response { id: Some(request_id(id)), outcome }
        }
        (message, _) => message,
    }
}

fn answers(message: &Incoming, id: u64) -> bool {
    matches!(message, Incoming::Response { id: Some(theirs), .. } if *theirs == request_id(id))
}

fn request_id(id: u64) -> RequestId {
    i64::try_from(id).map_or(RequestId::Unsigned(id), RequestId::Integer)
}
