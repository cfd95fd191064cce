//! The name that somebody may have meant.

use crate::Error;

/// More names than this are not told to somebody who typed another.
const NAMED_MAX: usize = 20;

/// Adds a way out to an error that says that there is no such name: the nearest one there is, or all if they are few.
#[must_use]
pub fn nearest<'a>(
    error: Error,
    what: &str,
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Error {
    let names: Vec<&str> = names.into_iter().collect();
    let near = names.iter().map(|other| (distance(name, other), other)).min();
    match near {
        Some((distance, near))
            if distance <= 1 + name.chars().count() / 4 && distance < name.chars().count() =>
        {
            error.help(format!("did you mean `{near}`?"))
        }
        Some(_) if names.len() > NAMED_MAX => error,
        Some(_) => error.help(format!("the {} are {}", plural(what), names.join(", "))),
        None => error,
    }
}

/// Several of something.
fn plural(what: &str) -> String {
    match what {
        "index" => "indices".to_owned(),
        "kind of index" => "kinds of index".to_owned(),
        _ => format!("{what}s"),
    }
}

/// How many characters must be added, removed or replaced (Levenshtein, 1966), ignoring ASCII case.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_ascii_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, a) in (1..).zip(one.to_ascii_lowercase().chars()) {
        let mut corner = above - 1;
        let mut left = above;
        for (cell, b) in row.iter_mut().skip(1).zip(&other) {
            let best = (corner + usize::from(a != *b)).min(left + 1).min(*cell + 1);
            corner = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = above;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("Pages", "pages"), 0);
        let help = |name| {
            let error = nearest(Error::not_found("none"), "table", name, ["pages", "users"]);
            error.way_out().map(str::to_owned)
        };
        assert_eq!(help("page").as_deref(), Some("did you mean `pages`?"));
        assert_eq!(help("suers").as_deref(), Some("did you mean `users`?"));
        assert_eq!(help("orders").as_deref(), Some("the tables are pages, users"));
    }
}
