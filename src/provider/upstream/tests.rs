//! The client's side of the protocol against a server that a test plays itself.

mod client;
mod fake;
mod handshake_tests;
mod lists_tests;
mod modern_tests;
mod parked_tests;
mod routing_tests;
mod watch_tests;
