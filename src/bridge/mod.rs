//! Between the eras: what a client's edge says, as an upstream's edge has to hear it, and back.
//! Pure.
//!
//! Each edge's era is settled by itself, so there are four combinations. Between two edges of the
//! same era nearly everything passes as it is; whatever isn't named here passes byte by byte.
//!
//! | | legacy upstream | modern upstream |
//! |---|---|---|
//! | who speaks | told once, in `initialize` | told in each request's `_meta` |
//! | log level | `logging/setLevel` | `logLevel` in `_meta` |
//! | questions to the client | requests of its own | an `input_required` result |
//! | no such resource | -32002 | -32602 with `data.uri` |
//! | a URL has to be visited | -32042, too | asked in `input_required` |
//! | results | no `resultType`, `ttlMs`, `cacheScope` | all of these |

mod asks;
mod capabilities;
mod errors;
mod params;
mod results;

pub use asks::{answer_error, ask, check_ask, for_legacy_client, visits};
pub use capabilities::{ServerCapabilities, declared};
pub use errors::for_client as error_for_client;
pub use params::{Hop, NODE, Retry, own, params};
pub use results::{Answer, InputRequired, answer, for_client as result_for_client, result};
