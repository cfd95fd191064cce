//! The function cache `lru`, on moka: results stay in memory until there are more bytes of them than there may be; then those
//! go that were used least lately.

#![forbid(unsafe_code)]

use foldhash::quality::RandomState;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use reedbase_plugin_api::{FunctionCache, KeptResult, KeptResults};

/// The cache.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no state")]
pub struct LruCache;

impl FunctionCache for LruCache {
    fn id(&self) -> &str {
        "lru"
    }

    fn open(&self, bytes_max: u64) -> Box<dyn KeptResults> {
        let cache = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(|_, (_, bytes)| *bytes)
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(RandomState::default());
        Box::new(Lru(cache))
    }
}

/// What is kept: results and how many bytes each takes, by the bytes of their calls.
struct Lru(Cache<Box<[u8]>, (KeptResult, u32), RandomState>);

impl KeptResults for Lru {
    fn get(&self, call: &[u8]) -> Option<KeptResult> {
        self.0.get(call).map(|(result, _)| result)
    }

    fn put(&self, call: &[u8], result: KeptResult, bytes: u32) {
        self.0.insert(call.into(), (result, bytes));
    }

    fn remove(&self, call: &[u8]) {
        self.0.invalidate(call);
    }

    fn list(&self) -> Vec<(Box<[u8]>, KeptResult)> {
        // moka makes room a little later than it is needed.
        self.0.run_pending_tasks();
        self.0.iter().map(|(call, (result, _))| (Box::from(&call[..]), result)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn numbers(kept: &dyn KeptResults) -> Vec<u32> {
        let list = kept.list().into_iter();
        let mut numbers: Vec<u32> =
            list.map(|(_, result)| *result.downcast::<u32>().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn what_was_used_least_lately_makes_room() {
        let kept = LruCache.open(300);
        for number in 0..3_u32 {
            kept.put(&[number as u8], Arc::new(number), 100);
        }
        assert_eq!(numbers(&*kept), [0, 1, 2]);
        assert!(kept.get(&[0]).is_some());
        kept.put(&[3], Arc::new(3_u32), 100);
        assert_eq!(numbers(&*kept), [0, 2, 3]);
        kept.put(&[2], Arc::new(7_u32), 100);
        assert_eq!(numbers(&*kept), [0, 3, 7]);
        kept.remove(&[3]);
        assert_eq!(numbers(&*kept), [0, 7]);
        kept.put(&[9], Arc::new(9_u32), 1000);
        assert!(!numbers(&*kept).contains(&9));
    }
}
