//! The requests that the official SDK makes to find an issuer and to get a token from it, over the
//! node's own client: no redirect, no proxy, bounded in time and size.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::Full;
use rmcp::transport::auth::{
    OAuthHttpClient, OAuthHttpClientError, OAuthHttpClientFuture, OAuthHttpRequest,
};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::provider::upstream::http::body;
use crate::provider::upstream::http::client::Client;

/// How long one request may take, where the SDK says nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// Documents and tokens are small.
const ANSWER_BYTES: usize = 1024 * 1024;
/// What an answer with a token may hold. Whatever else is in it, the SDK would log.
const GRANTED: [&str; 4] = ["access_token", "token_type", "expires_in", "scope"];

/// Makes the SDK's requests, and reads along what the SDK doesn't tell.
pub(super) struct Exchange {
    client: Client,
    resource: Mutex<Option<String>>,
}

impl Exchange {
    pub(super) fn new(client: Client) -> Self {
        Self { client, resource: Mutex::default() }
    }

    /// What the server calls itself in its metadata (RFC 9728), which tokens are asked for by that
    /// very name.
    pub(super) fn resource(&self) -> Option<String> {
        self.resource.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn make(
        &self,
        asked: OAuthHttpRequest,
    ) -> Result<Response<Vec<u8>>, OAuthHttpClientError> {
        let (parts, body) = asked.request.into_parts();
        let method = parts.method.clone();
        let request = Request::from_parts(parts, Full::new(body.into()));
        let (parts, body) = self.client.send(request).await?.into_parts();
        let body = body::read(body, ANSWER_BYTES).await?;
        let body = match serde_json::from_slice(&body) {
            Ok(Value::Object(members)) if parts.status.is_success() => {
                serde_json::to_vec(&self.read(&method, members))?
            }
            _ => body.into(),
        };
        Ok(Response::from_parts(parts, body))
    }

    /// Reads along, and mends what the SDK can't take.
    fn read(&self, method: &Method, mut members: Map<String, Value>) -> Map<String, Value> {
        if *method == Method::POST {
            members.retain(|name, _| GRANTED.contains(&name.as_str()));
        } else if let Some(Value::String(resource)) = members.get("resource") {
            let mut known = self.resource.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some(resource.clone());
        } else if let Some(endpoint) = members.get("token_endpoint").cloned() {
            // An issuer without users has none (RFC 8414, section 2), but the SDK wants one. It is
            // never used here.
            members.entry("authorization_endpoint").or_insert(endpoint);
        }
        members
    }
}

impl OAuthHttpClient for Exchange {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            // Redirects are never followed here; the SDK follows those of documents itself.
            timeout(request.timeout.unwrap_or(PATIENCE), self.make(request)).await?
        })
    }
}
