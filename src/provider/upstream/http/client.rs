//! The HTTP client: connections that are kept and used again, plain or with TLS.
//!
//! It follows no redirect, uses no proxy, keeps no cookie and reads nothing from the environment
//! but where the system's certificates are (`SSL_CERT_FILE`, `SSL_CERT_DIR`). Its connections are
//! tasks of hyper's, which end when the client and the answers that it gave are dropped.
//!
//! All connections, those to issuers of tokens too, are made by the one connector here: it is the
//! place that can tell which addresses may be reached.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client as Pool};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::provider::upstream::Failure;

/// A peer that is gone without a word is noticed after about two minutes.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;
/// How long a connection may be unused. Many servers close theirs after 60 seconds or more; one
/// that we close first is never found closed by the next request.
const IDLE: Duration = Duration::from_secs(30);

/// A client for one server, and for who gives it tokens.
#[derive(Debug, Clone)]
pub(super) struct Client(Pool<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Client {
    /// A client that waits so long for a connection.
    ///
    /// # Errors
    /// Where TLS is needed and the system has no certificates to trust.
    pub(super) fn new(has_tls: bool, connect_timeout: Duration) -> io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect_timeout));
        tcp.set_keepalive(Some(PROBE_AFTER));
        tcp.set_keepalive_interval(Some(PROBE_EVERY));
        tcp.set_keepalive_retries(Some(PROBES));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(has_tls)?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(PROBE_AFTER)
            .build(connector);
        Ok(Self(pool))
    }

    /// Sends a request, and gives its answer as soon as the headers are there.
    ///
    /// A connection that turns out to be closed before anything was sent on it is replaced; beyond
    /// that nothing is ever sent twice.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] where there is no connection, [`Failure::Lost`] where it broke.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        self.0.request(request).await.map_err(|error| failure(&error))
    }
}

/// The system's roots where they are needed; none where nobody asks for them, so that a machine
/// without certificates can still reach its neighbours.
fn tls(is_needed: bool) -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = if is_needed {
        builder.with_native_roots()?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

fn failure(error: &legacy::Error) -> Failure {
    let reason = reason(error);
    if error.is_connect() { Failure::Unreachable(reason) } else { Failure::Lost(reason) }
}

/// What an error comes down to: its innermost cause.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::TimedOut) => "no connection in time".to_owned(),
        _ => innermost.to_string(),
    }
}
