//! Columns that three tables have in common, under whatever name and wherever they stand.

use crate::changes::columns_stay;

/// Where each column of one table stood in an earlier one; `None` for a new column.
pub type Origins = Vec<Option<usize>>;

/// Where the columns after were before: found by name; where each stands where it stood, a new name is that of the
/// same column.
pub fn origins(before: &[String], after: &[String]) -> Origins {
    if columns_stay(before, after) {
        return (0..after.len()).map(Some).collect();
    }
    let find = |name: &String| before.iter().position(|known| known.eq_ignore_ascii_case(name));
    after.iter().map(find).collect()
}

/// Origins over two steps.
pub fn then(first: &Origins, second: &Origins) -> Origins {
    second.iter().map(|at| at.and_then(|at| first.get(at).copied().flatten())).collect()
}

/// One column on three sides: its position there, if it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a merge has three sides")]
pub struct Sides {
    /// When both sides began.
    pub base: Option<usize>,
    /// In the database.
    pub ours: Option<usize>,
    /// In what is merged into it.
    pub theirs: Option<usize>,
}

/// The columns of three tables, put together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Columns {
    /// The columns of the result, with their names.
    pub kept: Vec<(String, Sides)>,
    /// Columns that one side has dropped.
    pub dropped: Vec<Sides>,
    /// Columns that both sides gave another name, each its own: ours stays.
    pub disputed: Vec<Sides>,
}

/// The columns of a side: names, and where they were in the base.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "this is what a side is")]
pub struct Side<'a> {
    /// The names.
    pub names: &'a [String],
    /// Where they were.
    pub origins: &'a Origins,
}

impl Side<'_> {
    fn position_of(&self, base: usize) -> Option<usize> {
        self.origins.iter().position(|origin| *origin == Some(base))
    }

    fn name(&self, at: usize) -> &str {
        self.names.get(at).map_or("", String::as_str)
    }

    /// The columns of the base that it still has, in its own order.
    fn order(&self) -> impl Iterator<Item = usize> {
        self.origins.iter().filter_map(|origin| *origin)
    }
}

impl Columns {
    /// The same columns on all sides.
    pub fn same(names: &[String]) -> Self {
        let sides = |at| Sides { base: Some(at), ours: Some(at), theirs: Some(at) };
        let kept = names.iter().enumerate().map(|(at, name)| (name.clone(), sides(at))).collect();
        Self { kept, dropped: Vec::new(), disputed: Vec::new() }
    }

    /// What both sides made of the columns of the base: what one side dropped is gone, what one side added is there,
    /// under the name that one side gave it, in the order of the side that changed the order; where both did, in
    /// ours.
    pub fn merge(base: &[String], ours: Side<'_>, theirs: Side<'_>) -> Self {
        let mut columns = Self { kept: Vec::new(), dropped: Vec::new(), disputed: Vec::new() };
        for (at, origin) in ours.origins.iter().enumerate() {
            let other = match origin {
                Some(base) => theirs.position_of(*base),
                None => new_by_name(theirs, ours.name(at)),
            };
            let sides = Sides { base: *origin, ours: Some(at), theirs: other };
            match (origin, other) {
                (Some(_), None) => columns.dropped.push(sides),
                _ => columns.keep(base, ours, theirs, sides),
            }
        }
        for (at, origin) in theirs.origins.iter().enumerate() {
            let sides = Sides { base: *origin, ours: None, theirs: Some(at) };
            match origin {
                Some(base) if ours.position_of(*base).is_none() => columns.dropped.push(sides),
                None if new_by_name(ours, theirs.name(at)).is_none() => {
                    columns.insert(theirs.name(at), sides);
                }
                _ => {}
            }
        }
        if is_in_order(ours, base, theirs) && !is_in_order(theirs, base, ours) {
            columns.kept.sort_by_key(|(_, sides)| sides.theirs.unwrap_or(usize::MAX));
        }
        columns
    }

    /// Takes in a column that ours has, under the name it was given.
    fn keep(&mut self, base: &[String], ours: Side<'_>, theirs: Side<'_>, sides: Sides) {
        let our_name = sides.ours.map_or("", |at| ours.name(at));
        let their_name = sides.theirs.map_or(our_name, |at| theirs.name(at));
        let base_name = sides.base.and_then(|at| base.get(at)).map_or(our_name, String::as_str);
        let name = match (our_name == base_name, their_name == base_name) {
            (true, false) if sides.base.is_some() => their_name,
            (false, false) if our_name != their_name => {
                self.disputed.push(sides);
                our_name
            }
            _ => our_name,
        };
        self.kept.push((name.to_owned(), sides));
    }

    /// Puts a column that only theirs has behind the one it follows there.
    fn insert(&mut self, name: &str, sides: Sides) {
        let before = |kept: &Sides| kept.theirs.is_some() && kept.theirs < sides.theirs;
        let place = self.kept.iter().rposition(|(_, kept)| before(kept)).map_or(0, |at| at + 1);
        let place = match place {
            // Behind what ours added there.
            0 => 0,
            _ => {
                let rest = self.kept.get(place..).unwrap_or_default();
                place + rest.iter().take_while(|(_, kept)| kept.base.is_none()).count()
            }
        };
        self.kept.insert(place, (name.to_owned(), sides));
    }

    /// Takes a dropped column back in, since somebody wrote into it meanwhile. It stands where ours has it, else at the
    /// end.
    pub fn take_back(&mut self, name: &str, sides: Sides) {
        self.dropped.retain(|dropped| *dropped != sides);
        let behind = |kept: &Sides| sides.ours.is_some() && kept.ours > sides.ours;
        let place = self.kept.iter().position(|(_, kept)| behind(kept));
        self.kept.insert(place.unwrap_or(self.kept.len()), (name.to_owned(), sides));
    }

    /// Whether the result has the columns of ours, where they stand and as they are called.
    pub fn are_ours(&self, ours: &[String]) -> bool {
        self.kept.len() == ours.len()
            && self
                .kept
                .iter()
                .zip(ours)
                .enumerate()
                .all(|(at, ((name, sides), ours))| sides.ours == Some(at) && name == ours)
    }

    /// The first name that two columns of the result would have.
    pub fn name_taken_twice(&self) -> Option<&str> {
        let names: Vec<&str> = self.kept.iter().map(|(name, _)| name.as_str()).collect();
        let twice = |at: usize, name: &str| {
            names.iter().skip(at + 1).any(|other| other.eq_ignore_ascii_case(name))
        };
        names.iter().enumerate().find(|(at, name)| twice(*at, name)).map(|(_, name)| *name)
    }
}

/// The new column of a side that has this name.
fn new_by_name(side: Side<'_>, name: &str) -> Option<usize> {
    let mut columns = side.names.iter().zip(side.origins);
    columns.position(|(known, origin)| origin.is_none() && known.eq_ignore_ascii_case(name))
}

/// Whether a side left the columns in the order of the base, of those that the other has, too.
fn is_in_order(side: Side<'_>, base: &[String], other: Side<'_>) -> bool {
    let common = |at: &usize| *at < base.len() && other.position_of(*at).is_some();
    side.order().filter(common).is_sorted()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn merged(base: &str, ours: &str, theirs: &str) -> (String, usize, usize) {
        let (base, ours, theirs) = (names(base), names(ours), names(theirs));
        let (from_ours, from_theirs) = (origins(&base, &ours), origins(&base, &theirs));
        let columns = Columns::merge(
            &base,
            Side { names: &ours, origins: &from_ours },
            Side { names: &theirs, origins: &from_theirs },
        );
        let kept: Vec<&str> = columns.kept.iter().map(|(name, _)| name.as_str()).collect();
        (kept.join(" "), columns.dropped.len(), columns.disputed.len())
    }

    #[test]
    fn columns_come_and_go_on_either_side() {
        let kept = |base, ours, theirs| merged(base, ours, theirs).0;
        assert_eq!(kept("id a b", "id a b", "id a b"), "id a b");
        assert_eq!(kept("id a b", "id a b c", "id a b d"), "id a b c d");
        assert_eq!(kept("id a b", "id a b c", "id a b C"), "id a b c");
        assert_eq!(kept("id a b", "id x a b", "id a y b"), "id x a y b");
        assert_eq!(merged("id a b", "id a b c", "id b"), ("id b c".to_owned(), 1, 0));
        assert_eq!(merged("id a b", "id b", "id b"), ("id b".to_owned(), 0, 0));
        assert_eq!(merged("id a b", "id b", "id a b z"), ("id b z".to_owned(), 1, 0));
    }

    #[test]
    fn a_new_name_of_one_side_counts_and_two_are_disputed() {
        assert_eq!(merged("id a b", "id a b", "id A1 b"), ("id A1 b".to_owned(), 0, 0));
        assert_eq!(merged("id a b", "id x b", "id a b c"), ("id x b c".to_owned(), 0, 0));
        assert_eq!(merged("id a b", "id x b", "id y b"), ("id x b".to_owned(), 0, 1));
        assert_eq!(merged("id a b", "id x b", "id x b"), ("id x b".to_owned(), 0, 0));
    }

    #[test]
    fn the_order_of_the_side_that_changed_it_counts() {
        assert_eq!(merged("id a b", "id a b c", "id b a").0, "id b a c");
        assert_eq!(merged("id a b", "id b a", "id a b c").0, "id b a c");
        assert_eq!(merged("id a b c", "id b a c", "c id a b").0, "id b a c");
    }

    #[test]
    fn origins_over_steps_follow_a_renamed_column() {
        let (one, two, three) = (names("id a b"), names("id x b"), names("id b x n"));
        let both = then(&origins(&one, &two), &origins(&two, &three));
        assert_eq!(both, [Some(0), Some(2), Some(1), None]);
    }
}
