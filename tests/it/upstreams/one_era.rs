//! A proxy that makes a server of both eras one of a single era: what is of the other is refused as
//! such a server refuses it.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::MODERN;

/// An era of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    Legacy,
    Modern,
}

/// The proxy; it ends with its owner.
pub(super) struct OneEra {
    pub(super) address: SocketAddr,
    _task: JoinSet<()>,
}

impl OneEra {
    pub(super) async fn before(server: SocketAddr, era: Era) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = [serve(listener, server, era)].into_iter().collect();
        Self { address, _task: task }
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, era: Era) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        connections.spawn(async move {
            let service = service_fn(move |request| async move {
                Ok::<_, Infallible>(answer(request, server, era).await)
            });
            // A client that goes away is nobody's error.
            let served = hyper::server::conn::http1::Builder::new();
            let _ = served.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Body = BoxBody<Bytes, hyper::Error>;

async fn answer(request: Request<Incoming>, server: SocketAddr, era: Era) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let version = head.headers.get("mcp-protocol-version").is_some_and(|told| told == MODERN);
    let is_modern = version || message["method"] == "server/discover";
    let refusal = match era {
        // As the official SDKs answer a version that they never heard of.
        Era::Legacy if is_modern => {
            let text = "Bad Request: Unsupported protocol version";
            Some((StatusCode::BAD_REQUEST, json!({ "code": -32000, "message": text })))
        }
        Era::Modern if !is_modern && head.method != hyper::Method::POST => {
            Some((StatusCode::METHOD_NOT_ALLOWED, json!({ "code": -32000, "message": "POST it" })))
        }
        Era::Modern if !is_modern => {
            let data = json!({ "supported": [MODERN], "requested": "2025-11-25" });
            let text = "Unsupported protocol version";
            let error = json!({ "code": -32022, "message": text, "data": data });
            Some((StatusCode::BAD_REQUEST, error))
        }
        _ => None,
    };
    if let Some((status, error)) = refusal {
        let text = json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }).to_string();
        let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed();
        let response = Response::builder().status(status);
        return response.header("content-type", "application/json").body(body).unwrap();
    }
    head.headers.insert("host", server.to_string().parse().unwrap());
    let stream = TcpStream::connect(server).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let opened = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = opened.unwrap();
    // It ends with the response that it carries.
    tokio::spawn(connection);
    let response = sender.send_request(Request::from_parts(head, Full::new(body))).await;
    response.unwrap().map(BodyExt::boxed)
}
