//! What answers the requests of one listener: names checked, routes tried, all of it measured.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{HOST, ORIGIN};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use warp::reply::Response;

use super::answer::{Accepts, Answer};
use super::cors;
use super::guard::{Guard, Refusal};
use super::routes::{Routes, template};
use crate::protocol::{Code, RpcError};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{HttpLabels, RouteLabels};
use crate::telemetry::observation::refused;

type Respond = dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response> + Send + Sync;

/// The responder of a listener; clones share it.
#[derive(Clone)]
pub struct Responder {
    routes: Arc<Respond>,
    guard: Arc<Guard>,
    metrics: Metrics,
}

impl Responder {
    /// Serves `routes` to those whom `guard` lets in.
    pub fn new(routes: Routes, guard: Guard, metrics: Metrics) -> Self {
        let routes = TowerToHyperService::new(warp::service(routes));
        let routes = move |request| {
            let response = routes.call(request);
            async move {
                match response.await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            .boxed()
        };
        Self { routes: Arc::new(routes), guard: Arc::new(guard), metrics }
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers one request.
    pub fn respond(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
        let responder = self.clone();
        async move {
            let started = Instant::now();
            let (method, route) = (label(request.method()), template(request.uri().path()));
            let response = match responder.admit(&request) {
                Ok(()) => responder.answer(request).await,
                Err(refusal) => responder.refuse(refusal),
            };
            let status = response.status().as_u16();
            let (metrics, seconds) = (&responder.metrics, started.elapsed().as_secs_f64());
            metrics.http_requests.get_or_create(&HttpLabels { method, route, status }).inc();
            metrics.http_duration.get_or_create(&RouteLabels { method, route }).observe(seconds);
            Ok(response)
        }
    }

    /// Answers a request of somebody who was let in.
    async fn answer(&self, request: Request<Incoming>) -> Response {
        let origin = request.headers().get(ORIGIN).cloned();
        let mut response = match cors::preflight(&request) {
            Some(response) => response,
            None => (self.routes)(request).await,
        };
        if let Some(origin) = origin {
            cors::dress(&mut response, origin);
        }
        response
    }

    fn admit(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        let text = |name| {
            let mut values = request.headers().get_all(name).iter();
            let first = values.next()?.to_str().unwrap_or("?");
            // Of two, whoever stands between may have read the other one: so it is no name at all.
            Some(if values.next().is_some() { "?" } else { first })
        };
        // HTTP/2 tells the host in the request's target.
        let host = request.uri().authority().map(|authority| authority.as_str());
        self.guard.check(host.or_else(|| text(HOST)), text(ORIGIN))
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        let (reason, message) = match refusal {
            Refusal::Host => ("host", "This host name isn't served; see http.allowed_hosts"),
            Refusal::Origin => ("origin", "This origin isn't allowed; see http.allowed_origins"),
        };
        self.metrics.reject(reason);
        let error = RpcError::new(Code::Forbidden, message);
        refused(&self.metrics, None, None, &error);
        Answer::refuse(StatusCode::FORBIDDEN, None, error).into_response(Accepts::JSON)
    }
}

fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
