//! Deciding conflicts one after the other on a terminal: what is to be decided and how far one has come, apart from the
//! terminal itself. Keys go in, a screen comes out.

/// What was decided so far, and what a key does.
mod session;
/// What is seen.
mod screen;

pub(crate) use screen::screen;
pub(crate) use session::{Item, Key, Outcome, Session};
