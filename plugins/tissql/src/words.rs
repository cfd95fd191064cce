//! Goes through the words of a text, and says what was expected where something else stands.

use reedbase_plugin_api::{Error, Result};

use crate::ast::{Name, Select};
use crate::lexer::{Kind, Token, tokens};

/// Words that name nothing: what stands behind a table is its alias unless it is one of them.
const KEYWORDS: [&str; 44] = [
    "ALL", "AND", "AS", "ASC", "BEGIN", "BETWEEN", "BY", "COMMIT", "CROSS", "DELETE", "DESC",
    "DISTINCT", "EXISTS", "FROM", "FULL", "GROUP", "HAVING", "IN", "INNER", "INSERT", "INTERVAL",
    "INTO", "IS", "JOIN", "LEFT", "LIKE", "LIMIT", "NOT", "NULL", "OFFSET", "ON", "OR", "ORDER",
    "OUTER", "RIGHT", "ROLLBACK", "SELECT", "SET", "UNION", "UPDATE", "VALUES", "WHERE", "TRUE",
    "FALSE",
];

/// The words of a text, from the first to the last.
#[derive(Clone)]
pub(crate) struct Words<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    /// What reads a SELECT in brackets: expressions have SELECTs in them, and these have expressions.
    pub(crate) select: fn(&mut Words<'_>) -> Result<Select>,
}

/// Deeper than this nobody thinks; a text that does would exhaust the stack.
const DEPTH_MAX: u32 = 64;

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str, select: fn(&mut Words<'_>) -> Result<Select>) -> Result<Self> {
        Ok(Self { text, tokens: tokens(text)?, at: 0, depth: 0, select })
    }

    pub(crate) fn kind(&self) -> &Kind {
        self.tokens.get(self.at).map_or(&Kind::End, |token| &token.kind)
    }

    fn ahead(&self, count: usize) -> Option<&Token> {
        self.tokens.get(self.at + count)
    }

    /// Where the next word begins.
    pub(crate) fn place(&self) -> usize {
        self.ahead(0).map_or(self.text.len(), |token| token.at)
    }

    /// Where the word before it ended.
    pub(crate) fn behind(&self) -> usize {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or(0, |token| token.end)
    }

    /// What stands between two places.
    pub(crate) fn between(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// The next word as it is written.
    pub(crate) fn written(&self) -> &'a str {
        self.ahead(0).map_or("", |token| self.between(token.at, token.end))
    }

    pub(crate) fn pass(&mut self) {
        self.at += 1;
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        *self.kind() == Kind::Word && self.written().eq_ignore_ascii_case(word)
    }

    /// Whether the word behind the next one is this.
    pub(crate) fn is_next_word(&self, word: &str) -> bool {
        self.ahead(1).is_some_and(|token| {
            token.kind == Kind::Word && self.between(token.at, token.end).eq_ignore_ascii_case(word)
        })
    }

    pub(crate) fn is_next_text(&self) -> bool {
        matches!(self.ahead(1), Some(Token { kind: Kind::Text(_), .. }))
    }

    pub(crate) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.kind(), Kind::Sign(known) if *known == sign)
    }

    pub(crate) fn is_next_sign(&self, sign: &str) -> bool {
        matches!(self.ahead(1), Some(Token { kind: Kind::Sign(known), .. }) if *known == sign)
    }

    /// Passes a word if it is this one.
    pub(crate) fn word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        self.at += usize::from(is);
        is
    }

    /// Passes a sign if it is this one.
    pub(crate) fn sign(&mut self, sign: &str) -> bool {
        let is = self.is_sign(sign);
        self.at += usize::from(is);
        is
    }

    pub(crate) fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.word(word) { Ok(()) } else { Err(self.expected(word)) }
    }

    pub(crate) fn expect_sign(&mut self, sign: &str) -> Result<()> {
        if self.sign(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    /// Whether a name stands here.
    pub(crate) fn is_name(&self) -> bool {
        match self.kind() {
            Kind::Quoted(_) => true,
            Kind::Word => !KEYWORDS.iter().any(|word| self.written().eq_ignore_ascii_case(word)),
            _ => false,
        }
    }

    pub(crate) fn name(&mut self, what: &str) -> Result<Name> {
        let at = self.place();
        if !self.is_name() {
            return Err(self.expected(what));
        }
        self.any_name(at)
    }

    /// A name behind a point, where also a keyword is one.
    pub(crate) fn name_behind_point(&mut self) -> Result<Name> {
        let at = self.place();
        match self.kind() {
            Kind::Word | Kind::Quoted(_) => self.any_name(at),
            _ => Err(self.expected("a name")),
        }
    }

    fn any_name(&mut self, at: usize) -> Result<Name> {
        let text = match self.kind() {
            Kind::Quoted(name) => name.clone(),
            _ => self.written().to_owned(),
        };
        self.pass();
        Ok(Name { text, at })
    }

    /// Goes one level deeper.
    pub(crate) fn deeper<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEPTH_MAX {
            return Err(self.wrong(&format!("this is nested more than {DEPTH_MAX} levels deep")));
        }
        self.depth += 1;
        let done = act(self);
        self.depth -= 1;
        done
    }

    pub(crate) fn expected(&self, what: &str) -> Error {
        let found = match self.kind() {
            Kind::End => "the end".to_owned(),
            _ => format!("`{}`", self.written()),
        };
        self.wrong(&format!("expected {what}, found {found}"))
    }

    pub(crate) fn wrong(&self, message: &str) -> Error {
        Error::invalid(message).in_text(self.text, self.place())
    }

    /// An error of the word before the next one.
    pub(crate) fn placed(&self, error: Error) -> Error {
        let at = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        error.in_text(self.text, at.map_or(0, |token| token.at))
    }
}
