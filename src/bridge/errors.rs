//! Errors on their way from a server to a client.

use serde_json::json;

use crate::protocol::{Code, Era, Operation, RpcError};

/// A server's error as its client's edge tells it. The number, the message and the data stay, but
/// for what the two eras number differently.
pub fn for_client(mut error: RpcError, operation: &Operation, from: Era, to: Era) -> RpcError {
    if let (Operation::ReadResource(uri), Code::Other(number)) = (operation, error.code) {
        let names_uri = error.data.as_ref().is_some_and(|data| data.get("uri").is_some());
        // In the modern era the same number says that parameters are wrong.
        let not_found = number == -32002 || (number == -32602 && from == Era::Modern && names_uri);
        if not_found {
            error.code = Code::ResourceNotFound;
            if to == Era::Modern && error.data.is_none() {
                error.data = Some(json!({ "uri": uri }));
            }
        }
    }
    match error.code {
        // What the node itself said to the server was wrong: nothing that the client could mend.
        Code::Other(-32020 | -32022) => RpcError { code: Code::InternalError, ..error },
        // HTTP has a status for it.
        Code::Other(-32021) if to == Era::Modern => {
            RpcError { code: Code::MissingClientCapability, ..error }
        }
        // A number that nobody may use any more.
        Code::Other(-32042 | -32002) if to == Era::Modern => {
            RpcError { code: Code::InternalError, ..error }
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::protocol::call::ToolCall;

    #[test]
    fn numbers_pass_but_for_those_that_the_eras_differ_in() {
        use Era::{Legacy, Modern};
        let read = Operation::ReadResource("a:b".into());
        let call = Operation::CallTool(ToolCall { name: "t".into(), arguments: None, task: None });
        let uri = json!({ "uri": "a:b" });
        type Told<'a> = (i64, Option<&'a Value>);
        type Case<'a> = (&'a Operation, i64, Option<&'a Value>, Era, Era, Told<'a>);
        let cases: [Case<'_>; 14] = [
            (&read, -32002, None, Legacy, Legacy, (-32002, None)),
            (&read, -32002, None, Legacy, Modern, (-32602, Some(&uri))),
            (&read, -32002, Some(&uri), Modern, Modern, (-32602, Some(&uri))),
            (&read, -32602, Some(&uri), Modern, Legacy, (-32002, Some(&uri))),
            (&read, -32602, Some(&uri), Modern, Modern, (-32602, Some(&uri))),
            (&read, -32602, None, Modern, Legacy, (-32602, None)),
            (&read, -32602, Some(&uri), Legacy, Legacy, (-32602, Some(&uri))),
            (&call, -32002, None, Legacy, Legacy, (-32002, None)),
            (&call, -32002, None, Legacy, Modern, (-32603, None)),
            (&call, -32042, None, Legacy, Legacy, (-32042, None)),
            (&call, -32042, None, Legacy, Modern, (-32603, None)),
            (&call, -32021, Some(&uri), Modern, Legacy, (-32021, Some(&uri))),
            (&call, -32020, None, Modern, Modern, (-32603, None)),
            (&call, 17, Some(&uri), Legacy, Modern, (17, Some(&uri))),
        ];
        for (operation, number, data, from, to, (expected, told)) in cases {
            let error =
                RpcError { code: Code::Other(number), message: "m".into(), data: data.cloned() };
            let error = for_client(error, operation, from, to);
            let told_as = format!("{number} from {from:?} to {to:?}");
            assert_eq!(error.code.number(to), expected, "{told_as}");
            assert_eq!((error.message.as_str(), error.data.as_ref()), ("m", told), "{told_as}");
        }
    }
}
