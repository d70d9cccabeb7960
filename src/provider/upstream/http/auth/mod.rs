//! How the node says who it is to a server: with a token of its own, never with one of a client's.

mod exchange;
mod oauth;
mod token_file;

use http::HeaderMap;
use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use url::Url;

use self::oauth::ClientCredentials;
use self::token_file::TokenFile;
use super::client::Client;
use crate::provider::upstream::Failure;
use crate::provider::upstream::spec::UpstreamAuth;

/// What a server is shown.
pub(super) enum Credentials {
    /// Nothing but the headers that are set.
    None,
    File(TokenFile),
    Client(Box<ClientCredentials>),
}

impl Credentials {
    pub(super) fn new(auth: Option<&UpstreamAuth>, url: &Url, client: &Client) -> Self {
        match auth {
            None => Self::None,
            Some(UpstreamAuth::TokenFile(path)) => Self::File(TokenFile::new(path.clone())),
            Some(UpstreamAuth::ClientCredentials { client_id, client_secret, scopes }) => {
                let (url, client) = (url.clone(), client.clone());
                let (id, secret) = (client_id.clone(), client_secret.clone());
                Self::Client(ClientCredentials::new(url, client, id, secret, scopes.clone()).into())
            }
        }
    }

    /// What the next request bears as `Authorization`.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] where there has to be a token and can't be one.
    pub(super) async fn token(&self) -> Result<Option<HeaderValue>, Failure> {
        match self {
            Self::None => Ok(None),
            Self::File(file) => file.token().await.map(Some),
            Self::Client(client) => client.token().await,
        }
    }

    /// Another token, where the server refused the one that it was shown and there is another.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub(super) async fn renewed(
        &self,
        refused: Option<&HeaderValue>,
        refusal: &HeaderMap,
    ) -> Result<Option<HeaderValue>, Failure> {
        match self {
            Self::None => Ok(None),
            Self::File(file) => file.renewed(refused).await,
            Self::Client(client) => client.renewed(refused, challenge(refusal)).await,
        }
    }
}

/// Whether an answer asks for another token: none or a bad one (401), or one that allows too little
/// (403, RFC 6750 section 3.1).
pub(super) fn asks_for_token(status: StatusCode, headers: &HeaderMap) -> bool {
    match status {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::FORBIDDEN => {
            challenge(headers).is_some_and(|challenge| challenge.contains("insufficient_scope"))
        }
        _ => false,
    }
}

/// The challenge for a bearer token; a server may offer other schemes beside it.
fn challenge(headers: &HeaderMap) -> Option<&str> {
    let mut challenges =
        headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    challenges.find(|challenge| {
        challenge.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
    })
}

/// A token as `Authorization` has it; nothing where no header can carry it.
fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_asks_for_another_token() {
        let check = |status, challenge: Option<&'static str>, expected| {
            let challenges =
                challenge.map(|text| (WWW_AUTHENTICATE, HeaderValue::from_static(text)));
            let headers: HeaderMap = challenges.into_iter().collect();
            assert_eq!(asks_for_token(status, &headers), expected, "{status} {challenge:?}");
        };
        check(StatusCode::UNAUTHORIZED, None, true);
        check(StatusCode::UNAUTHORIZED, Some("Basic realm=\"x\""), true);
        check(StatusCode::FORBIDDEN, None, false);
        check(StatusCode::FORBIDDEN, Some("Bearer error=\"insufficient_scope\""), true);
        check(StatusCode::FORBIDDEN, Some("Basic error=\"insufficient_scope\""), false);
        check(StatusCode::OK, Some("Bearer error=\"insufficient_scope\""), false);
    }

    #[test]
    fn a_token_is_never_shown() {
        assert!(!format!("{:?}", bearer("hunter2")).contains("hunter2"));
        assert_eq!(bearer("a\nb"), None);
    }
}
