//! The tests are in `it/`; this crate has no code of its own.
