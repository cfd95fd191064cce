//! What the functions do, for callers from Rust.

use std::cmp::Ordering;

/// Without white space at both ends.
pub fn trim(text: &str) -> String {
    text.trim().to_owned()
}

/// In capital letters, of all scripts.
pub fn uppercase(text: &str) -> String {
    text.to_uppercase()
}

/// In small letters, of all scripts.
pub fn lowercase(text: &str) -> String {
    text.to_lowercase()
}

/// With a capital letter at the beginning.
pub fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The characters from the last to the first.
pub fn reverse(text: &str) -> String {
    text.chars().rev().collect()
}

/// Without any white space.
pub fn remove_whitespace(text: &str) -> String {
    text.split_whitespace().collect()
}

/// For addresses of pages: letters and digits in small, a hyphen for everything between.
pub fn slugify(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// An address of e-mail as it is compared: in small letters, without white space at both ends.
pub fn normalize_email(text: &str) -> String {
    text.trim().to_lowercase()
}

/// The first and the last name with one space between, each without white space at both ends.
pub fn full_name(first: &str, last: &str) -> String {
    format!("{} {}", first.trim(), last.trim()).trim().to_owned()
}

/// At most so many characters, of which the last three are dots where something was cut off.
pub fn truncate(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let kept: String = text.chars().take(length.saturating_sub(3)).collect();
    kept + &"...".chars().take(length).collect::<String>()
}

/// With another text in every place of one.
pub fn replace(text: &str, what: &str, by: &str) -> String {
    if what.is_empty() { text.to_owned() } else { text.replace(what, by) }
}

/// So long at least: filled at the beginning. More than 1,000,000 characters are not made.
pub fn pad_left(text: &str, length: usize, fill: char) -> String {
    missing(text, length, fill) + text
}

/// So long at least: filled at the end. More than 1,000,000 characters are not made.
pub fn pad_right(text: &str, length: usize, fill: char) -> String {
    text.to_owned() + &missing(text, length, fill)
}

/// What is longer was asked for by mistake.
const LENGTH_MAX: usize = 1_000_000;

fn missing(text: &str, length: usize, fill: char) -> String {
    let missing = length.min(LENGTH_MAX).saturating_sub(text.chars().count());
    std::iter::repeat_n(fill, missing).collect()
}

/// How texts compare without regard to case, of all scripts; texts that differ in case only compare by that.
pub fn compare_unicode(one: &str, other: &str) -> Ordering {
    let folded = |text: &str| text.to_lowercase();
    folded(one).cmp(&folded(other)).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_scripts_are_cut_by_characters() {
        assert_eq!(truncate("Übergröße", 6), "Übe...");
        assert_eq!((truncate("abcdef", 2), truncate("ab", 2)), ("..".into(), "ab".into()));
        assert_eq!(pad_left("ß", 3, '·'), "··ß");
        assert_eq!(capitalize("élan"), "Élan");
        assert_eq!(slugify("  Straße & Öl — 3% "), "straße-öl-3");
        assert_eq!(full_name(" ", "Cher"), "Cher");
        assert_eq!(compare_unicode("ÄB", "äa"), Ordering::Greater);
        assert_eq!(compare_unicode("É", "é"), Ordering::Less);
    }
}
