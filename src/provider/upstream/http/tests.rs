//! Wires to real servers: ones that answer as each test says, and the node itself.

mod auth_tests;
mod node_tests;
mod rig;
mod sse2024_tests;
mod streamable_tests;
mod trouble_tests;
