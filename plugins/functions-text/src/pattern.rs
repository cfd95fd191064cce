//! Regular expressions, each made once. Matching takes time in the length of the text (the crate `regex`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reedbase_plugin_api::{Error, Result};
use regex::Regex;

/// The patterns that were used, by their texts.
#[derive(Debug, Default)]
pub(crate) struct Patterns(Mutex<HashMap<String, Arc<Regex>>>);

/// At most this many are kept.
const KEPT_MAX: usize = 64;

impl Patterns {
    /// The pattern that a text is.
    ///
    /// # Errors
    /// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) if it is none.
    pub(crate) fn get(&self, text: &str) -> Result<Arc<Regex>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pattern) = known.get(text) {
            return Ok(Arc::clone(pattern));
        }
        let pattern = Regex::new(text).map_err(|error| {
            Error::invalid(format!("`{text}` is no regular expression")).caused_by(error)
        })?;
        if known.len() >= KEPT_MAX {
            known.clear();
        }
        let pattern = Arc::new(pattern);
        known.insert(text.to_owned(), Arc::clone(&pattern));
        Ok(pattern)
    }
}
