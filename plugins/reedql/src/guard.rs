//! A panic must not reach C code, where it would end the process: every call from SQLite is guarded, and a panic becomes an
//! error of the query.

use std::panic::{AssertUnwindSafe, catch_unwind};

use reedbase_plugin_api::Error;

/// Does what SQLite asks for; a panic becomes an error. `Shared::told` hands it on.
pub(crate) fn guarded<T>(act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| Err(panicked()))
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
    use reedbase_plugin_api::ErrorKind;

    use super::*;
    use crate::shared::Shared;

    #[test]
    fn a_panic_becomes_an_error() {
        let shared = Shared::default();
        assert_eq!(shared.told(guarded(|| Ok(7))).unwrap(), 7);
        let panics = || -> Result<(), Error> { panic!("on purpose") };
        assert!(shared.told(guarded(panics)).is_err());
        assert_eq!(shared.take_failure().unwrap().kind(), ErrorKind::Internal);
    }
}
