//! One server: from its keys to what it is.

use std::time::Duration;

use super::entry::Entry;
use super::fields::{At, Reader};
use super::keys;
use super::notes::Notes;
use super::target::target;
use super::variables::Variables;
use crate::provider::upstream::spec::{Command, Restart, Share, ToolFilter};
use crate::provider::upstream::{Target, UpstreamSpec};

/// The most instances that run side by side for those who share.
const MOST_INSTANCES: u64 = 256;
/// The most restarts in a window that anybody may take for bad luck.
const MOST_RESTARTS: u64 = 10_000;

/// What a server is; `None` where it can't be served. All that is wrong with it is told.
pub(super) fn spec(
    entry: Entry,
    variables: &Variables<'_>,
    notes: &mut Notes,
) -> Option<UpstreamSpec> {
    let mut reader = Reader::new(entry.fields, keys::SERVER, entry.place, variables, notes);
    let (enabled, disabled) = (reader.flag("enabled"), reader.flag("disabled"));
    let enabled = enabled.unwrap_or(true) && !disabled.unwrap_or(false);
    reader.lenient = !enabled;
    let found = target(&mut reader);
    // Without a target the rest is still told.
    let nowhere = || Target::Stdio(Command::default());
    let mut spec = UpstreamSpec::new(found.clone().unwrap_or_else(nowhere));
    spec.enabled = enabled;
    supervision(&mut reader, &mut spec);
    times(&mut reader, &mut spec);
    spec.tools = tools(&mut reader);
    reader.finish();
    found.map(|_| spec)
}

fn supervision(reader: &mut Reader<'_>, spec: &mut UpstreamSpec) {
    let shares =
        [("node", Share::Node), ("principal", Share::Principal), ("session", Share::Session)];
    let restarts = [
        ("permanent", Restart::Permanent),
        ("transient", Restart::Transient),
        ("temporary", Restart::Temporary),
    ];
    spec.share = reader.choice("share", &shares);
    spec.restart = reader.choice("restart", &restarts).unwrap_or(spec.restart);
    // Nothing is run again after a crash; who wants that is told so.
    let _ = reader.choice("replay", &[("never", ())]);
    let instances = reader.whole("instances", 1, MOST_INSTANCES);
    let instances = instances.and_then(|count| usize::try_from(count).ok());
    spec.instances = instances.unwrap_or(spec.instances);
    let max_restarts = reader.whole("max_restarts", 0, MOST_RESTARTS);
    let max_restarts = max_restarts.and_then(|count| u32::try_from(count).ok());
    spec.max_restarts = max_restarts.unwrap_or(spec.max_restarts);
}

fn times(reader: &mut Reader<'_>, spec: &mut UpstreamSpec) {
    spec.window = reader.seconds("window_s").unwrap_or(spec.window);
    spec.shutdown = reader.millis("shutdown_ms", 0).unwrap_or(spec.shutdown);
    spec.idle_timeout = reader.seconds("idle_timeout_s").unwrap_or(spec.idle_timeout);
    let start = either(reader, "start_timeout_ms", "startup_timeout_sec");
    spec.start_timeout = start.unwrap_or(spec.start_timeout);
    spec.timeout = either(reader, "timeout_ms", "tool_timeout_sec");
}

/// A time in our unit, or in Codex's.
fn either(
    reader: &mut Reader<'_>,
    millis: &'static str,
    seconds: &'static str,
) -> Option<Duration> {
    let ours = reader.millis(millis, 1);
    match (ours, reader.parts_of_seconds(seconds)) {
        (Some(_), Some(At { place, .. })) => {
            let what = format!("says the same as {millis}; give one of them");
            reader.notes.problem(&place, what);
            ours
        }
        (ours, theirs) => ours.or(theirs.map(|time| time.value)),
    }
}

/// Which tools there are: `tools.allow` and `tools.deny`, or the lists that clients have for them.
fn tools(reader: &mut Reader<'_>) -> ToolFilter {
    let mut filter = ToolFilter::default();
    let listed = |reader: &mut Reader<'_>, key| reader.texts(key).map(|texts| texts.value);
    if reader.is_list("tools") {
        filter.allow = listed(reader, "tools").unwrap_or_default();
    } else if let Some(mut tools) = reader.object("tools", keys::TOOLS) {
        filter.allow = listed(&mut tools, "allow").unwrap_or_default();
        filter.deny = listed(&mut tools, "deny").unwrap_or_default();
        // Codex keeps there what each tool may do without asking.
        tools.forget_tables();
        tools.finish();
    }
    filter.allow.extend(listed(reader, "enabled_tools").unwrap_or_default());
    filter.deny.extend(listed(reader, "disabled_tools").unwrap_or_default());
    filter
}
