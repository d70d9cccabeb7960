//! OAuth 2.0 client credentials (RFC 6749, section 4.4), by the official SDK: who the issuer is, is
//! found through RFC 9728 and RFC 8414, and the token is asked for this server alone (RFC 8707).
//!
//! The first request goes without a token, so that the server's challenge can say where to ask.

use std::sync::{Arc, Mutex as Held, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::HeaderValue;
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadataSource, ClientCredentialsConfig,
    WWWAuthenticateParams,
};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;
use url::Url;

use super::bearer;
use super::exchange::Exchange;
use crate::provider::upstream::Failure;
use crate::provider::upstream::http::client::{Client, reason};
use crate::secret::Secret;

/// A token is replaced so long before it expires, or after nine tenths of a short life.
const AHEAD: Duration = Duration::from_secs(60);
/// How long an issuer is left alone when it gave no token, or one that the server refused at once.
const REST: Duration = Duration::from_secs(5);
/// Scopes for people who are away; there are none here.
const OFFLINE: &str = "offline_access";

/// Who the node is at an issuer, and the token that it has from there.
pub(in super::super) struct ClientCredentials {
    url: Url,
    client: Client,
    id: String,
    secret: Secret,
    scopes: Vec<String>,
    /// What requests bear; read by each, without waiting for whoever renews it.
    current: Held<Option<Token>>,
    /// Whoever holds it renews the token; the others wait, and find it renewed.
    turn: Mutex<Turn>,
}

#[derive(Clone)]
struct Token {
    value: HeaderValue,
    given: Instant,
    /// How long it lives; until it is refused, where the issuer doesn't say.
    life: Option<Duration>,
}

impl Token {
    fn is_fresh(&self) -> bool {
        self.life.is_none_or(|life| self.given.elapsed() < usable(life))
    }

    fn is_expired(&self) -> bool {
        self.life.is_some_and(|life| self.given.elapsed() >= life)
    }
}

/// What is remembered from renewal to renewal.
#[derive(Default)]
struct Turn {
    issuer: Option<Issuer>,
    failed: Option<(Instant, String)>,
}

/// Where a token comes from, and what it is asked for.
struct Issuer {
    manager: AuthorizationManager,
    config: ClientCredentialsConfig,
    scopes: Vec<String>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
enum NoToken {
    #[error("the server names no issuer of tokens")]
    NoIssuer,
    #[error("the issuer takes tokens over plain http")]
    Insecure,
    #[error("the issuer's answer can't be used")]
    Unusable,
    #[error("{}", reason(.0))]
    Sdk(#[from] AuthError),
}

impl ClientCredentials {
    pub(super) fn new(
        url: Url,
        client: Client,
        id: String,
        secret: Secret,
        scopes: Vec<String>,
    ) -> Self {
        let (current, turn) = (Held::default(), Mutex::default());
        Self { url, client, id, secret, scopes, current, turn }
    }

    /// The token, a new one where it is about to expire; none before the server asked for one.
    pub(super) async fn token(&self) -> Result<Option<HeaderValue>, Failure> {
        let Some(token) = self.current() else {
            return Ok(None);
        };
        if token.is_fresh() {
            return Ok(Some(token.value));
        }
        match self.renew(Some(&token.value), None).await {
            // The issuer can't be reached, but there is still some life in what it gave.
            Err(_) if !token.is_expired() => Ok(Some(token.value)),
            renewed => renewed,
        }
    }

    /// A token, where the one that was refused isn't the newest, or a newer one can be had.
    pub(super) async fn renewed(
        &self,
        refused: Option<&HeaderValue>,
        challenge: Option<&str>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let challenge = challenge.unwrap_or_default();
        self.renew(refused, Some(challenge)).await
    }

    async fn renew(
        &self,
        old: Option<&HeaderValue>,
        challenge: Option<&str>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let mut turn = self.turn.lock().await;
        if let Some(token) = self.current() {
            if Some(&token.value) != old && token.is_fresh() {
                return Ok(Some(token.value));
            }
            if challenge.is_some() && token.given.elapsed() < REST {
                return Ok(None);
            }
        }
        if let Some((_, reason)) = turn.failed.as_ref().filter(|(at, _)| at.elapsed() < REST) {
            return Err(no_token(reason));
        }
        // The SDK's futures are large.
        match Box::pin(self.ask(&mut turn, challenge)).await {
            Ok(token) => {
                turn.failed = None;
                *self.held() = Some(token.clone());
                Ok(Some(token.value))
            }
            Err(error) => {
                let reason = error.to_string();
                turn.failed = Some((Instant::now(), reason.clone()));
                Err(no_token(&reason))
            }
        }
    }

    async fn ask(&self, turn: &mut Turn, challenge: Option<&str>) -> Result<Token, NoToken> {
        let issuer = match (&mut turn.issuer, challenge) {
            (Some(issuer), None) => issuer,
            (known, challenge) => {
                let before = known.take().map(|issuer| issuer.scopes).unwrap_or_default();
                known.insert(self.find(challenge.unwrap_or_default(), before).await?)
            }
        };
        let response = issuer.manager.exchange_client_credentials(&issuer.config).await?;
        let granted = serde_json::to_value(&response).ok();
        let granted: Option<Granted> = granted.and_then(|value| serde_json::from_value(value).ok());
        let granted = granted.ok_or(NoToken::Unusable)?;
        debug!(life_seconds = granted.expires_in, "a new access token");
        let value = bearer(&granted.access_token).ok_or(NoToken::Unusable)?;
        let life = granted.expires_in.map(Duration::from_secs);
        Ok(Token { value, given: Instant::now(), life })
    }

    /// Finds out who issues tokens for the server.
    async fn find(&self, challenge: &str, before: Vec<String>) -> Result<Issuer, NoToken> {
        let exchange = Arc::new(Exchange::new(self.client.clone()));
        let http = exchange.clone();
        let mut manager =
            AuthorizationManager::new_with_oauth_http_client(self.url.as_str(), http).await?;
        let challenge = Some(challenge).filter(|challenge| !challenge.is_empty());
        let found = manager.resolve_metadata_from_challenge(challenge).await?;
        // Endpoints that nobody published would get the secret for a guess.
        if !found.source.is_discovered() {
            return Err(NoToken::NoIssuer);
        }
        // The secret goes there: over TLS, unless the server itself is reached without.
        let is_secure = found.metadata.token_endpoint.starts_with("https://");
        if !is_secure && self.url.scheme() == "https" {
            return Err(NoToken::Insecure);
        }
        let named = exchange.resource();
        let is_named = found.source == AuthorizationMetadataSource::ProtectedResourceMetadata;
        let resource = named.filter(|_| is_named).unwrap_or_else(|| self.url.to_string());
        manager.set_metadata(found.metadata);
        let scopes = self.scopes(&manager, challenge, before).await;
        let config = ClientCredentialsConfig::ClientSecret {
            client_id: self.id.clone(),
            client_secret: self.secret.expose().unwrap_or_default().to_owned(),
            scopes: scopes.clone(),
            resource: Some(resource),
        };
        manager.validate_client_credentials_metadata(&config)?;
        manager.configure_client_credentials(&config)?;
        Ok(Issuer { manager, config, scopes })
    }

    /// What to ask for: what is configured, else what the server says that it wants. Where a token
    /// allowed too little, what it allowed and what was missing.
    async fn scopes(
        &self,
        manager: &AuthorizationManager,
        challenge: Option<&str>,
        before: Vec<String>,
    ) -> Vec<String> {
        let challenge = challenge.map(|text| WWWAuthenticateParams::parse(text, &self.url));
        let missing = challenge.filter(WWWAuthenticateParams::is_insufficient_scope);
        let missing = missing.and_then(|challenge| challenge.scope).unwrap_or_default();
        let mut scopes = if !missing.is_empty() && !before.is_empty() {
            before
        } else if self.scopes.is_empty() {
            manager.select_initial_scopes(&[]).await
        } else {
            self.scopes.clone()
        };
        scopes.retain(|scope| scope != OFFLINE);
        for scope in missing.split_whitespace() {
            if !scopes.iter().any(|known| known == scope) {
                scopes.push(scope.to_owned());
            }
        }
        scopes
    }

    fn current(&self) -> Option<Token> {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, Option<Token>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// How long a token with such a life is used.
fn usable(life: Duration) -> Duration {
    life.saturating_sub(AHEAD).max(life.mul_f32(0.9)).min(life)
}

fn no_token(reason: &str) -> Failure {
    Failure::Unreachable(format!("there is no access token for it: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_before_it_expires() {
        let check = |life, expected| {
            assert_eq!(usable(Duration::from_secs(life)).as_secs(), expected, "{life}");
        };
        check(3_600, 3_540);
        check(100, 90);
        check(0, 0);
    }
}
