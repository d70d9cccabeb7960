//! HTTP/1.1 as far as a load generator needs it: little work per request, so that the load costs
//! less than what it measures.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A reply to a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// `Mcp-Session-Id`
    pub(crate) session: Option<String>,
    /// The one JSON-RPC message, whether it came as JSON or as an event; empty where none came.
    pub(crate) message: Vec<u8>,
}

/// A connection that is kept alive, with one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    received: BytesMut,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: BytesMut::with_capacity(4_096) })
    }

    /// Sends a request and reads its reply whole.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Reply> {
        let head = self.begin(request).await?;
        loop {
            let body = self.received.get(head.length..).unwrap_or_default();
            if let Some(body) = head.body.whole(body)? {
                let message = if head.events { last_event(&body) } else { body };
                return Ok(Reply { status: head.status, session: head.session, message });
            }
            self.receive().await?;
        }
    }

    /// Sends a request for a stream of events, which then stays open. Gives the status.
    pub(crate) async fn listen(&mut self, request: &[u8]) -> io::Result<u16> {
        Ok(self.begin(request).await?.status)
    }

    async fn begin(&mut self, request: &[u8]) -> io::Result<Head> {
        self.received.clear();
        self.stream.write_all(request).await?;
        loop {
            self.receive().await?;
            if let Some(head) = Head::read(&self.received)? {
                return Ok(head);
            }
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::Error::other("the server closed the connection")),
            _ => Ok(()),
        }
    }
}

/// Where a body ends.
#[derive(Debug, PartialEq, Eq)]
enum Body {
    Sized(usize),
    Chunked,
}

impl Body {
    /// The body, where all of it is there.
    fn whole(&self, received: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Sized(length) => Ok(received.get(..*length).map(<[u8]>::to_vec)),
            Self::Chunked => unchunked(received),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    /// How many bytes it has.
    length: usize,
    status: u16,
    body: Body,
    events: bool,
    session: Option<String>,
}

impl Head {
    /// Reads a head, where all of it is there.
    fn read(received: &[u8]) -> io::Result<Option<Self>> {
        const END: &[u8] = b"\r\n\r\n";
        let Some(at) = received.windows(END.len()).position(|window| window == END) else {
            return Ok(None);
        };
        let text = received.get(..at).and_then(|head| std::str::from_utf8(head).ok());
        let mut lines = text.unwrap_or_default().split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("the reply has no status"))?;
        let length = at + END.len();
        let mut head = Self { length, status, body: Body::Sized(0), events: false, session: None };
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("content-length") {
                let length = value.parse();
                head.body = Body::Sized(length.map_err(io::Error::other)?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.body = Body::Chunked;
            } else if name.eq_ignore_ascii_case("content-type") {
                head.events = value.starts_with("text/event-stream");
            } else if name.eq_ignore_ascii_case("mcp-session-id") {
                head.session = Some(value.to_owned());
            }
        }
        Ok(Some(head))
    }
}

/// A chunked body without its frames, where its last chunk is there.
fn unchunked(mut received: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(at) = received.windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let (size, rest) = received.split_at(at);
        let size = std::str::from_utf8(size).ok().and_then(|s| usize::from_str_radix(s, 16).ok());
        let size = size.ok_or_else(|| io::Error::other("a chunk has no size"))?;
        let (Some(chunk), Some(after)) = (rest.get(2..2 + size), rest.get(2 + size + 2..)) else {
            return Ok(None);
        };
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(chunk);
        received = after;
    }
}

/// The data of the last event that has any; servers may begin with one that has none.
fn last_event(body: &[u8]) -> Vec<u8> {
    let lines = body.split(|&byte| byte == b'\n');
    let mut data = lines.filter_map(|line| line.strip_prefix(b"data:")).map(<[u8]>::trim_ascii);
    data.rfind(|data| !data.is_empty()).unwrap_or_default().to_vec()
}
