//! The other servers: each answers `tools/call` of `echo` as the node does.

mod rmcp;
mod warp;

use std::io;

use clap::ValueEnum;
use tokio::net::TcpListener;

/// A server that runs beside the node.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Peer {
    Warp,
    Rmcp,
    /// The same over standard input and output.
    RmcpPipe,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Warp => "warp",
            Self::Rmcp => "rmcp",
            Self::RmcpPipe => "rmcp-pipe",
        }
    }
}

/// Serves on a free port, which it tells on stderr, or on its pipes, until the process is ended.
///
/// # Errors
/// Where there is no port, or no runtime.
pub(crate) fn serve(peer: Peer) -> io::Result<()> {
    // As the node does it: a worker for each core that the process may use.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Peer::RmcpPipe = peer {
            return rmcp::serve_pipe().await;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("http={}", listener.local_addr()?);
        match peer {
            Peer::Warp => warp::serve(listener).await,
            Peer::Rmcp | Peer::RmcpPipe => rmcp::serve(listener).await?,
        }
        Ok(())
    })
}
