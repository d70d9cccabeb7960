//! Any bytes at the HTTP port are answered or the connection is closed, and the node goes on as if
//! they had never come.

#![no_main]

use std::sync::{LazyLock, Mutex, PoisonError};

use libfuzzer_sys::fuzz_target;

#[path = "checks/http.rs"]
mod http;

static NODE: LazyLock<Mutex<http::Fed>> = LazyLock::new(|| Mutex::new(http::Fed::start()));

fuzz_target!(|input: &[u8]| {
    NODE.lock().unwrap_or_else(PoisonError::into_inner).feed(input);
});
