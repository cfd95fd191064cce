//! Which rows two states of a table have differently, without reading what frames did: both share what is alike.

use std::sync::Arc;

use reedbase_plugin_api::Result;

use super::view::Line;
use super::{Key, Table};

impl Table {
    /// The keys of rows that this state of the table and another have differently. `None` if they were not made of the same
    /// base, or if it is more than `most` lines. Cost: what differs, not the size.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn keys_differing(&self, other: &Self, most: usize) -> Result<Option<Vec<Key<'static>>>> {
        if !Arc::ptr_eq(self.base(), other.base()) {
            return Ok(None);
        }
        let Some(places) = self.lines.differing(&other.lines, most, Line::is_same) else {
            return Ok(None);
        };
        let mut keys = Vec::with_capacity(2 * places.len());
        for place in places {
            for line in [self.line(place)?, other.line(place)?].into_iter().flatten() {
                keys.extend(self.key_of(&line).map(Key::into_owned));
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(Some(keys))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reedbase_plugin_api::{Bytes, Shape, Timestamp};

    use super::*;
    use crate::table::{Base, Edit, Stamp};

    proptest! {
        /// Any two states of one table: the keys that differ are those of which the rows differ, or a few more.
        #[test]
        fn no_row_that_differs_is_missed(edits in prop::collection::vec((0_u32..40, 0_u8..3), 0..60)) {
            let header = Bytes::from("id,v\n");
            let shape = Arc::new(Shape::new(b',', header, vec![0]).unwrap());
            let text: String = (0..20).map(|id| format!("{id},x\n")).collect();
            let base = Base::parse(Bytes::from(format!("id,v\n{text}")), shape).unwrap();
            let table = Table::new(Arc::new(base), Timestamp::ZERO);
            let mut edit = Edit::new(table, Stamp::new(Timestamp::from_micros(1)));
            let mut states = vec![edit.table().clone()];
            for (id, what) in edits {
                let row = Bytes::from(format!("{id},{what}\n"));
                edit.put(&Key::from(id.to_string().as_str()), (what > 0).then_some(row)).unwrap();
                states.push(edit.table().clone());
            }
            for (one, other) in states.iter().zip(states.iter().skip(1)).chain(states.first().zip(states.last())) {
                let keys = one.keys_differing(other, 1000).unwrap();
                for id in 0..40 {
                    let id = id.to_string();
                    let key = Key::from(id.as_str());
                    let differs = one.get(&key).unwrap() != other.get(&key).unwrap();
                    let told = keys.as_ref().is_none_or(|keys| keys.contains(&key));
                    prop_assert!(!differs || told, "{}", id);
                }
            }
        }
    }
}
