//! A panic must not reach C code, where it would end the process: every call from SQLite is guarded, and a panic becomes an
//! error of the query.

use std::panic::{AssertUnwindSafe, catch_unwind};

use reedbase_plugin_api::Error;

use crate::shared::Shared;

/// Does what SQLite asks for; what fails, and a panic, becomes an error of the query.
pub(crate) fn guard<T>(
    shared: &Shared,
    act: impl FnOnce() -> Result<T, Error>,
) -> rusqlite::Result<T> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(done) => done.map_err(|error| shared.fail(error)),
        Err(_) => Err(shared.fail(panicked())),
    }
}

pub(crate) fn panicked() -> Error {
    Error::internal("a table of the query panicked").help("please report it, with the query")
}

/// That SQLite failed at what is ours, not the query's.
pub(crate) fn engine_failed(error: rusqlite::Error) -> Error {
    Error::internal(format!("SQLite failed: {error}")).caused_by(error)
}

pub(crate) fn module_error(text: &str) -> rusqlite::Error {
    rusqlite::Error::ModuleError(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reedbase_plugin_api::ErrorKind;

    #[test]
    fn a_panic_becomes_an_error() {
        let shared = Shared::default();
        assert_eq!(guard(&shared, || Ok(7)).unwrap(), 7);
        let panics = || -> Result<(), Error> { panic!("on purpose") };
        assert!(guard(&shared, panics).is_err());
        assert_eq!(shared.take_failure().unwrap().kind(), ErrorKind::Internal);
    }
}
