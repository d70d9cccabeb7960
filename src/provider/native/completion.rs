//! Completion: suggestions while an argument is typed.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::protocol::{ResultObject, RpcError};

/// Most values of one answer (server/utilities/completion, "Protocol").
const MAX_VALUES: usize = 100;

/// The arguments that are settled already, by their names.
pub type Settled = BTreeMap<String, String>;

type Suggest = Arc<dyn Fn(String, Settled) -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// Completers by their argument's name.
#[derive(Clone, Default)]
pub(super) struct Completers(BTreeMap<String, Suggest>);

impl Completers {
    pub(super) fn insert<F, R>(&mut self, argument: impl Into<String>, completer: F)
    where
        F: Fn(String, Settled) -> R + Send + Sync + 'static,
        R: Future<Output = Vec<String>> + Send + 'static,
    {
        let suggest: Suggest = Arc::new(move |value, settled| completer(value, settled).boxed());
        self.0.insert(argument.into(), suggest);
    }

    /// The first completer whose argument isn't one of these.
    pub(super) fn stray(&self, arguments: &[&str]) -> Option<&str> {
        self.0.keys().map(String::as_str).find(|name| !arguments.contains(name))
    }

    /// The answer; empty where nobody completes this argument.
    pub(super) async fn complete(
        &self,
        argument: &str,
        value: String,
        settled: Settled,
    ) -> Result<ResultObject, RpcError> {
        let values = match self.0.get(argument) {
            Some(suggest) => suggest(value, settled).await,
            None => Vec::new(),
        };
        answer(&values)
    }
}

/// The first values, and how many there are.
pub(super) fn answer(values: &[String]) -> Result<ResultObject, RpcError> {
    #[derive(Serialize)]
    struct Wire<'a> {
        completion: Completion<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Completion<'a> {
        values: &'a [String],
        total: usize,
        has_more: bool,
    }
    let (total, has_more) = (values.len(), values.len() > MAX_VALUES);
    let values = values.get(..MAX_VALUES).unwrap_or(values);
    ResultObject::of(&Wire { completion: Completion { values, total, has_more } })
}

/// Those that begin with what was typed so far, whatever the case.
///
/// ```
/// use erlmcp::provider::native::starting_with;
///
/// assert_eq!(starting_with("a", ["Alice", "Bob"]), ["Alice"]);
/// ```
pub fn starting_with<S: Into<String>>(
    value: &str,
    all: impl IntoIterator<Item = S>,
) -> Vec<String> {
    let value = value.to_lowercase();
    let all = all.into_iter().map(Into::into);
    all.filter(|known| known.to_lowercase().starts_with(&value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bounded_and_say_so() {
        let values: Vec<String> = (0..150).map(|n| n.to_string()).collect();
        let text = serde_json::to_string(&answer(&values).unwrap()).unwrap();
        assert!(text.ends_with(r#""99"],"total":150,"hasMore":true}}"#), "{text}");
        let text = serde_json::to_string(&answer(&[]).unwrap()).unwrap();
        assert_eq!(text, r#"{"completion":{"values":[],"total":0,"hasMore":false}}"#);
    }
}
