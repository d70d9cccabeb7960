//! One line of a trace, read and printed.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use super::state::Running;
use super::{Context, Counts, Event, Ret, Slot, SlotState, Snapshot, Started};
use crate::path::{Label, Path};
use crate::reason::Reason;
use crate::script::{Op, Restart, ScriptError, Shutdown};
use crate::term::{ParseError, Term, parse, parse_prefix};

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Op { index: usize, op: Option<Op> },
    Event(Event),
    Ret { index: usize, ret: Ret },
    State(Snapshot),
}

impl Display for Line {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Op { index, op: None } => write!(out, "op {index} start_link"),
            Self::Op { index, op: Some(op) } => write!(out, "op {index} {}", op.to_term()),
            Self::Event(event) => write!(out, "ev {event}"),
            Self::Ret { index, ret } => write!(out, "ret {index} {ret}"),
            Self::State(snapshot) => write!(out, "st {snapshot}"),
        }
    }
}

/// Why a line isn't one of a trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("no line of a trace: {0}")]
    Unknown(String),
    #[error(transparent)]
    Term(#[from] ParseError),
    #[error(transparent)]
    Script(#[from] ScriptError),
}

type Read<T> = Result<T, LineError>;

impl FromStr for Line {
    type Err = LineError;

    fn from_str(line: &str) -> Read<Self> {
        let (kind, rest) = word(line)?;
        match kind {
            "op" => {
                let (index, rest) = indexed(rest)?;
                let op = match rest {
                    "start_link" => None,
                    term => Some(Op::from_term(&parse(term)?)?),
                };
                Ok(Self::Op { index, op })
            }
            "ret" => {
                let (index, rest) = indexed(rest)?;
                Ok(Self::Ret { index, ret: ret(&parse(rest)?)? })
            }
            "ev" => event(rest).map(Self::Event),
            "st" => snapshot(rest).map(Self::State),
            _ => Err(unknown(line)),
        }
    }
}

fn unknown(text: &str) -> LineError {
    LineError::Unknown(text.to_owned())
}

fn word(text: &str) -> Read<(&str, &str)> {
    text.split_once(' ').ok_or_else(|| unknown(text))
}

fn indexed(text: &str) -> Read<(usize, &str)> {
    let (index, rest) = word(text)?;
    Ok((index.parse().map_err(|_| unknown(text))?, rest))
}

fn event(text: &str) -> Read<Event> {
    if text == "livelock" {
        return Ok(Event::Livelock);
    }
    let (kind, rest) = word(text)?;
    if kind == "report" {
        return report(rest);
    }
    let (label, rest) = label(rest)?;
    let term = parse(rest)?;
    match kind {
        "start" => Ok(Event::Start { label, started: started(&term)? }),
        "start_failed" => match Reason::from_term(&term) {
            Reason::Error(reason) => Ok(Event::StartFailed { label, reason: *reason }),
            _ => Err(unknown(text)),
        },
        "exit" => Ok(Event::Exit { label, reason: Reason::from_term(&term) }),
        "hung" => Ok(Event::Hung { label, reason: Reason::from_term(&term) }),
        _ => Err(unknown(text)),
    }
}

fn report(text: &str) -> Read<Event> {
    let (supervisor, rest) = Path::parse_prefix(text)?;
    let (name, rest) = word(rest.trim_start())?;
    let context = Context::ALL.into_iter().find(|context| context.name() == name);
    let (id, rest) = parse_prefix(rest)?;
    let reason = Reason::from_term(&parse(rest)?);
    Ok(Event::Report { supervisor, context: context.ok_or_else(|| unknown(text))?, id, reason })
}

fn label(text: &str) -> Read<(Label, &str)> {
    let (path, rest) = Path::parse_prefix(text)?;
    let (run, rest) = word(rest.strip_prefix('#').ok_or_else(|| unknown(text))?)?;
    let run = run.parse().map_err(|_| unknown(text))?;
    Ok((Label { path, run }, rest))
}

fn started(term: &Term) -> Read<Started> {
    match Reason::from_term(term) {
        Reason::Error(reason) => Ok(Started::Error(*reason)),
        reason if reason.is("ok") => Ok(Started::Ok),
        reason if reason.is("sup") => Ok(Started::Supervisor),
        reason if reason.is("ignore") => Ok(Started::Ignore),
        reason if reason.is("crash") => Ok(Started::Crash),
        _ => Err(unknown(&term.to_string())),
    }
}

fn ret(term: &Term) -> Read<Ret> {
    let tag = term.as_tuple().and_then(<[Term]>::first).and_then(Term::as_atom);
    let ret = match (term.as_atom().or(tag), term.as_tuple().unwrap_or_default()) {
        (Some("ok"), []) => Ret::Ok,
        (Some("ok_pid"), []) => Ret::OkPid,
        (Some("ok_undefined"), []) => Ret::OkUndefined,
        (Some("noproc"), []) => Ret::NoProc,
        (Some("timeout"), []) => Ret::Timeout,
        (Some("error"), [_, inner]) => match inner.as_tuple() {
            Some([Term::Atom(start), reason]) if start == "start" => {
                Ret::StartError(Reason::from_term(reason))
            }
            _ => Ret::Error(Reason::from_term(inner)),
        },
        (Some("crashed"), [_, count]) => {
            let count = count.as_int().and_then(|count| count.try_into().ok());
            Ret::Crashed(count.ok_or_else(|| unknown(&term.to_string()))?)
        }
        (Some("stopped"), [_, reason]) => Ret::Stopped(Reason::from_term(reason)),
        (Some("died"), [_, reason]) => Ret::Died(Reason::from_term(reason)),
        (Some("spec"), [_, id, restart, shutdown, kind, significant]) => Ret::Spec {
            id: id.clone(),
            restart: Restart::from_term(restart)?,
            shutdown: Shutdown::from_term(shutdown)?,
            supervisor: kind.as_atom() == Some("supervisor"),
            significant: significant.as_atom() == Some("true"),
        },
        _ => return Err(unknown(&term.to_string())),
    };
    Ok(ret)
}

fn snapshot(text: &str) -> Read<Snapshot> {
    let (path, rest) = Path::parse_prefix(text)?;
    if rest == " down" {
        return Ok(Snapshot::down(path));
    }
    let mut rest = rest.strip_prefix(" [").ok_or_else(|| unknown(text))?;
    let mut children = Vec::new();
    let counted = loop {
        if let Some(counted) = rest.strip_prefix("] ") {
            break counted;
        }
        let (child, tail) = slot(rest.strip_prefix(' ').unwrap_or(rest))?;
        children.push(child);
        rest = tail;
    };
    let running = Running { children, counts: counts(counted)? };
    Ok(Snapshot { path, running: Some(running) })
}

fn slot(text: &str) -> Read<(Slot, &str)> {
    let (id, rest) = parse_prefix(text)?;
    let rest = rest.strip_prefix('=').ok_or_else(|| unknown(text))?;
    let end = rest.find([' ', ']']).ok_or_else(|| unknown(text))?;
    let (state, tail) = rest.split_at(end);
    let state = match state {
        "undefined" => SlotState::Undefined,
        "restarting" => SlotState::Restarting,
        run => {
            let run = run.strip_prefix("run#").and_then(|run| run.parse().ok());
            SlotState::Run(run.ok_or_else(|| unknown(text))?)
        }
    };
    Ok((Slot { id, state }, tail))
}

fn counts(text: &str) -> Read<Counts> {
    let mut counts = Counts::default();
    for part in text.split(',') {
        let (name, value) = part.split_once(':').ok_or_else(|| unknown(text))?;
        let value = value.parse().map_err(|_| unknown(text))?;
        match name {
            "specs" => counts.specs = value,
            "active" => counts.active = value,
            "supervisors" => counts.supervisors = value,
            "workers" => counts.workers = value,
            _ => return Err(unknown(text)),
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_read() {
        let lines = [
            "op 0 start_link",
            "op 6 {crash,[root,a],boom}",
            "op 7 {start_child,[root,s],#{id => z,obey => hang,type => worker}}",
            "ev start root/a#3 ok",
            "ev start root/s#1 sup",
            "ev start root/c#4 {error,nope}",
            "ev start_failed root/s#1 {error,{shutdown,{failed_to_start_child,x,bad}}}",
            "ev exit root/sess/12#3 {shutdown,x}",
            "ev hung root/a#1 shutdown",
            "ev report root/s start_error c nope",
            "ev report root shutdown a reached_max_restart_intensity",
            "ev livelock",
            "ret 0 ok_pid",
            "ret 1 {error,{start,{shutdown,{failed_to_start_child,x,foo}}}}",
            "ret 2 {error,{shutdown,{failed_to_start_child,s,other_term}}}",
            "ret 3 {spec,a,permanent,5000,worker,false}",
            "ret 4 {crashed,2}",
            "ret 5 {stopped,shutdown}",
            "st root [] specs:1,active:0,supervisors:0,workers:0",
            "st root [c=run#5 'B'=undefined 3=restarting] specs:3,active:1,supervisors:0,workers:3",
            "st root down",
        ];
        for line in lines {
            let read: Line = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(read.to_string(), line);
        }
    }

    #[test]
    fn refuses_other_lines() {
        for line in
            ["", "end", "op x start_link", "ev jump root#1 a", "ret 1 {huh}", "st root [a=b] "]
        {
            assert!(line.parse::<Line>().is_err(), "{line}");
        }
    }
}
