//! Functions for texts. In queries their names begin with `text_`, so that SQLite's own (`trim`, `replace`, `upper`) keep their
//! meaning; here they have plain ones. NULL gives NULL.
//!
//! ```text
//! text_trim, text_uppercase, text_lowercase, text_capitalize, text_reverse, text_remove_whitespace,
//! text_slugify, text_normalize_email        of one text
//! text_truncate(text, length)               text_replace(text, what, by)
//! text_pad_left, text_pad_right(text, length[, fill])      text_full_name(first, last)
//! text REGEXP pattern                       ORDER BY title COLLATE unicode
//! ```

#![forbid(unsafe_code)]

mod plain;
mod pattern;

use std::sync::Arc;

use reedbase_plugin_api::{Function, FunctionSet, Result, Value, ValueRef};

pub use plain::{
    capitalize, compare_unicode, full_name, lowercase, normalize_email, pad_left, pad_right,
    remove_whitespace, replace, reverse, slugify, trim, truncate, uppercase,
};

use crate::pattern::Patterns;

/// The functions for texts.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextFunctions;

/// Functions of one text.
type OfText = fn(&str) -> String;

const OF_TEXT: [(&str, OfText); 8] = [
    ("text_trim", trim),
    ("text_uppercase", uppercase),
    ("text_lowercase", lowercase),
    ("text_capitalize", capitalize),
    ("text_reverse", reverse),
    ("text_remove_whitespace", remove_whitespace),
    ("text_slugify", slugify),
    ("text_normalize_email", normalize_email),
];

impl FunctionSet for TextFunctions {
    fn id(&self) -> &str {
        "text"
    }

    fn functions(&self) -> Vec<Function> {
        let mut all: Vec<_> =
            OF_TEXT.iter().map(|(name, act)| Function::of_text(*name, act)).collect();
        let patterns = Arc::new(Patterns::default());
        all.extend([
            Function::scalar("text_full_name", 2..=2, |values| {
                with_texts(values, |texts| full_name(part(texts, 0), part(texts, 1)))
            }),
            Function::scalar("text_replace", 3..=3, |values| {
                with_texts(values, |texts| replace(part(texts, 0), part(texts, 1), part(texts, 2)))
            }),
            Function::scalar("text_truncate", 2..=2, |values| {
                let (Some(text), Some(length)) = text_and_length(values)? else {
                    return Ok(Value::Null);
                };
                Ok(truncate(&text, length).into())
            }),
            padding("text_pad_left", pad_left),
            padding("text_pad_right", pad_right),
            // `text REGEXP pattern` calls it with the pattern first.
            Function::scalar("regexp", 2..=2, move |values| {
                let texts = texts(values)?;
                let [Some(pattern), Some(text)] = &texts[..] else { return Ok(Value::Null) };
                Ok(patterns.get(pattern)?.is_match(text).into())
            }),
            Function::collation("unicode", compare_unicode),
        ]);
        all
    }
}

fn padding(name: &str, act: fn(&str, usize, char) -> String) -> Function {
    Function::scalar(name, 2..=3, move |values| {
        let (Some(text), Some(length)) = text_and_length(values)? else { return Ok(Value::Null) };
        let fill = values.get(2).copied().map(ValueRef::text).transpose()?.flatten();
        let fill = fill.and_then(|fill| fill.chars().next()).unwrap_or(' ');
        Ok(act(&text, length, fill).into())
    })
}

fn texts(values: &[ValueRef<'_>]) -> Result<Vec<Option<String>>> {
    values.iter().map(|value| Ok(value.text()?.map(|text| text.into_owned()))).collect()
}

/// The text that a function makes of others; NULL if one of them is.
fn with_texts(values: &[ValueRef<'_>], act: impl Fn(&[String]) -> String) -> Result<Value> {
    let texts: Option<Vec<String>> = texts(values)?.into_iter().collect();
    Ok(texts.map(|texts| act(&texts)).into())
}

fn part(texts: &[String], at: usize) -> &str {
    texts.get(at).map_or("", String::as_str)
}

fn text_and_length(values: &[ValueRef<'_>]) -> Result<(Option<String>, Option<usize>)> {
    let text = values.first().copied().unwrap_or(ValueRef::Null).text()?;
    let length = values.get(1).copied().unwrap_or(ValueRef::Null).integer()?;
    let length = length.map(|length| usize::try_from(length).unwrap_or(0));
    Ok((text.map(|text| text.into_owned()), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, values: &[ValueRef<'_>]) -> Result<Value> {
        let functions = TextFunctions.functions();
        let function = functions.iter().find(|function| function.name() == name).unwrap();
        match function.body() {
            reedbase_plugin_api::FunctionBody::Scalar(act) => act(values),
            _ => panic!(),
        }
    }

    #[test]
    fn null_gives_null_and_numbers_are_their_texts() {
        let (null, text) = (ValueRef::Null, ValueRef::Text("a b"));
        assert_eq!(call("text_trim", &[null]).unwrap(), Value::Null);
        assert_eq!(call("text_full_name", &[text, null]).unwrap(), Value::Null);
        assert_eq!(call("text_truncate", &[null, ValueRef::Integer(3)]).unwrap(), Value::Null);
        assert_eq!(call("text_slugify", &[ValueRef::Integer(7)]).unwrap(), Value::from("7"));
        let padded = call(
            "text_pad_left",
            &[ValueRef::Integer(7), ValueRef::Integer(3), ValueRef::Text("0")],
        );
        assert_eq!(padded.unwrap(), Value::from("007"));
        assert!(call("text_trim", &[ValueRef::Binary(b"x")]).is_err());
    }

    #[test]
    fn texts_match_patterns() {
        let matches = |pattern, text| {
            call("regexp", &[ValueRef::Text(pattern), ValueRef::Text(text)]).unwrap()
                == Value::Boolean(true)
        };
        assert!(
            matches("^h.llo$", "hallo")
                && !matches("^h.llo$", "Hallo!")
                && matches("(?i)HA", "aha")
        );
        let error = call("regexp", &[ValueRef::Text("("), ValueRef::Text("")]).unwrap_err();
        assert!(error.to_string().starts_with("`(` is no regular expression"), "{error}");
    }
}
