//! What somebody writes who needs one tool and nothing else: warp, a struct, an answer.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use warp::Filter;

#[derive(Deserialize)]
struct Request {
    id: Value,
    params: Params,
}

#[derive(Deserialize)]
struct Params {
    arguments: Echo,
    #[serde(rename = "_meta")]
    meta: Option<Value>,
}

#[derive(Deserialize)]
struct Echo {
    text: String,
}

#[expect(clippy::disallowed_methods, reason = "the plainest server there is, to compare with")]
pub(super) async fn serve(listener: TcpListener) {
    let echo = warp::path!("mcp").and(warp::post()).and(warp::body::json()).map(answer);
    warp::serve(echo).incoming(listener).run().await;
}

fn answer(Request { id, params }: Request) -> warp::reply::Json {
    let mut result = json!({
        "content": [{ "type": "text", "text": params.arguments.text }],
        "isError": false,
    });
    if params.meta.is_some() {
        result["resultType"] = "complete".into();
        let server = json!({ "name": "warp", "version": "1" });
        result["_meta"] = json!({ "io.modelcontextprotocol/serverInfo": server });
    }
    warp::reply::json(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}
