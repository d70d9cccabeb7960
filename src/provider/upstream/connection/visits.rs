//! Who is told that a URL was visited (`notifications/elicitation/complete`, 2025-11-25): the
//! client that was sent there, and no other.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::protocol::{Ask, AskKind};
use crate::provider::{ClientLink, Who};

/// Visits of one server that are waited for; of more, the oldest are forgotten.
const MAX_VISITS: usize = 256;

/// The visits that a server may tell of.
#[derive(Default)]
pub(super) struct Visits(VecDeque<(String, Weak<dyn ClientLink>)>);

impl Visits {
    /// A client is asked; where that sends it to a URL, it wants to hear of its visit.
    pub(super) fn expect_of(&mut self, ask: &Ask, who: &Who) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Params {
            elicitation_id: String,
        }
        if ask.kind != AskKind::ElicitUrl {
            return;
        }
        let params = ask.params.as_deref().map(RawValue::get);
        let params = params.and_then(|params| serde_json::from_str::<Params>(params).ok());
        if let Some(Params { elicitation_id }) = params {
            self.expect(elicitation_id, who);
        }
    }

    /// A call ended with an error that sends its client to URLs (-32042).
    pub(super) fn expect_all(&mut self, data: &Value, who: &Who) {
        let sent = data.get("elicitations").and_then(Value::as_array).into_iter().flatten();
        for id in sent.filter_map(|one| one.get("elicitationId")?.as_str()) {
            self.expect(id.to_owned(), who);
        }
    }

    /// Whom to tell of a visit.
    pub(super) fn take(&mut self, id: &str) -> Option<Arc<dyn ClientLink>> {
        let at = self.0.iter().position(|(known, _)| known == id)?;
        self.0.remove(at)?.1.upgrade()
    }

    fn expect(&mut self, id: String, who: &Who) {
        let Some(later) = &who.later else { return };
        if self.0.len() >= MAX_VISITS {
            self.0.pop_front();
        }
        self.0.push_back((id, Weak::clone(later)));
    }
}
