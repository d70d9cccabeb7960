//! Tests of the modern checks: eras, and the order of errors.

use super::*;

const VERSION: &str = "2026-07-28";

fn headers(version: Option<&str>, method: Option<&str>, name: Option<&str>) -> Headers {
    let own = |text: Option<&str>| text.map(ToOwned::to_owned);
    Headers {
        protocol_version: own(version),
        method: own(method),
        name: own(name),
        ..Headers::default()
    }
}

/// Parameters, or none.
fn text(params: &str) -> Option<Box<RawValue>> {
    serde_json::from_str(params).unwrap()
}

/// Parameters with a complete `_meta` and `rest` beside it.
fn params(version: &str, rest: &str) -> String {
    format!(
        r#"{{"_meta":{{"{PROTOCOL_VERSION}":"{version}","{CLIENT_CAPABILITIES}":{{}}}}{rest}}}"#
    )
}

#[test]
fn header_and_meta_settle_the_era() {
    let full = params(VERSION, "");
    let table = [
        (None, "null", Edge::Legacy),
        (Some("2025-06-18"), "null", Edge::Legacy),
        (Some("2024-11-05"), r#"{"_meta":{"progressToken":1}}"#, Edge::Legacy),
        (Some(VERSION), "null", Edge::Modern),
        (None, full.as_str(), Edge::Modern),
        (Some("2025-06-18"), full.as_str(), Edge::Modern),
        (Some("1999-01-01"), full.as_str(), Edge::Modern),
        (Some("1999-01-01"), "null", Edge::Unknown("1999-01-01".to_owned())),
        (Some("1999-01-01"), r#"{"_meta":7}"#, Edge::Unknown("1999-01-01".to_owned())),
    ];
    for (version, body, expected) in table {
        let raw = text(body);
        let params = Params::seen(raw.as_deref()).unwrap();
        assert_eq!(edge(&headers(version, None, None), &params), expected, "{body}");
    }
}

#[test]
fn the_first_fault_in_order_is_told() {
    let code = |headers: &Headers, method: &str, params: &str| {
        let raw = text(params);
        let params = Params::seen(raw.as_deref()).unwrap();
        let request = Asked { id: 1.into(), method: method.to_owned(), params };
        check(headers, &request).map_or_else(|error| error.code.number(Era::Modern), |_| 0)
    };
    let (v, list, call) = (Some(VERSION), Some("tools/list"), Some("tools/call"));
    let ok = params(VERSION, "");
    let named = params(VERSION, r#","name":"echo""#);
    let no_capabilities = format!(r#"{{"_meta":{{"{PROTOCOL_VERSION}":"{VERSION}"}}}}"#);
    let no_version = format!(r#"{{"_meta":{{"{CLIENT_CAPABILITIES}":{{}}}}}}"#);
    let future = params("2099-01-01", "");
    let level = ok.replace("}}}", &format!(r#"}},"{LOG_LEVEL}":"loud"}}}}"#));
    let table: [(Headers, (&str, &str), i64); 18] = [
        (headers(v, list, None), ("tools/list", &ok), 0),
        (headers(v, call, Some("echo")), ("tools/call", &named), 0),
        (headers(v, call, Some("=?base64?ZWNobw==?=")), ("tools/call", &named), 0),
        (headers(v, None, None), ("tools/list", "null"), -32602),
        (headers(v, list, None), ("tools/list", "{}"), -32602),
        (headers(v, list, None), ("tools/list", &no_capabilities), -32602),
        (headers(None, None, None), ("tools/list", &no_version), -32602),
        (headers(None, list, None), ("tools/list", &ok), -32020),
        (headers(Some("2025-11-25"), list, None), ("tools/list", &ok), -32020),
        (headers(v, None, None), ("tools/list", &ok), -32020),
        (headers(v, Some("Tools/List"), None), ("tools/list", &ok), -32020),
        (headers(v, call, None), ("tools/call", &named), -32020),
        (headers(v, call, Some("Echo")), ("tools/call", &named), -32020),
        (headers(v, call, Some("=?base64?!?=")), ("tools/call", &named), -32020),
        (headers(Some("2099-01-01"), list, None), ("tools/list", &future), -32022),
        (headers(v, Some("ping"), None), ("ping", &ok), -32601),
        (headers(v, Some("initialize"), None), ("initialize", &ok), -32601),
        (headers(v, list, None), ("tools/list", &level), -32602),
    ];
    for (row, (headers, (method, params), expected)) in table.into_iter().enumerate() {
        assert_eq!(code(&headers, method, params), expected, "row {row}");
    }
}
