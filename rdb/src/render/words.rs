//! What differs within a cell: two texts as what they share and what one has instead of the other, cut between words as
//! Unicode (UAX #29) tells words.

use std::ops::Range;

use similar::{DiffOp, TextDiff};
use unicode_width::UnicodeWidthStr;

use crate::output::{counted, is_direction};

/// A part of two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// In both.
    Same(&'t str),
    /// What one has instead of the other.
    Changed { before: &'t str, after: &'t str },
}

/// Longer texts are only compared at their ends.
const LONGEST: usize = 20_000;

/// What stands in both texts is shown with so many characters around a change.
const AROUND: usize = 32;

/// The pieces of two texts, in order. Where they share less than a third, they are one change.
pub(super) fn pieces<'t>(before: &'t str, after: &'t str) -> Vec<Piece<'t>> {
    let changes = match before.len().max(after.len()) <= LONGEST {
        true => changed_words(before, after),
        false => vec![changed_middle(before, after)],
    };
    let (mut pieces, mut at) = (Vec::new(), 0);
    let text = |text: &'t str, range: Range<usize>| text.get(range).unwrap_or_default();
    for (old, new) in changes {
        pieces.extend(some(text(before, at..old.start)));
        at = old.end;
        pieces.push(Piece::Changed { before: text(before, old), after: text(after, new) });
    }
    pieces.extend(some(text(before, at..before.len())));
    pieces
}

fn some(text: &str) -> Option<Piece<'_>> {
    (!text.is_empty()).then_some(Piece::Same(text))
}

/// What one text has instead of the other, by bytes.
type Change = (Range<usize>, Range<usize>);

fn changed_words(before: &str, after: &str) -> Vec<Change> {
    let diff = TextDiff::from_unicode_words(before, after);
    let (old, new) = (ends(diff.iter_old_slices()), ends(diff.iter_new_slices()));
    let bytes = |ends: &[usize], words: Range<usize>| {
        let at = |word: usize| ends.get(word).copied().unwrap_or_default();
        at(words.start)..at(words.end)
    };
    let mut changes: Vec<Change> = Vec::new();
    for op in diff.ops().iter().filter(|op| !matches!(op, DiffOp::Equal { .. })) {
        let (one, other) = (bytes(&old, op.old_range()), bytes(&new, op.new_range()));
        match changes.last_mut() {
            // One word after another: that is one change.
            Some(last) if before.get(last.0.end..one.start).is_some_and(is_gap) => {
                *last = (last.0.start..one.end, last.1.start..other.end);
            }
            _ => changes.push((one, other)),
        }
    }
    let count = |text: &str| text.chars().count();
    let changed = changes.iter().filter_map(|(one, _)| before.get(one.clone())).map(count);
    let shared = count(before) - changed.sum::<usize>();
    if shared * 3 < count(before).max(count(after)) {
        return vec![(0..before.len(), 0..after.len())];
    }
    changes
}

/// Whether nothing stands there that is worth showing as unchanged.
fn is_gap(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c.is_ascii_punctuation()) && text.len() <= 3
}

/// Where each word starts, and where the last one ends.
fn ends<'t>(words: impl Iterator<Item = &'t str>) -> Vec<usize> {
    let mut at = 0;
    let mut ends = vec![0];
    ends.extend(words.map(|word| {
        at += word.len();
        at
    }));
    ends
}

/// What is left if two texts are cut where they start and end alike, between spaces.
fn changed_middle(before: &str, after: &str) -> Change {
    let start = before.bytes().zip(after.bytes()).take_while(|(one, other)| one == other).count();
    let start = space_before(before, start);
    let (one, other) = (before.len() - start, after.len() - start);
    let ends = before.bytes().rev().zip(after.bytes().rev());
    let end = ends.take(one.min(other)).take_while(|(one, other)| one == other).count();
    let tail = before.get(before.len() - end..).unwrap_or_default();
    let end = tail.find(' ').map_or(0, |at| end - at);
    (start..before.len() - end, start..after.len() - end)
}

fn space_before(text: &str, at: usize) -> usize {
    let start = text.as_bytes().get(..at).unwrap_or_default();
    start.iter().rposition(|byte| *byte == b' ').map_or(0, |at| at + 1)
}

/// What stands beside the changes at the start and at the end of a text that both share; `None` if it is short enough to
/// be shown whole.
pub(super) fn cut(text: &str, is_first: bool, is_last: bool) -> Option<(&str, &str)> {
    let (lead, trail) = (if is_first { 0 } else { AROUND }, if is_last { 0 } else { AROUND });
    let mut starts = text.char_indices().map(|(at, _)| at);
    // Far enough into the text that more than a few words lie between.
    let start = starts.clone().nth(lead)?;
    starts.nth(lead + trail + AROUND)?;
    let mut ends = text.char_indices().rev().map(|(at, _)| at);
    let end = match trail {
        0 => text.len(),
        trail => ends.nth(trail - 1)?,
    };
    text.get(..start).zip(text.get(end..))
}

/// A text on one line, not too long: line ends and tabs are shown, the empty text as quotes.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 160;
    // Not to be taken for nothing.
    if text.is_empty() || text == "NULL" {
        return format!("\"{text}\"");
    }
    if text.width() <= LONGEST {
        return visible(text);
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{}… ({})", visible(&start), counted(text.chars().count() as u64, "character"))
}

/// A text whose characters do nothing to a terminal: line ends and tabs as signs, other controls and what turns the
/// direction of text over as their codes.
pub(crate) fn visible(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push('⏎'),
            '\r' => line.push('␍'),
            '\t' => line.push('⇥'),
            c if c.is_control() || is_direction(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

/// Whether there is a letter of a script that is written from right to left.
pub(super) fn runs_left(text: &str) -> bool {
    text.chars().any(|c| {
        matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}')
            || matches!(c, '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> String {
        let piece = |piece: &Piece<'_>| match piece {
            Piece::Same(text) => (*text).to_owned(),
            Piece::Changed { before, after } => format!("[{before}|{after}]"),
        };
        pieces(before, after).iter().map(piece).collect()
    }

    #[test]
    fn words_that_differ_are_told_apart() {
        assert_eq!(told("the big house", "the small house"), "the [big|small] house");
        assert_eq!(told("one two three four", "one 2 3 four"), "one [two three|2 3] four");
        assert_eq!(
            told("same words here", "same words here, and more"),
            "same words here[|, and more]"
        );
        assert_eq!(told("", "new"), "[|new]");
        assert_eq!(told("quite another", "text"), "[quite another|text]");
        assert_eq!(told("日本語の本文です", "日本語の文章です"), "日本語の[本|]文[|章]です");
        assert_eq!(told("ab 👩‍👩‍👧 cd", "ab 👩‍👩‍👦 cd"), "ab [👩‍👩‍👧|👩‍👩‍👦] cd");
    }

    #[test]
    fn pieces_are_both_texts_again() {
        let long = "word and é ".repeat(3000);
        let texts = [
            "",
            "a",
            "a b",
            "é é",
            "שלום עולם",
            "x\ny\nz",
            &long,
            &long.replacen("word", "ward", 2),
        ];
        for (before, after) in texts.iter().flat_map(|one| texts.iter().map(move |two| (one, two)))
        {
            let (mut one, mut other) = (String::new(), String::new());
            for piece in pieces(before, after) {
                let (before, after) = match piece {
                    Piece::Same(text) => (text, text),
                    Piece::Changed { before, after } => (before, after),
                };
                one.push_str(before);
                other.push_str(after);
            }
            assert!(one == **before && other == **after, "{before:?} {after:?}");
        }
    }

    #[test]
    fn no_text_does_anything_to_a_terminal() {
        assert_eq!(visible("a\x1b[31m\u{202e}b\n"), "a\\u{1b}[31m\\u{202e}b⏎");
    }
}
