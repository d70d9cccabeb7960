//! The server `test`, whose calls end when the test says so.

use std::sync::Arc;

use erlmcp::provider::native::{Context, NativeServer, NoArguments};
use tokio::sync::{Mutex, Semaphore, mpsc};

use crate::harness::within;

/// What the tool `test__hold` tells and waits for.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) started: Arc<Mutex<mpsc::Receiver<()>>>,
    pub(crate) ended: Arc<Mutex<mpsc::Receiver<End>>>,
    pub(crate) release: Arc<Semaphore>,
}

/// How a held call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Finished,
    Dropped,
}

impl Held {
    pub(crate) async fn started(&self) {
        within(async { self.started.lock().await.recv().await }).await.unwrap();
    }

    pub(crate) async fn ended(&self) -> End {
        within(async { self.ended.lock().await.recv().await }).await.unwrap()
    }
}

/// Tells how its call ended.
struct Ending(mpsc::Sender<End>, End);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.try_send(self.1).expect("there is room for all ends");
    }
}

/// The server `test`: `hold` waits to be released, `ended` until it was; `panic` panics.
pub(crate) fn server() -> (NativeServer, Held) {
    let (tell_start, started) = mpsc::channel(10_000);
    let (tell_end, ended) = mpsc::channel(10_000);
    let release = Arc::new(Semaphore::new(0));
    let (started, ended) = (Arc::new(Mutex::new(started)), Arc::new(Mutex::new(ended)));
    let held = Held { started, ended, release: release.clone() };
    let ends = held.clone();
    let server = NativeServer::builder("test")
        .tool("hold", "Waits to be released.", move |_: NoArguments, context: Context| {
            let (release, started, ended) = (release.clone(), tell_start.clone(), tell_end.clone());
            async move {
                let mut ending = Ending(ended, End::Dropped);
                started.send(()).await.unwrap();
                context.progress(0.0, None, None);
                release.acquire().await.unwrap().forget();
                ending.1 = End::Finished;
                "released"
            }
        })
        .tool("ended", "Tells how a held call ended.", move |_: NoArguments, _| {
            let held = ends.clone();
            async move { format!("{:?}", held.ended().await) }
        })
        .tool("panic", "Panics.", panics)
        .build();
    (server.unwrap(), held)
}

async fn panics(_: NoArguments, _: Context) {
    panic!("the tool panics on purpose")
}
