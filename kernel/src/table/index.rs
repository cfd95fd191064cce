//! From a key to the slot of its row in the base: a hash table that is written to the cache as it is.
//!
//! Open addressing with linear probing. An entry is 8 bytes: the low half of the key's hash in the upper
//! 32 bits, the slot plus one in the lower 32; zero is a free place. The first place to look is
//! `hash * places >> 64` (Lemire's multiply-shift in place of a modulo), so that it depends on the upper
//! bits of the hash and the tag on the lower ones. Two of three places are taken: 12 bytes a row.

use reedbase_plugin_api::Bytes;

/// The bytes of one entry.
const ENTRY: usize = 8;

/// Slots by the hash of the key.
#[derive(Debug, Clone)]
pub struct KeyIndex {
    entries: Bytes,
    places: usize,
}

impl KeyIndex {
    /// The index of these hashes, one for each slot; 0 marks a slot without a key. Where two slots have
    /// equal hashes, `same` says whether they have equal keys; the first such pair is the error.
    pub fn build(
        hashes: &[u64],
        mut same: impl FnMut(u32, u32) -> bool,
    ) -> Result<Self, (u32, u32)> {
        let places = hashes.len() + hashes.len() / 2 + 1;
        let mut entries = vec![0_u64; places];
        for (slot, hash) in hashes.iter().enumerate().filter(|(_, hash)| **hash != 0) {
            let slot = u32::try_from(slot).unwrap_or(u32::MAX);
            let mut place = first_place(*hash, places);
            while let Some(entry) = entries.get(place).copied().filter(|entry| *entry != 0) {
                let other = slot_of(entry);
                let equal = hashes.get(other as usize) == Some(hash);
                if equal && same(other, slot) {
                    return Err((other, slot));
                }
                place = if place + 1 == places { 0 } else { place + 1 };
            }
            if let Some(entry) = entries.get_mut(place) {
                *entry = hash << 32 | (u64::from(slot) + 1);
            }
        }
        let mut bytes = Vec::with_capacity(places * ENTRY);
        for entry in entries {
            bytes.extend_from_slice(&entry.to_le_bytes());
        }
        Ok(Self { entries: Bytes::from(bytes), places })
    }

    /// An index that was written to the cache.
    pub fn from_bytes(entries: Bytes) -> Self {
        let places = entries.len() / ENTRY;
        Self { entries, places }
    }

    /// What is written to the cache.
    pub fn as_bytes(&self) -> &Bytes {
        &self.entries
    }

    /// The slots whose keys may have this hash.
    pub fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let tag = hash << 32 >> 32;
        let mut place = first_place(hash, self.places);
        let mut left = self.places;
        std::iter::from_fn(move || {
            while left > 0 {
                let entry = self.entry(place);
                if entry == 0 {
                    return None;
                }
                left -= 1;
                place = if place + 1 == self.places { 0 } else { place + 1 };
                if entry >> 32 == tag {
                    return Some(slot_of(entry));
                }
            }
            None
        })
    }

    fn entry(&self, place: usize) -> u64 {
        let bytes = self.entries.get(place * ENTRY..).and_then(|rest| rest.first_chunk::<ENTRY>());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

fn slot_of(entry: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the slot plus one")]
    let low = entry as u32;
    low.wrapping_sub(1)
}

fn first_place(hash: u64, places: usize) -> usize {
    let product = u128::from(hash) * places as u128;
    usize::try_from(product >> 64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_slot_also_through_the_cache() {
        let hash = |n: u64| xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes());
        let hashes: Vec<u64> = (0..1000).map(|n| if n % 10 == 3 { 0 } else { hash(n) }).collect();
        let index = KeyIndex::build(&hashes, |_, _| false).unwrap();
        let cached = KeyIndex::from_bytes(index.as_bytes().clone());
        for (slot, hash) in hashes.iter().enumerate().filter(|(_, hash)| **hash != 0) {
            assert!(index.candidates(*hash).any(|found| found as usize == slot), "{slot}");
            assert!(cached.candidates(*hash).any(|found| found as usize == slot), "{slot}");
        }
        assert_eq!(index.candidates(hash(5000)).count(), 0);
        assert_eq!(KeyIndex::build(&[], |_, _| false).unwrap().candidates(1).count(), 0);
    }

    #[test]
    fn equal_hashes_are_told_apart_or_refused() {
        let index = KeyIndex::build(&[7, 7, 9], |_, _| false).unwrap();
        assert_eq!(index.candidates(7).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(KeyIndex::build(&[7, 9, 7], |_, _| true).unwrap_err(), (0, 2));
    }
}
