//! What a reload changes. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalogue::ServerName;
use crate::provider::upstream::spec::UpstreamSpec;

/// All upstreams, by name.
pub type Specs = BTreeMap<ServerName, UpstreamSpec>;

/// The difference between two configurations' upstreams; those in none of the lists go on
/// untouched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// They are new.
    pub added: Vec<ServerName>,
    /// They are gone.
    pub removed: Vec<ServerName>,
    /// They are somewhere else, or shared by others, and so are started anew.
    pub replaced: Vec<ServerName>,
    /// Only the rules for them differ: their instances go on.
    pub changed: Vec<ServerName>,
}

impl Difference {
    /// What has to be done to get from one to the other.
    pub fn between(old: &Specs, new: &Specs) -> Self {
        let mut difference = Self::default();
        for (name, spec) in new {
            let list = match old.get(name) {
                None => &mut difference.added,
                Some(before) => match changes(before, spec).into_iter().map(|c| c.1).max() {
                    None => continue,
                    Some(Effect::Rules) => &mut difference.changed,
                    Some(Effect::Instances) => &mut difference.replaced,
                },
            };
            list.push(name.clone());
        }
        difference.removed = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
        difference
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What it takes to apply a change of a specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The instances go on, under other rules.
    Rules,
    /// The instances are replaced.
    Instances,
}

/// The keys in which two specifications differ, with what each takes.
pub fn changes(old: &UpstreamSpec, new: &UpstreamSpec) -> Vec<(&'static str, Effect)> {
    use Effect::{Instances, Rules};
    // By name, so that no key can be forgotten here.
    let UpstreamSpec {
        target,
        enabled,
        share,
        instances,
        restart,
        max_restarts,
        window,
        shutdown,
        start_timeout,
        timeout,
        idle_timeout,
        tools,
    } = new;
    let compared = [
        ("target", Instances, old.target == *target),
        ("enabled", Instances, old.enabled == *enabled),
        ("share", Instances, old.share == *share),
        ("instances", Instances, old.instances == *instances),
        ("restart", Rules, old.restart == *restart),
        ("max_restarts", Rules, old.max_restarts == *max_restarts),
        ("window_s", Rules, old.window == *window),
        ("shutdown_ms", Rules, old.shutdown == *shutdown),
        ("start_timeout_ms", Rules, old.start_timeout == *start_timeout),
        ("timeout_ms", Rules, old.timeout == *timeout),
        ("idle_timeout_s", Rules, old.idle_timeout == *idle_timeout),
        ("tools", Rules, old.tools == *tools),
    ];
    let changed = compared.into_iter().filter(|(_, _, same)| !same);
    changed.map(|(key, effect, _)| (key, effect)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::upstream::spec::{Command, Share, Target};

    fn spec(program: &str) -> UpstreamSpec {
        UpstreamSpec::new(Target::Stdio(Command { program: program.into(), ..Command::default() }))
    }

    #[test]
    fn each_upstream_is_touched_as_little_as_possible() {
        let change = |change: fn(&mut UpstreamSpec)| {
            let mut spec = spec("git");
            change(&mut spec);
            spec
        };
        let table = [
            (Some(spec("git")), Some(spec("git")), ""),
            (None, Some(spec("git")), "added"),
            (Some(spec("git")), None, "removed"),
            (Some(spec("git")), Some(spec("hg")), "replaced"),
            (Some(spec("git")), Some(change(|spec| spec.enabled = false)), "replaced"),
            (Some(spec("git")), Some(change(|spec| spec.instances = 2)), "replaced"),
            (Some(spec("git")), Some(change(|s| s.share = Some(Share::Session))), "replaced"),
            (Some(spec("git")), Some(change(|spec| spec.max_restarts = 9)), "changed"),
            (Some(spec("git")), Some(change(|s| s.tools.deny.push("x".into()))), "changed"),
        ];
        for (old, new, expected) in table {
            let specs = |spec: Option<UpstreamSpec>| -> Specs {
                let other = (ServerName::from("other"), spec_other());
                spec.map(|spec| (ServerName::from("a"), spec)).into_iter().chain([other]).collect()
            };
            let difference = Difference::between(&specs(old.clone()), &specs(new.clone()));
            let lists = [
                ("added", &difference.added),
                ("removed", &difference.removed),
                ("replaced", &difference.replaced),
                ("changed", &difference.changed),
            ];
            let told: Vec<_> = lists.iter().filter(|(_, l)| !l.is_empty()).map(|l| l.0).collect();
            assert_eq!(told.concat(), expected, "{old:?} {new:?}");
            assert_eq!(difference.is_empty(), expected.is_empty());
        }
    }

    fn spec_other() -> UpstreamSpec {
        spec("other")
    }
}
