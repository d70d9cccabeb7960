//! Results on their way from a server to a client.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::asks::ask;
use crate::protocol::envelope::is_object;
use crate::protocol::{Ask, Era, ResultObject, Revision};

/// What a server answered.
#[derive(Debug)]
pub enum Answer {
    /// The result.
    Complete(ResultObject),
    /// Questions that come first (2026-07-28).
    InputRequired(InputRequired),
}

/// What a server wants to know before it goes on.
#[derive(Debug, Default)]
pub struct InputRequired {
    /// Its questions, by its own keys.
    pub asks: BTreeMap<String, Ask>,
    /// What it wants to see again, as it wrote it.
    pub state: Option<Box<RawValue>>,
}

/// Reads what a server of the session era answered.
///
/// # Errors
/// Why it is no result.
pub fn result(raw: Box<RawValue>) -> Result<ResultObject, &'static str> {
    ResultObject::from_raw(raw).ok_or("its result is no object")
}

/// Reads what a modern server answered.
///
/// # Errors
/// Why it is neither a result nor questions.
pub fn answer(raw: Box<RawValue>) -> Result<Answer, &'static str> {
    let result = result(raw)?;
    match result.get("resultType") {
        None | Some(r#""complete""#) => Ok(Answer::Complete(result)),
        Some(r#""input_required""#) => input_required(&result).map(Answer::InputRequired),
        Some(_) => Err("its result is of a type that it was not asked for"),
    }
}

fn input_required(result: &ResultObject) -> Result<InputRequired, &'static str> {
    #[derive(Deserialize)]
    struct Request {
        method: String,
        #[serde(default)]
        params: Option<Box<RawValue>>,
    }
    let [requests, state] = result.find(["inputRequests", "requestState"]);
    if requests.is_none() && state.is_none() {
        return Err("it requires input without saying which");
    }
    let requests: BTreeMap<String, Request> = match requests {
        Some(raw) => serde_json::from_str(raw.get()).map_err(|_| "its questions are not valid")?,
        None => BTreeMap::new(),
    };
    let asks = requests.into_iter().map(|(key, Request { method, params })| {
        Ok((key, ask(&method, params).ok_or("it asks what no client knows")?))
    });
    let asks = asks.collect::<Result<_, &str>>()?;
    Ok(InputRequired { asks, state: state.map(ToOwned::to_owned) })
}

/// A server's result as its client's edge tells it.
pub fn for_client(result: &mut ResultObject, from: Era, to: Revision) {
    match (from, to.era()) {
        (Era::Legacy, Era::Legacy) | (Era::Modern, Era::Modern) => {}
        // Whatever a server of that era means by it, the modern one's own will stand there.
        (Era::Legacy, Era::Modern) => result.remove("resultType"),
        (Era::Modern, Era::Legacy) => {
            let structured = result.find(["structuredContent"]);
            let odd = matches!(structured, [Some(content)] if !is_object(content));
            for member in ["resultType", "ttlMs", "cacheScope"] {
                result.remove(member);
            }
            // Before 2026-07-28 it is an object; the text says the same.
            if odd {
                result.remove("structuredContent");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::AskKind;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn results_cross_in_all_four_ways() {
        let (legacy, modern) = (Revision::V2025_11_25, Revision::V2026_07_28);
        let plain = r#"{ "content":[1.10],  "_meta":{"x": 1} }"#;
        let dressed = r#"{"ttlMs":5, "content":[],"cacheScope":"public", "resultType":"complete"}"#;
        let cases = [
            (plain, Era::Legacy, legacy, plain),
            (plain, Era::Legacy, modern, plain),
            (plain, Era::Modern, legacy, plain),
            (plain, Era::Modern, modern, plain),
            (dressed, Era::Legacy, legacy, dressed),
            (dressed, Era::Modern, modern, dressed),
            (dressed, Era::Modern, legacy, r#"{"content":[]}"#),
            (r#"{"resultType":"odd","a":1}"#, Era::Legacy, modern, r#"{"a":1}"#),
            (r#"{"structuredContent":[1],"a":1}"#, Era::Modern, legacy, r#"{"a":1}"#),
            (r#"{"structuredContent":{}}"#, Era::Modern, legacy, r#"{"structuredContent":{}}"#),
            (r#"{"structuredContent":[1]}"#, Era::Modern, modern, r#"{"structuredContent":[1]}"#),
        ];
        for (text, from, to, expected) in cases {
            let mut result = match from {
                Era::Legacy => result(raw(text)).unwrap(),
                Era::Modern => match answer(raw(text)) {
                    Ok(Answer::Complete(result)) => result,
                    other => panic!("{other:?}"),
                },
            };
            for_client(&mut result, from, to);
            let told = serde_json::to_string(&result).unwrap();
            assert_eq!(told, expected, "{text} from {from:?} to {to}");
        }
    }

    #[test]
    fn only_modern_servers_require_input() {
        let text = r#"{"resultType":"input_required","requestState":"s\u00e9",
            "inputRequests":{"k":{"method":"roots/list"},
                             "l":{"method":"elicitation/create","params":{"mode":"url"}}}}"#;
        assert!(result(raw(text)).is_ok());
        let Ok(Answer::InputRequired(required)) = answer(raw(text)) else {
            panic!("no questions");
        };
        assert_eq!(required.state.unwrap().get(), r#""s\u00e9""#);
        let kinds: Vec<_> = required.asks.values().map(|ask| ask.kind).collect();
        assert_eq!(kinds, [AskKind::ListRoots, AskKind::ElicitUrl]);
    }

    #[test]
    fn what_is_no_result_is_said_to_be_none() {
        for text in [
            "[]",
            "null",
            r#"{"resultType":"task"}"#,
            r#"{"resultType":7}"#,
            r#"{"resultType":"input_required"}"#,
            r#"{"resultType":"input_required","inputRequests":[]}"#,
            r#"{"resultType":"input_required","inputRequests":{"k":{"method":"tools/list"}}}"#,
        ] {
            assert!(answer(raw(text)).is_err(), "{text}");
        }
    }
}
