//! A proxy in front of a node, whose connections can be cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::within;

/// A proxy; it ends with its owner.
pub(crate) struct Proxy {
    /// Leads to the node.
    pub(crate) url: String,
    /// Whoever connects here cuts all connections that go through the proxy at this moment.
    pub(crate) cut_url: String,
    cuts: watch::Receiver<()>,
    _task: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn start(node: SocketAddr) -> Self {
        let (passing, knocks) = (bind().await, bind().await);
        let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (url, cut_url) = (url(&passing), url(&knocks));
        let (cut, cuts) = watch::channel(());
        let task = [serve(passing, knocks, node, cut)].into_iter().collect();
        Self { url, cut_url, cuts, _task: task }
    }

    /// Waits until connections were cut, and are closed.
    pub(crate) async fn was_cut(&self) {
        within(self.cuts.clone().changed()).await.unwrap();
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn serve(
    passing: TcpListener,
    knocks: TcpListener,
    node: SocketAddr,
    cut: watch::Sender<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            client = passing.accept() => {
                let (mut client, _) = client.unwrap();
                connections.spawn(async move {
                    let mut node = TcpStream::connect(node).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut node).await;
                });
            }
            knock = knocks.accept() => {
                connections.shutdown().await;
                cut.send_replace(());
                drop(knock);
            }
        }
    }
}
