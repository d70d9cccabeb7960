//! From terms to scripts. What isn't understood is an error that shows the term in question.

use std::collections::BTreeMap;

use super::{
    AutoShutdown, Flags, Kind, Obey, Op, Outcome, Restart, Script, Shutdown, Spec, Strategy,
};
use crate::path::Path;
use crate::reason::Reason;
use crate::term::{ParseError, Term, parse_all};

/// Why a text or a term isn't a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("not an Erlang term: {0}")]
    Syntax(#[from] ParseError),
    #[error("not understood as {wanted}: {term}")]
    NotUnderstood { wanted: &'static str, term: String },
    #[error("unknown key {key} in {term}")]
    UnknownKey { key: String, term: String },
}

type Read<T> = Result<T, ScriptError>;

fn no<T>(wanted: &'static str, term: &Term) -> Read<T> {
    Err(ScriptError::NotUnderstood { wanted, term: term.to_string() })
}

impl Script {
    /// Reads a script's text. A closing `run.`, as it goes to the harness, may end it.
    pub fn parse(text: &str) -> Read<Self> {
        let mut terms = parse_all(text)?;
        if terms.last().and_then(Term::as_atom) == Some("run") {
            terms.pop();
        }
        Self::from_terms(&terms)
    }

    pub fn from_terms(terms: &[Term]) -> Read<Self> {
        let (head, ops) = match terms {
            [head, ops @ ..] => (head, ops),
            [] => return no("{sup, Flags, Specs}", &Term::List(Vec::new())),
        };
        let (flags, specs) = match tagged(head) {
            Some(("sup", [flags, specs])) => (Flags::from_term(flags)?, read_specs(specs)?),
            _ => return no("{sup, Flags, Specs}", head),
        };
        let ops = ops.iter().map(|term| match tagged(term) {
            Some(("op", [op])) => Op::from_term(op),
            _ => no("{op, Op}", term),
        });
        Ok(Self { flags, specs, ops: ops.collect::<Read<_>>()? })
    }
}

/// A map whose known keys are taken out one by one; what is left over is unknown.
struct Entries<'a> {
    whole: &'a Term,
    left: BTreeMap<&'a Term, &'a Term>,
}

impl<'a> Entries<'a> {
    fn new(term: &'a Term, wanted: &'static str) -> Read<Self> {
        match term {
            Term::Map(entries) => Ok(Self { whole: term, left: entries.iter().collect() }),
            _ => no(wanted, term),
        }
    }

    fn take<T>(&mut self, key: &str, read: impl FnOnce(&Term) -> Read<T>) -> Read<Option<T>> {
        self.left.remove(&Term::atom(key)).map(read).transpose()
    }

    fn finish(self) -> Read<()> {
        match self.left.into_keys().next() {
            None => Ok(()),
            Some(key) => {
                Err(ScriptError::UnknownKey { key: key.to_string(), term: self.whole.to_string() })
            }
        }
    }
}

impl Flags {
    pub fn from_term(term: &Term) -> Read<Self> {
        let mut entries = Entries::new(term, "a supervisor's flags")?;
        let flags = Self {
            strategy: entries.take("strategy", Strategy::from_term)?,
            intensity: entries.take("intensity", |term| number(term, "an intensity"))?,
            period_s: entries.take("period", |term| number(term, "a period"))?,
            auto_shutdown: entries.take("auto_shutdown", AutoShutdown::from_term)?,
        };
        entries.finish()?;
        Ok(flags)
    }
}

impl Spec {
    pub fn from_term(term: &Term) -> Read<Self> {
        let mut entries = Entries::new(term, "a child specification")?;
        let Some(id) = entries.take("id", |id| Ok(id.clone()))? else {
            return no("a child specification with an id", term);
        };
        let kind = entries.take("type", |kind| match kind.as_atom() {
            Some("worker") => Ok(false),
            Some("supervisor") => Ok(true),
            _ => no("a child's type", kind),
        })?;
        let kind = match kind {
            Some(true) => Kind::Supervisor {
                flags: entries.take("flags", Flags::from_term)?.unwrap_or_default(),
                children: entries.take("children", read_specs)?.unwrap_or_default(),
            },
            worker => Kind::Worker { named: worker.is_some() },
        };
        let spec = Self {
            id,
            kind,
            restart: entries.take("restart", Restart::from_term)?,
            shutdown: entries.take("shutdown", Shutdown::from_term)?,
            significant: entries.take("significant", boolean)?,
            obey: entries.take("obey", Obey::from_term)?,
            trap: entries.take("trap", boolean)?,
            plan: entries.take("plan", read_outcomes)?,
            simple: entries.take("simple", boolean)?.unwrap_or(false),
        };
        entries.finish()?;
        Ok(spec)
    }
}

impl Op {
    pub fn from_term(term: &Term) -> Read<Self> {
        let op = match tagged(term) {
            Some(("start_child", [sup, spec @ Term::Map(_)])) => {
                Self::StartChild { sup: path(sup)?, spec: Box::new(Spec::from_term(spec)?) }
            }
            Some(("start_child", [sup, key])) => {
                Self::StartDynamic { sup: path(sup)?, key: key.clone() }
            }
            Some(("terminate_child", [sup, id])) => match tagged(id) {
                Some(("dyn", [key])) => {
                    Self::TerminateDynamic { sup: path(sup)?, key: key.clone() }
                }
                _ => Self::TerminateChild { sup: path(sup)?, id: id.clone() },
            },
            Some(("restart_child", [sup, id])) => {
                Self::RestartChild { sup: path(sup)?, id: id.clone() }
            }
            Some(("delete_child", [sup, id])) => {
                Self::DeleteChild { sup: path(sup)?, id: id.clone() }
            }
            Some(("get_childspec", [sup, id])) => {
                Self::GetChildspec { sup: path(sup)?, id: id.clone() }
            }
            Some(("plan", [target, plan])) => {
                Self::Plan { path: path(target)?, outcomes: read_outcomes(plan)? }
            }
            Some(("crash", [target, reason])) => {
                Self::Crash { path: path(target)?, reason: Reason::from_term(reason) }
            }
            Some(("crash_all", [sup, targets, reason])) => Self::CrashAll {
                sup: path(sup)?,
                paths: list(targets, "a list of paths", path)?,
                reason: Reason::from_term(reason),
            },
            Some(("stop", [reason])) => Self::Stop { reason: Reason::from_term(reason) },
            _ => return no("an operation", term),
        };
        Ok(op)
    }
}

impl Outcome {
    pub fn from_term(term: &Term) -> Read<Self> {
        match (term.as_atom(), tagged(term)) {
            (Some("ok"), _) => Ok(Self::Ok),
            (Some("ignore"), _) => Ok(Self::Ignore),
            (Some("crash"), _) => Ok(Self::Crash),
            (_, Some(("error", [reason]))) => Ok(Self::Error(Reason::from_term(reason))),
            _ => no("the outcome of a start", term),
        }
    }
}

macro_rules! named {
    ($type:ty, $wanted:literal, $($variant:ident),*) => {
        impl $type {
            pub fn from_term(term: &Term) -> Read<Self> {
                let all = [$(Self::$variant),*];
                let found = all.into_iter().find(|value| term.as_atom() == Some(value.name()));
                found.map_or_else(|| no($wanted, term), Ok)
            }
        }
    };
}

named!(Strategy, "a strategy", OneForOne, OneForAll, RestForOne, SimpleOneForOne);
named!(AutoShutdown, "an auto_shutdown", Never, AnySignificant, AllSignificant);
named!(Restart, "a restart type", Permanent, Transient, Temporary);
named!(Obey, "a child's obedience", Obey, Hang, Other);

impl Shutdown {
    pub fn from_term(term: &Term) -> Read<Self> {
        match term.as_atom() {
            Some("brutal_kill") => Ok(Self::BrutalKill),
            Some("infinity") => Ok(Self::Infinity),
            _ => number(term, "a shutdown").map(Self::TimeoutMs),
        }
    }
}

fn tagged(term: &Term) -> Option<(&str, &[Term])> {
    match term.as_tuple() {
        Some([Term::Atom(tag), rest @ ..]) => Some((tag, rest)),
        _ => None,
    }
}

fn list<T>(term: &Term, wanted: &'static str, read: impl Fn(&Term) -> Read<T>) -> Read<Vec<T>> {
    match term.as_list() {
        Some(items) => items.iter().map(read).collect(),
        None => no(wanted, term),
    }
}

fn read_specs(term: &Term) -> Read<Vec<Spec>> {
    list(term, "a list of child specifications", Spec::from_term)
}

fn read_outcomes(term: &Term) -> Read<Vec<Outcome>> {
    list(term, "a list of outcomes", Outcome::from_term)
}

fn path(term: &Term) -> Read<Path> {
    Path::from_term(term).map_or_else(|| no("a path", term), Ok)
}

fn boolean(term: &Term) -> Read<bool> {
    match term.as_atom() {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        _ => no("true or false", term),
    }
}

fn number<T: TryFrom<i64>>(term: &Term, wanted: &'static str) -> Read<T> {
    let value = term.as_int().and_then(|value| T::try_from(value).ok());
    value.map_or_else(|| no(wanted, term), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form of operation and every key, read and printed back as it stood.
    #[test]
    fn reads_and_prints_everything() {
        let text = "\
{sup,#{auto_shutdown => any_significant,intensity => 3,period => 3600,strategy => rest_for_one},\
[#{id => a,obey => other,plan => [ok,ignore,{error,x},crash],restart => transient,\
shutdown => 30,significant => true,trap => true,type => worker},#{id => b},\
#{children => [#{id => sess,shutdown => brutal_kill,simple => true}],\
flags => #{strategy => simple_one_for_one},id => s,type => supervisor}]}.
{op,{start_child,[root],#{id => c,shutdown => infinity}}}.
{op,{start_child,[root,s],1}}.
{op,{terminate_child,[root],a}}.
{op,{terminate_child,[root,s],{dyn,1}}}.
{op,{restart_child,[root],a}}.
{op,{delete_child,[root],a}}.
{op,{get_childspec,[root],a}}.
{op,{plan,[root,s,sess,1],[]}}.
{op,{crash,[root,s,1],{shutdown,x}}}.
{op,{crash_all,[root],[[root,a],[root,b]],{odd,1}}}.
{op,{stop,shutdown}}.
";
        let script = Script::parse(text).unwrap();
        assert_eq!(script.to_string(), text);
        assert_eq!(Script::parse(&format!("{text}run.")), Ok(script));
    }

    #[test]
    fn says_what_it_does_not_understand() {
        let check = |text: &str, message: &str| {
            assert_eq!(Script::parse(text).unwrap_err().to_string(), message);
        };
        check("{sup,#{},[", "not an Erlang term: at byte 10: a term expected, before ``");
        check("{sup,#{}}.", "not understood as {sup, Flags, Specs}: {sup,#{}}");
        check("{sup,#{},[#{}]}.", "not understood as a child specification with an id: #{}");
        check("{sup,#{a=>1},[]}.", "unknown key a in #{a => 1}");
        check("{sup,#{intensity=>-1},[]}.", "not understood as an intensity: -1");
        check("{sup,#{},[]}. {op,{jump,[root]}}.", "not understood as an operation: {jump,[root]}");
        check("{sup,#{},[]}. {op,{crash,root,x}}.", "not understood as a path: root");
    }
}
