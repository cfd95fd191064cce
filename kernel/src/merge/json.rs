//! JSON that two sides changed: objects are merged member by member; everything else is taken as a whole.
//!
//! What stays keeps its spelling: members in the order of ours, numbers as they were written.

use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

/// Objects deeper than this are taken as a whole.
const DEPTH_MAX: usize = 64;

/// The JSON with what both sides did; `None` if they changed the same member, or if a side is no JSON.
pub(super) fn merge(base: Option<&str>, ours: &str, theirs: &str) -> Option<String> {
    let raw = |text| serde_json::from_str::<&RawValue>(text).ok();
    let base = match base {
        Some(base) => Some(raw(base)?),
        None => None,
    };
    merge_values(base, raw(ours)?, raw(theirs)?, 0)
}

/// The members of an object, in order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// `None` if the value is no object, or has a member twice.
    fn of(value: &'a RawValue) -> Option<Self> {
        let mut members: Self = serde_json::from_str(value.get()).ok()?;
        let mut names: Vec<&String> = members.0.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let twice = names.windows(2).any(|pair| matches!(pair, [one, other] if one == other));
        members.0.shrink_to_fit();
        (!twice).then_some(members)
    }

    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(
                self,
                mut map: M,
            ) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Whether two values are the same, however they are written.
fn same(one: &RawValue, other: &RawValue) -> bool {
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    one.get() == other.get() || value(one).is_some_and(|one| Some(one) == value(other))
}

fn merge_values(
    base: Option<&RawValue>,
    ours: &RawValue,
    theirs: &RawValue,
    depth: usize,
) -> Option<String> {
    if same(ours, theirs) || base.is_some_and(|base| same(base, theirs)) {
        return Some(ours.get().to_owned());
    }
    if base.is_some_and(|base| same(base, ours)) {
        return Some(theirs.get().to_owned());
    }
    if depth >= DEPTH_MAX {
        return None;
    }
    let base = match base {
        Some(base) => Members::of(base)?,
        None => Members(Vec::new()),
    };
    let (ours, theirs) = (Members::of(ours)?, Members::of(theirs)?);
    let new = theirs.0.iter().filter(|(name, _)| ours.get(name).is_none());
    let names = ours.0.iter().chain(new).map(|(name, _)| name);
    let mut members = Vec::new();
    for name in names {
        let sides = (base.get(name), ours.get(name), theirs.get(name));
        if let Some(value) = merge_member(sides, depth)? {
            members.push(format!("{}:{value}", Value::from(name.as_str())));
        }
    }
    Some(format!("{{{}}}", members.join(",")))
}

type MemberSides<'a> = (Option<&'a RawValue>, Option<&'a RawValue>, Option<&'a RawValue>);

/// What becomes of one member: its value, or nothing; the outer `None` is a conflict.
fn merge_member(sides: MemberSides<'_>, depth: usize) -> Option<Option<String>> {
    let text = |value: &RawValue| Some(value.get().to_owned());
    match sides {
        (base, Some(ours), Some(theirs)) => merge_values(base, ours, theirs, depth + 1).map(Some),
        (None, Some(added), None) | (None, None, Some(added)) => Some(text(added)),
        // One side removed it: that counts if the other left it alone.
        (Some(base), Some(left), None) | (Some(base), None, Some(left)) => {
            same(base, left).then_some(None)
        }
        (_, None, None) => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_merged_and_keep_their_spelling() {
        let some = |text: &str| Some(text.to_owned());
        let base = r#"{"a":1,"b":2.50}"#;
        assert_eq!(
            merge(Some(base), r#"{"a":2,"b":2.50}"#, r#"{"a":1,"b":2.50,"c":1e2}"#),
            some(r#"{"a":2,"b":2.50,"c":1e2}"#)
        );
        assert_eq!(merge(Some(base), r#"{"b":2.50}"#, r#"{"a":1,"b":3}"#), some(r#"{"b":3}"#));
        assert_eq!(
            merge(Some(base), r#"{ "b" : 2.50, "a" : 1 }"#, r#"{"a":9,"b":2.50}"#),
            some(r#"{"a":9,"b":2.50}"#)
        );
        let deep = r#"{"x":{"y":{"k":1,"l":1}}}"#;
        assert_eq!(
            merge(Some(deep), r#"{"x":{"y":{"k":2,"l":1}}}"#, r#"{"x":{"y":{"k":1,"l":3}}}"#),
            some(r#"{"x":{"y":{"k":2,"l":3}}}"#)
        );
        assert_eq!(merge(None, r#"{"a":1}"#, r#"{"b":"\""}"#), some(r#"{"a":1,"b":"\""}"#));
        assert_eq!(merge(Some("[1]"), "[1]", "[2]"), some("[2]"));
    }

    #[test]
    fn what_both_changed_is_a_conflict() {
        assert_eq!(merge(Some(r#"{"a":1}"#), r#"{"a":2}"#, r#"{"a":3}"#), None);
        assert_eq!(merge(Some(r#"{"a":1}"#), "{}", r#"{"a":3}"#), None);
        assert_eq!(merge(Some("[1]"), "[2]", "[3]"), None);
        assert_eq!(merge(Some("{}"), r#"{"a":1,"a":2}"#, r#"{"b":1}"#), None);
        assert_eq!(merge(Some("{}"), "no json", r#"{"b":1}"#), None);
        let nested = |last: &str| format!("{}{last}{}", r#"{"a":"#.repeat(500), "}".repeat(500));
        assert_eq!(merge(Some(&nested("1")), &nested("2"), &nested("[3]")), None);
    }
}
