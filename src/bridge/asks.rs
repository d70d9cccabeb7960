//! What servers ask clients: a request of their own in the session era, a part of an
//! `input_required` result since 2026-07-28.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::protocol::splice::{Edits, find};
use crate::protocol::{Ask, AskError, AskKind, ClientCapabilities, Code, RpcError};

/// The error of 2025-11-25 that sends a client to URLs before it tries again.
const URL_ELICITATION_REQUIRED: Code = Code::Other(-32042);

/// A server's request as a question to its client; `None` for a method that no client has.
pub fn ask(method: &str, params: Option<Box<RawValue>>) -> Option<Ask> {
    let has = |name: &str, value: Option<&str>| {
        let found = params.as_deref().and_then(|params| find(params, [name]).ok());
        let found = found.and_then(|[found]| found);
        found.is_some_and(|found| value.is_none_or(|value| found.get() == value))
    };
    let kind = match method {
        "elicitation/create" if has("mode", Some(r#""url""#)) => AskKind::ElicitUrl,
        "elicitation/create" => AskKind::ElicitForm,
        "sampling/createMessage" if has("tools", None) => AskKind::SampleWithTools,
        "sampling/createMessage" => AskKind::Sample,
        "roots/list" => AskKind::ListRoots,
        _ => return None,
    };
    Some(Ask { kind, params })
}

/// Checks that a client can be asked this, for a server of the session era.
///
/// # Errors
/// What the client itself would have answered: -32601 for a request that it doesn't know, -32602
/// for one in a mode that it doesn't have.
pub fn check_ask(ask: &Ask, client: ClientCapabilities) -> Result<(), RpcError> {
    let Err(missing) = ask.kind.check(client) else { return Ok(()) };
    let knows_method = match ask.kind {
        AskKind::ElicitForm | AskKind::ElicitUrl => {
            client.elicitation_form || client.elicitation_url
        }
        AskKind::Sample | AskKind::SampleWithTools => client.sampling,
        AskKind::ListRoots => client.roots,
    };
    Err(if knows_method {
        RpcError::new(Code::InvalidParams, missing.message)
    } else {
        RpcError::method_not_found(ask.kind.method())
    })
}

/// Why a client doesn't answer, as the server that asked hears it. A refusal is the client's own.
pub fn answer_error(error: AskError) -> RpcError {
    match error {
        AskError::Refused { code, message } => RpcError::new(Code::Other(code), message),
        other => other.into(),
    }
}

/// A modern server's question as a client of the session era hears it. `id` is new for each: since
/// 2026-07-28 a URL has none, and before it has to.
pub fn for_legacy_client(mut ask: Ask, id: &str) -> Ask {
    if ask.kind == AskKind::ElicitUrl {
        let found = ask.params.as_deref().and_then(|params| find(params, ["elicitationId"]).ok());
        let mut edits = Edits::default();
        if found.is_none_or(|[id]| id.is_none()) && edits.set("elicitationId", id).is_ok() {
            let edited = RawValue::from_string(edits.apply(ask.params.as_deref()));
            ask.params = edited.ok().or(ask.params);
        }
    }
    ask
}

/// The URLs that a legacy server's error wants visited, as questions to a modern client, which
/// doesn't know that error.
pub fn visits(error: &RpcError) -> Option<BTreeMap<String, Ask>> {
    #[derive(Deserialize)]
    struct Data {
        elicitations: Vec<Value>,
    }
    if error.code != URL_ELICITATION_REQUIRED {
        return None;
    }
    let data: Data = serde_json::from_value(error.data.clone()?).ok()?;
    let ask = |(number, params): (usize, Value)| {
        let ask = ask("elicitation/create", Some(to_raw_value(&params).ok()?))?;
        (ask.kind == AskKind::ElicitUrl).then(|| (format!("visit-{}", number + 1), ask))
    };
    let asks: Option<BTreeMap<_, _>> = data.elicitations.into_iter().enumerate().map(ask).collect();
    asks.filter(|asks| !asks.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn questions_are_told_by_their_method_and_mode() {
        let cases = [
            ("elicitation/create", "{}", Some(AskKind::ElicitForm)),
            ("elicitation/create", r#"{"mode":"form"}"#, Some(AskKind::ElicitForm)),
            ("elicitation/create", r#"{"mode":"url"}"#, Some(AskKind::ElicitUrl)),
            ("sampling/createMessage", r#"{"messages":[]}"#, Some(AskKind::Sample)),
            ("sampling/createMessage", r#"{"tools":[]}"#, Some(AskKind::SampleWithTools)),
            ("roots/list", "{}", Some(AskKind::ListRoots)),
            ("ping", "{}", None),
            ("tools/call", "{}", None),
        ];
        for (method, params, kind) in cases {
            let found = ask(method, Some(raw(params)));
            assert_eq!(found.as_ref().map(|ask| ask.kind), kind, "{method} {params}");
            assert!(found.is_none_or(|ask| ask.params.unwrap().get() == params));
        }
        assert_eq!(ask("roots/list", None).unwrap().kind, AskKind::ListRoots);
    }

    #[test]
    fn a_client_that_cannot_is_told_as_it_would_tell_itself() {
        let none = ClientCapabilities::default();
        let form = ClientCapabilities { elicitation_form: true, ..none };
        let sampling = ClientCapabilities { sampling: true, ..none };
        let cases = [
            (r#"{"mode":"url"}"#, "elicitation/create", none, Some(Code::MethodNotFound)),
            (r#"{"mode":"url"}"#, "elicitation/create", form, Some(Code::InvalidParams)),
            ("{}", "elicitation/create", form, None),
            ("{}", "sampling/createMessage", form, Some(Code::MethodNotFound)),
            (r#"{"tools":[]}"#, "sampling/createMessage", sampling, Some(Code::InvalidParams)),
            ("{}", "sampling/createMessage", sampling, None),
            ("{}", "roots/list", none, Some(Code::MethodNotFound)),
        ];
        for (params, method, client, code) in cases {
            let ask = ask(method, Some(raw(params))).unwrap();
            let error = check_ask(&ask, client).err();
            assert_eq!(error.map(|error| error.code), code, "{method} {params}");
        }
    }

    #[test]
    fn a_refusal_reaches_the_server_as_the_client_said_it() {
        let refused = AskError::Refused { code: -1, message: "User rejected".into() };
        let error = answer_error(refused);
        assert_eq!((error.code, error.message.as_str()), (Code::Other(-1), "User rejected"));
        assert_eq!(answer_error(AskError::TimedOut).code, Code::InternalError);
    }

    #[test]
    fn a_url_gets_an_id_where_its_client_needs_one() {
        let url = |params: &str| Ask { kind: AskKind::ElicitUrl, params: Some(raw(params)) };
        let text = |ask: Ask| ask.params.unwrap().get().to_owned();
        let with = text(for_legacy_client(url(r#"{"url":"u"}"#), "i"));
        assert_eq!(with, r#"{"url":"u","elicitationId":"i"}"#);
        let own = r#"{"elicitationId":"own", "url":"u"}"#;
        assert_eq!(text(for_legacy_client(url(own), "i")), own);
        let form = Ask { kind: AskKind::ElicitForm, params: Some(raw(r#"{"message":"m"}"#)) };
        assert_eq!(text(for_legacy_client(form, "i")), r#"{"message":"m"}"#);
    }

    #[test]
    fn urls_of_an_error_become_questions() {
        let url = json!({ "mode": "url", "url": "https://a.test", "elicitationId": "e" });
        let error = |code, data| RpcError::new(Code::Other(code), "m").with_data(data);
        let asks = visits(&error(-32042, json!({ "elicitations": [url] }))).unwrap();
        assert_eq!(asks.keys().collect::<Vec<_>>(), ["visit-1"]);
        for error in [
            error(-32041, json!({ "elicitations": [url] })),
            error(-32042, json!({ "elicitations": [] })),
            error(-32042, json!({ "elicitations": [{ "mode": "form" }] })),
            error(-32042, json!({})),
            RpcError::new(Code::Other(-32042), "m"),
        ] {
            assert!(visits(&error).is_none(), "{error:?}");
        }
    }
}
