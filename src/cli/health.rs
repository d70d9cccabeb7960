//! `erlmcp health`: asks a node's `/health` over HTTP, as a container's health check does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::HOST;
use http::{Request, StatusCode, Uri};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::configured::Configured;
use super::control::block_on;
use super::exit::{FAILED, Failure, UNREACHABLE, print, print_json};
use super::layout::{columns, span};

/// How long a node may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
const REPORT_BYTES: usize = 64 * 1024;
const PATH: &str = "/health";

#[derive(Debug, Args)]
pub(super) struct Health {
    /// The node's address, such as http://127.0.0.1:9100; else the configuration tells.
    #[arg(long, value_name = "URL", value_parser = url)]
    url: Option<Uri>,
    #[command(flatten)]
    configured: Configured,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match (url.scheme_str(), url.authority()) {
        (Some("http"), Some(_)) => Ok(url),
        _ => Err("write it as http://HOST:PORT".to_owned()),
    }
}

/// Where to connect, and what to ask there.
struct Question {
    connect: String,
    host: String,
    path: String,
}

impl Health {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (status, body) = block_on(self.report())?;
        let report: Map<String, Value> = serde_json::from_slice(&body).map_err(|_| {
            Failure::new(FAILED, format!("the answer is no health report, but {status}"))
        })?;
        let word = report.get("status").and_then(Value::as_str).unwrap_or("unknown").to_owned();
        if self.json {
            print_json(&report)?;
        } else {
            let mut rows: Vec<_> = report.iter().map(row).collect();
            rows.sort_by_key(|[name, _]| name != "status");
            print(&columns(&rows))?;
        }
        if status == StatusCode::OK && matches!(word.as_str(), "ok" | "degraded") {
            return Ok(());
        }
        Err(Failure::new(FAILED, format!("the node is {word} ({status})")))
    }

    /// The first answer that any of the addresses gives.
    async fn report(&self) -> Result<(StatusCode, Bytes), Failure> {
        let mut why = "the configuration names no port; give --url".to_owned();
        for question in self.questions()? {
            let answer = timeout(ANSWER, fetch(&question)).await;
            why = match answer {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => format!("no node answers at {}: {error}", question.connect),
                Err(_elapsed) => format!("{} does not answer in time", question.connect),
            };
        }
        Err(Failure::new(UNREACHABLE, why))
    }

    fn questions(&self) -> Result<Vec<Question>, Failure> {
        if let Some(url) = &self.url {
            let host = url.authority().map(ToString::to_string).unwrap_or_default();
            let connect = if url.port().is_some() { host.clone() } else { format!("{host}:80") };
            let path = url.path_and_query().map_or(PATH, |path| path.as_str());
            let path = if path == "/" { PATH } else { path }.to_owned();
            return Ok(vec![Question { connect, host, path }]);
        }
        let config = self.configured.load()?;
        let listed = config.http.allowed_hosts.first();
        let addresses = [config.metrics.listen, config.http.listen];
        let known = addresses.into_iter().filter(|address| address.port() != 0);
        Ok(known
            .map(|address| {
                let connect = reachable(address).to_string();
                let host = listed.cloned().unwrap_or_else(|| connect.clone());
                Question { connect, host, path: PATH.to_owned() }
            })
            .collect())
    }
}

/// One figure of a report.
fn row((name, value): (&String, &Value)) -> [String; 2] {
    match (name.strip_suffix("_s"), value.as_u64(), value.as_str()) {
        (Some(name), Some(seconds), _) => [name.replace('_', " "), span(seconds)],
        (_, _, Some(text)) => [name.replace('_', " "), text.to_owned()],
        _ => [name.replace('_', " "), value.to_string()],
    }
}

/// Where something that listens on all addresses is found.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn fetch(question: &Question) -> Result<(StatusCode, Bytes), AnyError> {
    let stream = TcpStream::connect(&question.connect).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(&question.path).header(HOST, &question.host).body(String::new())?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        Ok::<_, AnyError>((status, collect(answer.into_body()).await?))
    };
    let mut exchange = pin!(exchange);
    tokio::select! {
        answer = exchange.as_mut() => return answer,
        // The peer closes once it has answered; the rest is here already.
        _ = connection => {}
    }
    exchange.await
}

async fn collect(body: Incoming) -> Result<Bytes, AnyError> {
    let (mut body, mut bytes) = (body, Vec::new());
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > REPORT_BYTES {
            return Err("the answer is too long".into());
        }
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_is_asked() {
        for good in ["http://127.0.0.1:9100", "http://a.test/health?x=1", "http://[::1]:1/"] {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in ["https://a.test", "127.0.0.1:9100", "/health", "ftp://a", ""] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn all_addresses_are_found_at_loopback() {
        let table =
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")];
        for (listens, expected) in table {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), expected);
        }
    }
}
