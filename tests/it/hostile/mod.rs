//! Peers that do what they must not: each gets a clear error or a close, within a bound, and
//! nobody else notices.

mod bodies;
mod bystander;
mod crowd;
mod crowding;
mod frames;
mod heads;
mod http2;
mod leaving;
mod pages;
mod readers;
mod refusals;
mod sessions;
mod text;
mod wire;
