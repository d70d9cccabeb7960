//! Tests of the envelope: a table of raw bodies, and bytes at random.

use proptest::prelude::*;

use super::*;
use crate::protocol::Era;

/// What a body decodes to, in short.
fn short(body: &str) -> String {
    match decode(body.as_bytes(), Limits::default()) {
        Ok(Incoming::Request(request)) => format!("request {} {}", request.id, request.method),
        Ok(Incoming::Notification(notification)) => format!("notification {}", notification.method),
        Ok(Incoming::Response { id: Some(id), .. }) => format!("response {id}"),
        Ok(Incoming::Response { id: None, .. }) => "response".to_owned(),
        Err(DecodeError { id: Some(id), error }) => {
            format!("{} to {id}", error.code.number(Era::Legacy))
        }
        Err(DecodeError { id: None, error }) => error.code.number(Era::Legacy).to_string(),
    }
}

#[test]
fn each_body_is_a_message_or_one_error() {
    let table = [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request 1 ping"),
        (r#" {"jsonrpc":"2.0","id":"a","method":"m","params":{}} "#, "request a m"),
        (r#"{"jsonrpc":"2.0","method":"n"}"#, "notification n"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "response 1"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#, "response 1"),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#, "response"),
        ("", "-32700"),
        ("hello", "-32700"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping""#, "-32700"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, "-32700"),
        ("[]", "-32600"),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "-32600"),
        ("5", "-32600"),
        ("{}", "-32600"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, "-32600"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "-32600 to 1"),
        (r#"{"id":1,"method":"ping"}"#, "-32600 to 1"),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "-32600 to 1"),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","result":{}}"#, "-32600 to 1"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, "-32600 to 1"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "-32600 to 1"),
        (r#"{"jsonrpc":"2.0","result":{}}"#, "-32600"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#, "-32602 to 1"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#, "-32602 to 1"),
    ];
    for (body, expected) in table {
        assert_eq!(short(body), expected, "{body}");
    }
}

#[test]
fn nesting_is_capped_outside_of_strings_only() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":{open}{close}}}}}"#)
    };
    assert_eq!(short(&nested(62)), "request 1 m");
    assert_eq!(short(&nested(63)), "-32600");
    assert_eq!(short(&nested(100_000)), "-32600");
    let text = "[".repeat(500);
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":"\"{text}"}}}}"#);
    assert_eq!(short(&body), "request 1 m");
}

proptest! {
    #[test]
    fn any_bytes_decode_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let error = decode(&body, Limits::default()).map(|_| ()).unwrap_err();
        prop_assert!([-32700, -32600].contains(&error.error.code.number(Era::Legacy)));
    }

    /// Messages with members of any kind: an answer always bears the id that was sent, if any.
    #[test]
    fn members_of_any_kind_decode_without_a_panic(
        id in "(null|1|-3|1\\.5|\"x\"|\\{\\}|\\[\\])",
        method in "(null|1|\"ping\"|\"\"|\\[\\])",
        params in "(null|1|\"x\"|\\{\\}|\\{\"a\":[0-9]\\}|\\[\\])",
    ) {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params}}}"#);
        match decode(body.as_bytes(), Limits::default()) {
            Ok(Incoming::Request(request)) => {
                prop_assert_eq!(serde_json::to_string(&request.id).unwrap(), id);
                prop_assert_eq!(serde_json::to_string(&request.method).unwrap(), method);
            }
            Ok(other) => prop_assert!(false, "{other:?}"),
            Err(error) => {
                let sent = error.id.map(|id| serde_json::to_string(&id).unwrap());
                prop_assert!(sent.is_none() || sent == Some(id));
            }
        }
    }
}
