//! How a wire to an instance is opened.

use std::future::ready;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::catalogue::ServerName;
use crate::provider::upstream::http;
use crate::provider::upstream::process::{self, Launcher, Vitals};
use crate::provider::upstream::spec::HttpTransport;
use crate::provider::upstream::{Inbox, Tail, Target, UpstreamSpec, Wire};

/// What an instance is opened with.
pub struct Opening {
    /// The upstream's name.
    pub name: ServerName,
    /// What it is.
    pub spec: Arc<UpstreamSpec>,
    /// Which of HTTP's transports it speaks, as far as that is known.
    pub transport: HttpTransport,
    /// Where its standard error goes.
    pub tail: Tail,
    /// Who takes what comes over the wire.
    pub inbox: Arc<dyn Inbox>,
}

/// A wire, and what is seen of the process at its end where it is one of ours; or why there is
/// none, in one sentence that says what to do.
pub type Opened = Result<(Wire, Option<Vitals>), String>;

/// Opens wires.
pub trait Open: Send + Sync + 'static {
    /// Opens the wire to a new instance. Dropping the wire's work ends the instance.
    fn open(&self, opening: Opening) -> BoxFuture<'static, Opened>;
}

/// The wires there are: to processes of ours, and over HTTP.
pub struct Wires {
    /// Who starts processes.
    pub launcher: Launcher,
}

impl Open for Wires {
    fn open(&self, opening: Opening) -> BoxFuture<'static, Opened> {
        let Opening { name, spec, transport, tail, inbox } = opening;
        match &spec.target {
            Target::Stdio(command) => {
                let settings = process::Settings {
                    name: name.to_string(),
                    shutdown: spec.shutdown,
                    message_limit_bytes: process::MESSAGE_LIMIT_BYTES,
                };
                let opened = process::open(settings, command, &self.launcher, tail, inbox);
                let opened = opened.map(|(wire, vitals)| (wire, Some(vitals)));
                Box::pin(ready(opened.map_err(|error| error.to_string())))
            }
            Target::Http(target) => {
                let opened = http::open(target, transport, http::Limits::default(), inbox);
                let opened = opened.map(|wire| (wire, None));
                Box::pin(ready(opened.map_err(|error| error.to_string())))
            }
        }
    }
}
