//! A text that two sides changed: what each did to other parts of it is put together.
//!
//! The three-way merge of Khanna, Kunal and Pierce ("A Formal Investigation of Diff3", 2007): what both sides left as it
//! was splits the text into parts; a part that one side changed is taken from there. Where both changed one part, or
//! parts that touch, nothing is decided. Lines are tried first, then words.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Texts with more tokens than this are not compared: the cost may be quadratic.
const TOKENS_MAX: usize = 20_000;

/// The text with what both sides did; `None` if they did it to the same part.
pub(super) fn merge(base: &str, ours: &str, theirs: &str) -> Option<String> {
    let lines = |text| str::split_inclusive(text, '\n').collect::<Vec<_>>();
    merge_tokens(&lines(base), &lines(ours), &lines(theirs))
        .or_else(|| merge_tokens(&words(base), &words(ours), &words(theirs)))
}

/// Words, and each other character for itself.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = match first.is_alphanumeric() {
            true => rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, tail) = rest.split_at(len);
        words.push(word);
        rest = tail;
    }
    words
}

/// A part of the base and what a side made of it.
#[derive(Debug, Clone)]
struct Hunk<'a> {
    base: Range<usize>,
    new: Vec<&'a str>,
}

impl Hunk<'_> {
    /// Whether two hunks have a token in common, or nothing between them.
    fn touches(&self, other: &Self) -> bool {
        self.base.start <= other.base.end && other.base.start <= self.base.end
    }

    fn is_same(&self, other: &Self) -> bool {
        self.base == other.base && self.new == other.new
    }
}

fn hunks<'a>(base: &[&'a str], side: &[&'a str]) -> Vec<Hunk<'a>> {
    let ops = capture_diff_slices(Algorithm::Myers, base, side);
    let changed = ops.iter().filter(|op| !matches!(op, DiffOp::Equal { .. }));
    let hunk = |op: &DiffOp| Hunk {
        base: op.old_range(),
        new: side.get(op.new_range()).unwrap_or_default().to_vec(),
    };
    changed.map(hunk).collect()
}

fn merge_tokens(base: &[&str], ours: &[&str], theirs: &[&str]) -> Option<String> {
    if [base, ours, theirs].iter().any(|side| side.len() > TOKENS_MAX) {
        return None;
    }
    let (ours, theirs) = (hunks(base, ours), hunks(base, theirs));
    let new = |hunk: &&Hunk<'_>| !ours.iter().any(|known| known.is_same(hunk));
    let mut all: Vec<&Hunk<'_>> = ours.iter().chain(theirs.iter().filter(new)).collect();
    all.sort_by_key(|hunk| (hunk.base.start, hunk.base.end));
    if all.windows(2).any(|pair| matches!(pair, [one, other] if one.touches(other))) {
        return None;
    }
    let (mut text, mut at) = (String::new(), 0);
    for hunk in all {
        text.extend(base.get(at..hunk.base.start)?.iter().copied());
        text.extend(hunk.new.iter().copied());
        at = hunk.base.end;
    }
    text.extend(base.get(at..)?.iter().copied());
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lines_and_other_words_are_put_together() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(merge("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n"), some("A\nb\nC\n"));
        assert_eq!(
            merge("the quick brown fox", "the slow brown fox", "the quick brown dog"),
            some("the slow brown dog")
        );
        assert_eq!(merge("a b", "a b c", "z a b"), some("z a b c"));
        assert_eq!(merge("a\nb\nc\nd\n", "a\nc\nd\n", "a\nb\nc\nd\ne\n"), some("a\nc\nd\ne\n"));
        assert_eq!(merge("x y z", "X y z", "X y Z"), some("X y Z"));
        assert_eq!(merge("für dich", "für mich", "nur für dich"), some("nur für mich"));
    }

    #[test]
    fn the_same_part_is_a_conflict() {
        assert_eq!(merge("a b c", "a X c", "a Y c"), None);
        assert_eq!(merge("a b", "a b one", "a b two"), None);
        assert_eq!(merge("a", "b", ""), None);
    }
}
