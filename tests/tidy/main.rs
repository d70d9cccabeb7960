//! Rules about the repository itself, as ordinary tests.
//!
//! Each rule is a function from files to [`problem::Problem`]s. It is run on the repository, and on
//! bad samples, since a rule that can't fail checks nothing. Exceptions are data beside the rule.

mod dependencies;
mod documents;
mod layers;
mod layout;
mod problem;
mod repository;
mod scan;
mod source;
