//! HTTP/1.1 by hand: bytes in, as they are, and what comes back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{TestNode, within};

/// A connection to a node.
pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Raw {
    /// The error's code; 0 for a result, or where there is no JSON.
    pub(crate) fn code(&self) -> i64 {
        let json: Value = serde_json::from_str(&self.body).unwrap_or_default();
        json["error"]["code"].as_i64().unwrap_or_default()
    }

    /// A header's value; `None` where it isn't there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }
}

impl Wire {
    pub(crate) async fn to(node: &TestNode) -> Self {
        Self::to_address(node.node.http_address()).await
    }

    pub(crate) async fn to_address(address: SocketAddr) -> Self {
        Self { stream: within(TcpStream::connect(address)).await.unwrap(), read: Vec::new() }
    }

    /// A connection that takes little before its peer has to wait.
    pub(crate) async fn narrow(node: &TestNode) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let stream = within(socket.connect(node.node.http_address())).await.unwrap();
        Self { stream, read: Vec::new() }
    }

    /// Sends bytes, all at once.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within(self.stream.write_all(bytes.as_ref())).await
    }

    /// Sends bytes one by one, with pauses; `false` where the node hung up meanwhile.
    pub(crate) async fn drip(&mut self, bytes: &[u8], pause: Duration) -> bool {
        for byte in bytes {
            if self.stream.write_all(&[*byte]).await.is_err() {
                return false;
            }
            tokio::time::sleep(pause).await;
        }
        true
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next response, read whole; `None` where the node hung up before its head.
    pub(crate) async fn answer(&mut self) -> Option<Raw> {
        let head = self.head().await?;
        let mut raw = Raw { status: status(&head), head, body: String::new() };
        let body = if raw.header("transfer-encoding").is_some() {
            self.chunks().await
        } else {
            let length = raw.header("content-length").map_or(0, |text| text.parse().unwrap());
            self.take(length).await
        };
        raw.body = String::from_utf8(body.unwrap_or_default()).unwrap();
        Some(raw)
    }

    /// The head of the next response.
    pub(crate) async fn head(&mut self) -> Option<String> {
        let end = loop {
            match self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more().await?,
            }
        };
        Some(String::from_utf8(self.read.drain(..end).collect()).unwrap())
    }

    /// The rest of the next line that has this in front.
    pub(crate) async fn line_with(&mut self, front: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            if let Some(rest) = whole.lines().find_map(|line| line.strip_prefix(front)) {
                return rest.to_owned();
            }
            self.more().await.expect("it goes on");
        }
    }

    /// Waits until the node hangs up, and gives how many bytes came before.
    pub(crate) async fn hung_up(&mut self) -> usize {
        while self.more().await.is_some() {}
        self.read.len()
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let end = loop {
                match self.read.windows(2).position(|two| two == b"\r\n") {
                    Some(at) => break at,
                    None => self.more().await?,
                }
            };
            let line: Vec<u8> = self.read.drain(..end + 2).collect();
            let length = usize::from_str_radix(std::str::from_utf8(&line[..end]).unwrap(), 16);
            let length = length.unwrap();
            all.extend(self.take(length).await?);
            self.take(2).await?;
            if length == 0 {
                return Some(all);
            }
        }
    }

    async fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.read.len() < length {
            self.more().await?;
        }
        Some(self.read.drain(..length).collect())
    }

    /// Reads something; `None` at the end. A reset is an end, too.
    async fn more(&mut self) -> Option<()> {
        self.read.reserve(16 * 1024);
        let length = within(self.stream.read_buf(&mut self.read)).await.unwrap_or(0);
        (length > 0).then_some(())
    }
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{head}"))
}

/// A POST to `/mcp` with these header lines, each ending in CRLF, and a body of announced length.
pub(crate) fn post(lines: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
