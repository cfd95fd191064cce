//! What time it is: the wall clock, behind a trait so that a test can set it.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use reedbase_plugin_api::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock, which may jump either way.
    fn now(&self) -> Timestamp;

    /// The same as it was at the last tick of the system, which may be some milliseconds ago: for who asks often.
    fn last_tick(&self) -> Timestamp {
        self.now()
    }
}

/// The clock of the system.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no state")]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
        let now = std::time::SystemTime::now();
        let micros = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_micros());
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    #[cfg(target_os = "linux")]
    fn last_tick(&self) -> Timestamp {
        let then = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        Timestamp::from_micros(then.tv_sec.saturating_mul(1_000_000) + then.tv_nsec / 1000)
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows this time.
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_micros()))
    }

    /// Sets it.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Moves it on.
    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// The timestamp of the next frame: the wall clock where that is later than the newest frame, one
/// microsecond more than the newest frame where it is not (a hybrid logical clock, after Kulkarni and
/// others, "Logical Physical Clocks", 2014, with the logical part counted in microseconds).
pub fn next_timestamp(newest: Timestamp, wall: Timestamp) -> Timestamp {
    wall.max(newest.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_increase_when_the_clock_jumps_back() {
        let at = Timestamp::from_micros;
        assert_eq!(next_timestamp(at(10), at(20)), at(20));
        assert_eq!(next_timestamp(at(10), at(10)), at(11));
        assert_eq!(next_timestamp(at(10), at(3)), at(11));
    }
}
