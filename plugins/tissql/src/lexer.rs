//! From a text to words: names, numbers, texts in quotes, placeholders and signs, each with its place.

use reedbase_plugin_api::{Error, Result};

/// A word of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Where it begins, in bytes.
    pub(crate) at: usize,
    /// Where it ends.
    pub(crate) end: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A keyword or a name.
    Word,
    /// A name in `"…"`.
    Quoted(String),
    Number,
    /// A text in `'…'`.
    Text(String),
    /// `?`, or `:name`.
    Placeholder,
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// Longer signs first.
const SIGNS: [&str; 20] = [
    "<>", "<=", ">=", "!=", "||", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",",
    ".", ";",
];

/// The words of a text, the last one its end.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) for a character that begins no word, or a quote that is not
/// closed, with line and character.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blank(text, at);
        let rest = text.get(at..).unwrap_or_default();
        let Some(first) = rest.chars().next() else {
            tokens.push(Token { kind: Kind::End, at, end: at });
            return Ok(tokens);
        };
        let (kind, len) = match first {
            '\'' => quoted(text, at).map(|(text, len)| (Kind::Text(text), len))?,
            '"' => quoted(text, at).map(|(name, len)| (Kind::Quoted(name), len))?,
            '?' => (Kind::Placeholder, 1),
            ':' => (Kind::Placeholder, 1 + word_len(&rest[1..])),
            '0'..='9' => (Kind::Number, number_len(rest)),
            _ if is_word(first) => (Kind::Word, word_len(rest)),
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Kind::Sign(sign), sign.len()),
                None => {
                    return Err(
                        Error::invalid(format!("`{first}` begins no word")).in_text(text, at)
                    );
                }
            },
        };
        tokens.push(Token { kind, at, end: at + len });
        at += len;
    }
}

fn is_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

fn number_len(text: &str) -> usize {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())
    };
    let starts = |at: usize, with: &[char]| text.get(at..).is_some_and(|t| t.starts_with(with));
    let mut len = digits(0);
    if starts(len, &['.']) && digits(len + 1) > len + 1 {
        len = digits(len + 1);
    }
    if starts(len, &['e', 'E']) {
        let sign = usize::from(starts(len + 1, &['+', '-']));
        if digits(len + 1 + sign) > len + 1 + sign {
            len = digits(len + 1 + sign);
        }
    }
    len
}

/// What stands in quotes, doubled ones undone, and how long that is with them.
fn quoted(text: &str, at: usize) -> Result<(String, usize)> {
    let mut chars = text.get(at..).unwrap_or_default().char_indices();
    let quote = chars.next().map_or('\'', |(_, quote)| quote);
    let mut inside = String::new();
    while let Some((offset, c)) = chars.next() {
        if c != quote {
            inside.push(c);
            continue;
        }
        let mut ahead = chars.clone();
        if ahead.next().is_some_and(|(_, next)| next == quote) {
            inside.push(quote);
            chars = ahead;
            continue;
        }
        return Ok((inside, offset + 1));
    }
    Err(Error::invalid(format!("the {quote} that begins here has no end")).in_text(text, at))
}

/// Behind white space and comments.
fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let blank = rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        let comment = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            0
        };
        at += blank + comment;
        if comment == 0 {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_words_with_their_places() {
        let kinds = |text: &str| -> Vec<Kind> {
            tokens(text).unwrap().into_iter().map(|token| token.kind).collect()
        };
        let text = |text: &str| Kind::Text(text.into());
        use Kind::{End, Number, Placeholder, Sign, Word};
        assert_eq!(
            kinds("a.b>=1.5e3 -- all\n/* of */ 'it''s' ?:x"),
            [
                Word,
                Sign("."),
                Word,
                Sign(">="),
                Number,
                text("it's"),
                Placeholder,
                Placeholder,
                End
            ]
        );
        assert_eq!(
            kinds("1.x 1e \"a\"\"b\""),
            [Number, Sign("."), Word, Number, Word, Kind::Quoted("a\"b".into()), End]
        );
        let error = |text: &str| tokens(text).unwrap_err().to_string();
        assert_eq!(error("a\n  'b"), "line 2, character 3: the ' that begins here has no end");
        assert_eq!(error("ä ~"), "line 1, character 3: `~` begins no word");
    }
}
