//! The methods that clients call, and the revisions that have them.

use std::ops::RangeInclusive;

use super::Revision;
use super::Revision::{V2024_11_05, V2025_11_25, V2026_07_28};

/// A method that some revision knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Opens a session.
    Initialize,
    /// Is somebody there.
    Ping,
    /// What the server offers, without a session.
    Discover,
    /// The tools.
    ListTools,
    /// Runs one.
    CallTool,
    /// The prompts.
    ListPrompts,
    /// Fills one in.
    GetPrompt,
    /// The resources.
    ListResources,
    /// Patterns of resources.
    ListTemplates,
    /// Reads one.
    ReadResource,
    /// Asks to be told when a resource changes.
    Subscribe,
    /// Asks not to be told any more.
    Unsubscribe,
    /// Suggests values of an argument.
    Complete,
    /// Which log messages a session wants.
    SetLevel,
    /// A stream of notifications.
    Listen,
    /// How a task is.
    GetTask,
    /// Waits for a task's outcome.
    TaskResult,
    /// The tasks.
    ListTasks,
    /// Ends one.
    CancelTask,
    /// Answers what a task asks.
    UpdateTask,
}

const ALWAYS: RangeInclusive<Revision> = V2024_11_05..=V2026_07_28;
const LEGACY: RangeInclusive<Revision> = V2024_11_05..=V2025_11_25;
const MODERN: RangeInclusive<Revision> = V2026_07_28..=V2026_07_28;

/// The whole method table: a name, the method, the revisions that have it.
const METHODS: [(&str, Method, RangeInclusive<Revision>); 20] = [
    ("initialize", Method::Initialize, LEGACY),
    ("ping", Method::Ping, LEGACY),
    ("server/discover", Method::Discover, MODERN),
    ("tools/list", Method::ListTools, ALWAYS),
    ("tools/call", Method::CallTool, ALWAYS),
    ("prompts/list", Method::ListPrompts, ALWAYS),
    ("prompts/get", Method::GetPrompt, ALWAYS),
    ("resources/list", Method::ListResources, ALWAYS),
    ("resources/templates/list", Method::ListTemplates, ALWAYS),
    ("resources/read", Method::ReadResource, ALWAYS),
    ("resources/subscribe", Method::Subscribe, LEGACY),
    ("resources/unsubscribe", Method::Unsubscribe, LEGACY),
    ("completion/complete", Method::Complete, ALWAYS),
    ("logging/setLevel", Method::SetLevel, LEGACY),
    ("subscriptions/listen", Method::Listen, MODERN),
    ("tasks/get", Method::GetTask, V2025_11_25..=V2026_07_28),
    ("tasks/result", Method::TaskResult, V2025_11_25..=V2025_11_25),
    ("tasks/list", Method::ListTasks, V2025_11_25..=V2025_11_25),
    ("tasks/cancel", Method::CancelTask, V2025_11_25..=V2026_07_28),
    ("tasks/update", Method::UpdateTask, MODERN),
];

impl Method {
    /// Finds a method of a revision by its name.
    pub fn parse(name: &str, revision: Revision) -> Option<Self> {
        let known = METHODS.iter().find(|(n, _, has)| *n == name && has.contains(&revision));
        known.map(|(_, method, _)| *method)
    }

    /// The name as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        METHODS.iter().find(|(_, method, _)| *method == self).map_or("_other", |(name, _, _)| name)
    }

    /// A label of bounded cardinality for a name that a client chose.
    pub fn label(name: &str) -> &'static str {
        METHODS.iter().find(|(n, _, _)| *n == name).map_or("_other", |(name, _, _)| name)
    }

    /// The member of `params` that `Mcp-Name` mirrors (2026-07-28).
    pub fn mirrored(self) -> Option<&'static str> {
        match self {
            Self::CallTool | Self::GetPrompt => Some("name"),
            Self::ReadResource => Some("uri"),
            Self::GetTask | Self::CancelTask | Self::UpdateTask => Some("taskId"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Revision::V2025_03_26;

    #[test]
    fn methods_belong_to_revisions() {
        for (name, oldest, latest_legacy, modern) in [
            ("initialize", true, true, false),
            ("ping", true, true, false),
            ("server/discover", false, false, true),
            ("tools/list", true, true, true),
            ("tools/call", true, true, true),
            ("tasks/get", false, true, true),
            ("tasks/result", false, true, false),
            ("tasks/update", false, false, true),
            ("logging/setLevel", true, true, false),
            ("Tools/call", false, false, false),
        ] {
            let has = |revision| Method::parse(name, revision).is_some();
            assert_eq!(has(V2024_11_05), oldest, "{name}");
            assert_eq!(has(V2025_11_25), latest_legacy, "{name}");
            assert_eq!(has(V2026_07_28), modern, "{name}");
            assert!(!has(V2025_03_26) || oldest, "{name}");
        }
        assert_eq!(Method::label("x/y"), "_other");
        assert_eq!(Method::CallTool.as_str(), "tools/call");
    }
}
