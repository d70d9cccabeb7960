//! How a server is best spoken to, as far as earlier instances of it taught that.

use crate::protocol::Era;
use crate::provider::upstream::spec::HttpTransport;
use crate::provider::upstream::{OpenError, Target, UpstreamSpec};

/// A way to speak with a server; nothing is known of it by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// The era, where it needn't be asked for.
    pub(super) era: Option<Era>,
    /// Whether it speaks HTTP+SSE of 2024-11-05 only.
    pub(super) by_sse: bool,
}

impl Way {
    /// Which of HTTP's transports the next wire is for.
    pub(super) fn transport(self, spec: &UpstreamSpec) -> HttpTransport {
        match &spec.target {
            Target::Http(target) if target.transport != HttpTransport::Auto => target.transport,
            _ if self.by_sse => HttpTransport::Sse,
            _ => HttpTransport::Auto,
        }
    }

    /// What a failed handshake teaches: the next way, and whether that is another one, which is
    /// worth to be tried at once.
    pub(super) fn after(self, spec: &UpstreamSpec, error: &OpenError) -> (Self, bool) {
        let is_http = matches!(spec.target, Target::Http(_));
        if error.is_no_endpoint() && is_http && self.transport(spec) == HttpTransport::Auto {
            return (Self { by_sse: true, ..self }, true);
        }
        if self.era.is_none() && error.spoiled_by_probe() {
            return (Self { era: Some(Era::Legacy), ..self }, true);
        }
        match error {
            // It says nothing of the way.
            OpenError::Ended { .. } | OpenError::TimedOut { .. } => (self, false),
            _ => (Self::default(), false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::provider::upstream::Failure;
    use crate::provider::upstream::spec::{Command, HttpTarget};

    #[test]
    fn a_failed_handshake_teaches_the_way() {
        let http = |transport| {
            let (url, headers) = ("http://a/mcp".to_owned(), BTreeMap::new());
            UpstreamSpec::new(Target::Http(HttpTarget { url, transport, headers, auth: None }))
        };
        let stdio = UpstreamSpec::new(Target::Stdio(Command::default()));
        let auto = http(HttpTransport::Auto);
        let status = |status| OpenError::Failed(Failure::Status { status, body: String::new() });
        let ended = |probing| OpenError::Ended { cause: String::new(), probing };
        let slow = OpenError::TimedOut { after: Duration::ZERO, probed: true };
        let refused = OpenError::Refused(String::new());
        let (none, legacy) = (Way::default(), Way { era: Some(Era::Legacy), by_sse: false });
        let sse = Way { era: None, by_sse: true };
        let table = [
            (none, &stdio, ended(true), legacy, true),
            (none, &stdio, ended(false), none, false),
            (none, &stdio, slow, legacy, true),
            (legacy, &stdio, ended(false), legacy, false),
            (legacy, &stdio, refused, none, false),
            (none, &auto, status(405), sse, true),
            (sse, &auto, status(405), none, false),
            (none, &auto, status(500), none, false),
            (none, &http(HttpTransport::Streamable), status(404), none, false),
        ];
        for (way, spec, error, next, is_other) in table {
            assert_eq!(way.after(spec, &error), (next, is_other), "{way:?} {error:?}");
        }
        assert_eq!(sse.transport(&auto), HttpTransport::Sse);
        assert_eq!(sse.transport(&http(HttpTransport::Streamable)), HttpTransport::Streamable);
    }
}
