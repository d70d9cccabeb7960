//! Our supervisors as subjects of a replay: the pure machines, and the real driver.

mod child;
mod machines;
mod real;
mod sup;
mod tree;
mod words;

pub use machines::Machines;
pub use real::{Kind, Real};
