//! From scripts to terms, in the form that `otp_trace.escript` reads.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::{
    AutoShutdown, Flags, Kind, Obey, Op, Outcome, Restart, Script, Shutdown, Spec, Strategy,
};
use crate::path::{Id, Path};
use crate::term::Term;

impl Script {
    /// The script's terms: `{sup, Flags, Specs}`, then `{op, Op}` each.
    pub fn to_terms(&self) -> Vec<Term> {
        let head = Term::tagged("sup", [self.flags.to_term(), specs(&self.specs)]);
        let ops = self.ops.iter().map(|op| Term::tagged("op", [op.to_term()]));
        std::iter::once(head).chain(ops).collect()
    }
}

impl Display for Script {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.to_terms().iter().try_for_each(|term| writeln!(out, "{term}."))
    }
}

/// Collects the keys of a map that are present.
#[derive(Default)]
struct Entries(BTreeMap<Term, Term>);

impl Entries {
    fn put(&mut self, key: &str, value: Option<impl Into<Term>>) -> &mut Self {
        if let Some(value) = value {
            self.0.insert(Term::atom(key), value.into());
        }
        self
    }

    fn finish(&mut self) -> Term {
        Term::Map(std::mem::take(&mut self.0))
    }
}

impl Flags {
    pub fn to_term(&self) -> Term {
        Entries::default()
            .put("strategy", self.strategy)
            .put("intensity", self.intensity.map(i64::from))
            .put("period", self.period_s.map(number))
            .put("auto_shutdown", self.auto_shutdown)
            .finish()
    }
}

impl Spec {
    pub fn to_term(&self) -> Term {
        let mut entries = Entries::default();
        entries
            .put("id", Some(self.id.clone()))
            .put("restart", self.restart)
            .put("shutdown", self.shutdown)
            .put("significant", self.significant.map(boolean))
            .put("obey", self.obey)
            .put("trap", self.trap.map(boolean))
            .put("plan", self.plan.as_deref().map(outcomes))
            .put("simple", self.simple.then(|| boolean(true)));
        match &self.kind {
            Kind::Worker { named } => entries.put("type", named.then(|| Term::atom("worker"))),
            Kind::Supervisor { flags, children } => entries
                .put("type", Some("supervisor"))
                .put("flags", Some(flags.to_term()))
                .put("children", Some(specs(children))),
        };
        entries.finish()
    }
}

impl Op {
    pub fn to_term(&self) -> Term {
        let on = |tag, sup: &Path, id: &Id| Term::tagged(tag, [sup.to_term(), id.clone()]);
        match self {
            Self::StartChild { sup, spec } => on("start_child", sup, &spec.to_term()),
            Self::StartDynamic { sup, key } => on("start_child", sup, key),
            Self::TerminateChild { sup, id } => on("terminate_child", sup, id),
            Self::TerminateDynamic { sup, key } => {
                on("terminate_child", sup, &Term::tagged("dyn", [key.clone()]))
            }
            Self::RestartChild { sup, id } => on("restart_child", sup, id),
            Self::DeleteChild { sup, id } => on("delete_child", sup, id),
            Self::GetChildspec { sup, id } => on("get_childspec", sup, id),
            Self::Plan { path, outcomes: plan } => on("plan", path, &outcomes(plan)),
            Self::Crash { path, reason } => on("crash", path, &reason.to_term()),
            Self::CrashAll { sup, paths, reason } => {
                let paths = Term::List(paths.iter().map(Path::to_term).collect());
                Term::tagged("crash_all", [sup.to_term(), paths, reason.to_term()])
            }
            Self::Stop { reason } => Term::tagged("stop", [reason.to_term()]),
        }
    }
}

impl Outcome {
    pub fn to_term(&self) -> Term {
        match self {
            Self::Ok => Term::atom("ok"),
            Self::Ignore => Term::atom("ignore"),
            Self::Error(reason) => Term::tagged("error", [reason.to_term()]),
            Self::Crash => Term::atom("crash"),
        }
    }
}

fn specs(specs: &[Spec]) -> Term {
    Term::List(specs.iter().map(Spec::to_term).collect())
}

fn outcomes(outcomes: &[Outcome]) -> Term {
    Term::List(outcomes.iter().map(Outcome::to_term).collect())
}

fn boolean(value: bool) -> Term {
    Term::atom(if value { "true" } else { "false" })
}

/// Times beyond 64 signed bits can't be read back; no script has them.
fn number(value: u64) -> Term {
    Term::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

impl Strategy {
    pub fn name(self) -> &'static str {
        match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
            Self::SimpleOneForOne => "simple_one_for_one",
        }
    }
}

impl AutoShutdown {
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::AnySignificant => "any_significant",
            Self::AllSignificant => "all_significant",
        }
    }
}

impl Restart {
    pub fn name(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        }
    }
}

impl Obey {
    pub fn name(self) -> &'static str {
        match self {
            Self::Obey => "obey",
            Self::Hang => "hang",
            Self::Other => "other",
        }
    }
}

macro_rules! term_from_name {
    ($($name:ty),*) => {$(
        impl From<$name> for Term {
            fn from(value: $name) -> Self {
                Self::atom(value.name())
            }
        }
    )*};
}

term_from_name!(Strategy, AutoShutdown, Restart, Obey);

impl From<Shutdown> for Term {
    fn from(value: Shutdown) -> Self {
        match value {
            Shutdown::BrutalKill => Self::atom("brutal_kill"),
            Shutdown::TimeoutMs(time) => number(time),
            Shutdown::Infinity => Self::atom("infinity"),
        }
    }
}
