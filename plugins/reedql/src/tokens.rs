//! A text cut into tokens, before SQLite sees it.

use reedbase_plugin_api::{Error, Result};
use sqlite3_parser::lexer::Scanner;
use sqlite3_parser::lexer::sql::Error as ScanError;
use sqlite3_parser::lexer::sql::{TokenType, Tokenizer};

/// A token, by its place in the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: TokenType,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Token {
    /// The token as it stands in the text.
    pub(crate) fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.from..self.to).unwrap_or_default()
    }

    /// Whether it is this keyword.
    pub(crate) fn is(&self, text: &str, keyword: &str) -> bool {
        self.text(text).eq_ignore_ascii_case(keyword)
    }

    /// The name that it may be: without quotes, if it has some.
    pub(crate) fn name(&self, text: &str) -> Option<String> {
        let text = self.text(text);
        let inner = |quote: char| {
            let inner = text.get(1..text.len().checked_sub(1)?)?;
            Some(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
        };
        match text.chars().next()? {
            quote @ ('"' | '\'' | '`') => inner(quote),
            '[' => text.get(1..text.len().checked_sub(1)?).map(str::to_owned),
            first if first.is_alphabetic() || first == '_' => Some(text.to_owned()),
            _ => None,
        }
    }

    /// The text that it is, if it is a literal text.
    pub(crate) fn literal(&self, text: &str) -> Option<String> {
        self.text(text).starts_with('\'').then(|| self.name(text)).flatten()
    }
}

/// The tokens of a text; comments and white space are none.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) with line and character, for what can be no token.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut scanner = Scanner::new(Tokenizer::new());
    let mut tokens = Vec::new();
    loop {
        match scanner.scan(text.as_bytes()) {
            Ok((from, Some((_, kind)), to)) => tokens.push(Token { kind, from, to }),
            Ok((_, None, _)) => return Ok(tokens),
            Err(error) => {
                let at = tokens.last().map_or(0, |token: &Token| token.to);
                let rest = text.get(at..).unwrap_or_default();
                let blank = rest.len() - rest.trim_start().len();
                return Err(said(&error).in_text(text, at + blank));
            }
        }
    }
}

fn said(error: &ScanError) -> Error {
    let message = match error {
        ScanError::UnterminatedLiteral(_) => "the quote is never closed",
        ScanError::UnterminatedBracket(_) => "the bracket `[` is never closed",
        ScanError::UnterminatedBlockComment(_) => "the comment is never closed: `*/` is missing",
        ScanError::BadVariableName(_) => "a parameter needs a name or a number: `?1` or `:name`",
        ScanError::BadNumber(_) => "this is no number",
        ScanError::ExpectedEqualsSign(_) => "`!` means something only in `!=`",
        ScanError::MalformedBlobLiteral(_) => "x'…' must hold an even number of hexadecimal digits",
        ScanError::MalformedHexInteger(_) => "`0x` must be followed by hexadecimal digits",
        _ => "this character means nothing here",
    };
    Error::invalid(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_quotes() {
        let text = "a \"b\"\"c\" `d` [e f] 'it''s' 7";
        let names: Vec<_> = tokens(text).unwrap().iter().map(|token| token.name(text)).collect();
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(names, [some("a"), some("b\"c"), some("d"), some("e f"), some("it's"), None]);
    }

    #[test]
    fn what_is_no_token_is_told_with_its_place() {
        let error = |text| tokens(text).unwrap_err().to_string();
        assert_eq!(error("SELECT 'it"), "line 1, character 8: the quote is never closed");
        assert_eq!(
            error("SELECT 1,\n  é, x'0"),
            "line 2, character 6: x'…' must hold an even number of hexadecimal digits"
        );
        assert_eq!(
            error("SELECT 1 /* x"),
            "line 1, character 10: the comment is never closed: `*/` is missing"
        );
        assert_eq!(error("a ! b"), "line 1, character 3: `!` means something only in `!=`");
    }
}
