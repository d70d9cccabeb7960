//! The routes of both listeners, as warp filters.

use std::convert::Infallible;

use http::StatusCode;
use http::header::{ALLOW, HeaderValue};
use serde::Deserialize;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Rejection};

use super::answer::{Accepts, Answer};
use super::endpoint::Endpoint;
use super::{mcp, probes, sse2024};
use crate::catalogue::Scope;
use crate::protocol::{Code, RpcError};

/// All routes of a listener.
pub type Routes = BoxedFilter<(Response,)>;

/// The public listener.
pub fn public(endpoint: &Endpoint) -> Routes {
    let mcp = scope()
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .and(with(endpoint))
        .then(mcp::respond);
    let ping = warp::path!("ping").and(read()).map(probes::ping);
    let routes = mcp.or(ping).unify().or(probe_routes(endpoint)).unify().boxed();
    let routes =
        if endpoint.0.http.legacy_sse { routes.or(sse(endpoint)).unify().boxed() } else { routes };
    routes.recover(refuse).unify().boxed()
}

/// HTTP+SSE of 2024-11-05.
fn sse(endpoint: &Endpoint) -> BoxedFilter<(Response,)> {
    let all = warp::path!("sse").map(|| Scope::Federated);
    let one = warp::path!("sse" / String).map(|server: String| Scope::Server(server.into()));
    let open = all.or(one).unify().and(warp::get()).and(with(endpoint));
    let open = open.map(|scope, endpoint: Endpoint| sse2024::open(scope, &endpoint));
    let post = warp::path!("messages")
        .and(warp::post())
        .and(warp::query::<SessionQuery>().map(|query: SessionQuery| query.session_id))
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .and(with(endpoint))
        .then(sse2024::post);
    open.or(post).unify().boxed()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionQuery {
    session_id: String,
}

/// The operators' listener.
pub fn operators(endpoint: &Endpoint) -> Routes {
    probe_routes(endpoint).recover(refuse).unify().boxed()
}

/// A route's template, the only form in which a path becomes a label.
pub fn template(path: &str) -> &'static str {
    match path.trim_end_matches('/') {
        "/mcp" => "/mcp",
        "/sse" => "/sse",
        "/messages" => "/messages",
        "/health" => "/health",
        "/livez" => "/livez",
        "/readyz" => "/readyz",
        "/ping" => "/ping",
        "/metrics" => "/metrics",
        other if other.starts_with("/mcp/") => "/mcp/{server}",
        other if other.starts_with("/sse/") => "/sse/{server}",
        _ => "_other",
    }
}

fn scope() -> impl Filter<Extract = (Scope,), Error = Rejection> + Clone {
    let all = warp::path!("mcp").map(|| Scope::Federated);
    let one = warp::path!("mcp" / String).map(|server: String| Scope::Server(server.into()));
    all.or(one).unify()
}

/// GET, and HEAD, by which some load balancers probe; hyper leaves the body out.
fn read() -> impl Filter<Extract = (), Error = Rejection> + Clone {
    warp::get().or(warp::head()).unify()
}

fn probe_routes(endpoint: &Endpoint) -> BoxedFilter<(Response,)> {
    let get = |path: &'static str| warp::path(path).and(warp::path::end()).and(read());
    let health = get("health").and(with(endpoint)).map(|e: Endpoint| probes::health(&e));
    let live = get("livez").map(probes::live);
    let ready = get("readyz").and(with(endpoint)).map(|e: Endpoint| probes::ready(&e));
    let metrics = get("metrics").and(with(endpoint)).map(|e: Endpoint| probes::metrics(&e));
    health.or(live).unify().or(ready).unify().or(metrics).unify().boxed()
}

fn with(
    endpoint: &Endpoint,
) -> impl Filter<Extract = (Endpoint,), Error = Infallible> + Clone + use<> {
    let endpoint = endpoint.clone();
    warp::any().map(move || endpoint.clone())
}

/// What no route took.
async fn refuse(rejection: Rejection) -> Result<Response, Infallible> {
    let (status, why) = if rejection.is_not_found() {
        (StatusCode::NOT_FOUND, "There is nothing at this path")
    } else if rejection.find::<warp::reject::InvalidQuery>().is_some() {
        (StatusCode::BAD_REQUEST, "sessionId is missing; the endpoint event of GET /sse tells it")
    } else {
        (StatusCode::METHOD_NOT_ALLOWED, "This method isn't served here")
    };
    let error = RpcError::new(Code::InvalidRequest, why);
    let mut response = Answer::refuse(status, None, error).into_response(Accepts::JSON);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_labels_of_bounded_number() {
        let table = [
            ("/mcp", "/mcp"),
            ("/mcp/", "/mcp"),
            ("/mcp/demo", "/mcp/{server}"),
            ("/mcp/demo/x", "/mcp/{server}"),
            ("/health", "/health"),
            ("/wp-login.php", "_other"),
        ];
        for (path, expected) in table {
            assert_eq!(template(path), expected, "{path}");
        }
    }
}
