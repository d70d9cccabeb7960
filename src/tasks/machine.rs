//! One task's life, as a pure state machine. Times are milliseconds since the Unix epoch.
//!
//! **Invariant:** a task that has ended stays as it ended. A question's key never comes again in
//! its task's life, and each question is answered at most once.

use std::collections::BTreeMap;

use crate::protocol::{Ask, AskError, Code, Era, ResultObject, RpcError};

/// Questions that one task may have open at once.
pub const MAX_QUESTIONS: usize = 64;

/// What the request under a task would have been answered.
pub type Outcome = Result<ResultObject, RpcError>;

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Its work is being done.
    Working,
    /// Its client has to answer first.
    InputRequired,
    /// It ended with a result.
    Completed,
    /// It ended with an error; in the legacy era, also with a tool result that tells of one.
    Failed,
    /// Its client ended it.
    Cancelled,
}

impl Status {
    /// The name as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::InputRequired => "input_required",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing changes any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Nothing changed: the task has ended, or no such question is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unchanged;

#[derive(Debug)]
struct End {
    cancelled: bool,
    outcome: Outcome,
}

/// The state.
#[derive(Debug)]
pub struct Machine {
    created_ms: u64,
    updated_ms: u64,
    ttl_ms: u64,
    questions: BTreeMap<String, Ask>,
    /// How many questions there have been.
    asked: u64,
    end: Option<End>,
}

impl Machine {
    /// A task that works from `now_ms` on, and is forgotten `ttl_ms` later.
    pub fn new(now_ms: u64, ttl_ms: u64) -> Self {
        Self {
            created_ms: now_ms,
            updated_ms: now_ms,
            ttl_ms,
            questions: BTreeMap::new(),
            asked: 0,
            end: None,
        }
    }

    /// Opens a question; gives its key.
    ///
    /// # Errors
    /// Where the task has ended, or has too many questions open.
    pub fn ask(&mut self, ask: Ask, now_ms: u64) -> Result<String, AskError> {
        if self.end.is_some() {
            return Err(AskError::Gone);
        }
        if self.questions.len() >= MAX_QUESTIONS {
            let why = format!("A task may ask at most {MAX_QUESTIONS} questions at once");
            return Err(AskError::Impossible(RpcError::new(Code::Overloaded, why)));
        }
        self.asked = self.asked.saturating_add(1);
        let key = format!("q{}", self.asked);
        self.questions.insert(key.clone(), ask);
        self.touch(now_ms);
        Ok(key)
    }

    /// Closes a question: it is answered, or nobody waits for its answer any more.
    ///
    /// # Errors
    /// Where it isn't open.
    pub fn close(&mut self, key: &str, now_ms: u64) -> Result<(), Unchanged> {
        self.questions.remove(key).ok_or(Unchanged)?;
        self.touch(now_ms);
        Ok(())
    }

    /// Ends the task with what its work gave.
    ///
    /// # Errors
    /// Where it has ended already.
    pub fn finish(&mut self, outcome: Outcome, now_ms: u64) -> Result<(), Unchanged> {
        self.end(End { cancelled: false, outcome }, now_ms)
    }

    /// Ends the task because its client wants that.
    ///
    /// # Errors
    /// Where it has ended already.
    pub fn cancel(&mut self, now_ms: u64) -> Result<(), Unchanged> {
        let error = RpcError::new(Code::Cancelled, "The task was cancelled by request");
        self.end(End { cancelled: true, outcome: Err(error) }, now_ms)
    }

    fn end(&mut self, end: End, now_ms: u64) -> Result<(), Unchanged> {
        if self.end.is_some() {
            return Err(Unchanged);
        }
        self.end = Some(end);
        self.questions.clear();
        self.touch(now_ms);
        Ok(())
    }

    fn touch(&mut self, now_ms: u64) {
        self.updated_ms = self.updated_ms.max(now_ms);
    }

    /// Where the task is, as a client of this era sees it: a tool result that tells of an error is
    /// a failure in the legacy era, and a result like any other in the modern one.
    pub fn status(&self, era: Era) -> Status {
        match &self.end {
            None if self.questions.is_empty() => Status::Working,
            None => Status::InputRequired,
            Some(End { cancelled: true, .. }) => Status::Cancelled,
            Some(End { outcome: Err(_), .. }) => Status::Failed,
            Some(End { outcome: Ok(result), .. }) if era == Era::Legacy && tells_error(result) => {
                Status::Failed
            }
            Some(End { outcome: Ok(_), .. }) => Status::Completed,
        }
    }

    /// Why it ended, where that isn't a success.
    pub fn message(&self, era: Era) -> Option<&str> {
        match &self.end.as_ref()?.outcome {
            Err(error) => Some(&error.message),
            Ok(_) if self.status(era) == Status::Failed => Some("The tool reported an error"),
            Ok(_) => None,
        }
    }

    /// What the request would have been answered, when the task has ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.end.as_ref().map(|end| &end.outcome)
    }

    /// Whether its client ended it.
    pub fn is_cancelled(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.cancelled)
    }

    /// The open questions by their keys.
    pub fn questions(&self) -> &BTreeMap<String, Ask> {
        &self.questions
    }

    /// When it was created.
    pub fn created_ms(&self) -> u64 {
        self.created_ms
    }

    /// When it last changed.
    pub fn updated_ms(&self) -> u64 {
        self.updated_ms
    }

    /// How long after its creation it is forgotten.
    pub fn ttl_ms(&self) -> u64 {
        self.ttl_ms
    }

    /// When it is forgotten.
    pub fn expires_ms(&self) -> u64 {
        self.created_ms.saturating_add(self.ttl_ms)
    }
}

fn tells_error(result: &ResultObject) -> bool {
    result.get("isError") == Some("true")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::protocol::AskKind;

    fn roots() -> Ask {
        Ask { kind: AskKind::ListRoots, params: None }
    }

    fn result(text: &str) -> ResultObject {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_task_works_asks_and_ends() {
        let mut task = Machine::new(1_000, 500);
        assert_eq!((task.status(Era::Modern), task.expires_ms()), (Status::Working, 1_500));
        let one = task.ask(roots(), 1_010).unwrap();
        let two = task.ask(roots(), 1_020).unwrap();
        assert_ne!(one, two);
        assert_eq!(task.close(&one, 1_030), Ok(()));
        assert_eq!(task.close(&one, 1_040), Err(Unchanged));
        assert_eq!(task.close("never asked", 1_040), Err(Unchanged));
        assert_eq!((task.status(Era::Legacy), task.updated_ms()), (Status::InputRequired, 1_030));
        assert_eq!(task.close(&two, 900), Ok(()));
        assert_eq!((task.status(Era::Legacy), task.updated_ms()), (Status::Working, 1_030));
        assert_eq!(task.finish(Ok(ResultObject::empty()), 1_100), Ok(()));
        assert_eq!(task.ask(roots(), 1_200), Err(AskError::Gone));
        assert_eq!(task.cancel(1_200), Err(Unchanged));
        assert_eq!((task.status(Era::Modern), task.updated_ms()), (Status::Completed, 1_100));
    }

    #[test]
    fn each_end_has_its_status_in_each_era() {
        let error = || Err(RpcError::new(Code::InternalError, "broken"));
        let table = [
            (Ok(result("{}")), Status::Completed, Status::Completed, None),
            (Ok(result(r#"{"isError":false}"#)), Status::Completed, Status::Completed, None),
            (
                Ok(result(r#"{"isError": true}"#)),
                Status::Failed,
                Status::Completed,
                Some("The tool reported an error"),
            ),
            (error(), Status::Failed, Status::Failed, Some("broken")),
        ];
        for (outcome, legacy, modern, message) in table {
            let mut task = Machine::new(0, 1);
            task.finish(outcome.clone(), 0).unwrap();
            let statuses = (task.status(Era::Legacy), task.status(Era::Modern));
            assert_eq!(statuses, (legacy, modern), "{outcome:?}");
            assert_eq!(task.message(Era::Legacy), message);
            assert_eq!(task.outcome(), Some(&outcome));
        }
        let mut task = Machine::new(0, 1);
        task.cancel(0).unwrap();
        assert_eq!(task.status(Era::Legacy), Status::Cancelled);
        assert!(matches!(task.outcome(), Some(Err(error)) if error.code == Code::Cancelled));
    }

    #[test]
    fn questions_are_bounded() {
        let mut task = Machine::new(0, 1);
        for _ in 0..MAX_QUESTIONS {
            task.ask(roots(), 0).unwrap();
        }
        assert!(matches!(task.ask(roots(), 0), Err(AskError::Impossible(_))));
        task.close("q1", 0).unwrap();
        assert_eq!(task.ask(roots(), 0).unwrap(), format!("q{}", MAX_QUESTIONS + 1));
    }

    #[derive(Debug, Clone)]
    enum Input {
        Ask,
        Close(u64),
        Finish(bool),
        Cancel,
    }

    fn inputs() -> impl Strategy<Value = Vec<(Input, u64)>> {
        let input = prop_oneof![
            6 => Just(Input::Ask),
            6 => (0_u64..20).prop_map(Input::Close),
            1 => any::<bool>().prop_map(Input::Finish),
            1 => Just(Input::Cancel),
        ];
        proptest::collection::vec((input, 0_u64..1_000), 0..80)
    }

    proptest! {
        /// Whatever comes in whatever order: one end at most, fresh keys, one answer per question.
        #[test]
        fn an_end_is_final_and_questions_are_answered_once(inputs in inputs()) {
            let mut task = Machine::new(0, 1);
            let (mut keys, mut answered) = (BTreeSet::new(), BTreeSet::new());
            let mut ends = 0;
            for (input, now_ms) in inputs {
                let (before, updated) = (task.status(Era::Modern), task.updated_ms());
                let changed = match input {
                    Input::Ask => task.ask(roots(), now_ms).is_ok_and(|key| keys.insert(key)),
                    Input::Close(number) => {
                        let key = format!("q{number}");
                        let closed = task.close(&key, now_ms).is_ok();
                        prop_assert!(!closed || keys.contains(&key) && answered.insert(key));
                        closed
                    }
                    Input::Finish(well) => {
                        let error = Err(RpcError::crashed("task"));
                        let outcome = if well { Ok(ResultObject::empty()) } else { error };
                        task.finish(outcome, now_ms).is_ok()
                    }
                    Input::Cancel => task.cancel(now_ms).is_ok(),
                };
                let after = task.status(Era::Modern);
                prop_assert!(task.updated_ms() >= updated);
                prop_assert_eq!(after.is_terminal(), task.outcome().is_some());
                if before.is_terminal() {
                    prop_assert!(!changed && after == before && task.updated_ms() == updated);
                }
                if after.is_terminal() {
                    ends += usize::from(!before.is_terminal());
                    prop_assert!(task.questions().is_empty());
                } else {
                    let open = !task.questions().is_empty();
                    prop_assert_eq!(after == Status::InputRequired, open);
                    prop_assert_eq!(task.questions().len(), keys.len() - answered.len());
                }
            }
            prop_assert!(ends <= 1);
        }
    }
}
