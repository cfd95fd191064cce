//! The dialect `tissql`: SQL with paths into the documents that cells hold, translated to ReedQL.
//!
//! ```text
//! SELECT name, specs.bluetooth_version FROM products WHERE specs.ports[0] = 'usb-c'
//! UPDATE products SET specs.colour = 'red' WHERE id = 'product_789'
//! SELECT name FROM events WHERE at >= TIMESTAMP '2024-07-27T10:05:00Z'
//! ```
//!
//! A text goes through once: words (`lexer`), statements (`parse`, `expression`), ReedQL (`emit`). What comes out
//! is made of keywords, names in quotes and `?`: every value that was written is a parameter. What changes rows answers with one row:
//! `updated_count`, `deleted_count` or `inserted_count`. A column without a name of its own has the text that was written.

#![forbid(unsafe_code)]

mod ast;
mod lexer;
mod words;
mod time;
mod expression;
mod parse;
mod emit;

use reedbase_plugin_api::{Params, Result, Snapshot, Translated, Translator};

use crate::emit::{Emit, Given};

/// The dialect.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no state")]
pub struct TissQl;

impl Translator for TissQl {
    fn id(&self) -> &str {
        "tissql"
    }

    fn translate(
        &self,
        text: &str,
        params: Option<&Params>,
        _: &dyn Snapshot,
    ) -> Result<Vec<Translated>> {
        let mut given = Given { params, taken: 0 };
        let mut translated = Vec::new();
        for statement in parse::statements(text)? {
            translated.push(Emit::new(text, &mut given).statement(&statement)?);
        }
        given.check()?;
        Ok(translated)
    }

    fn is_complete(&self, text: &str) -> bool {
        let Ok(mut tokens) = lexer::tokens(text) else { return text.trim_end().ends_with(';') };
        tokens.pop();
        tokens.pop().is_none_or(|token| token.kind == lexer::Kind::Sign(";"))
    }
}
