//! How much of a history is kept, if somebody wants less than all of it.

use std::fmt;
use std::str::FromStr;

use reedbase_plugin_api::{Error, Timestamp};

/// How much of the history of each table is kept: `all`, `90d`, `32`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// All of it.
    #[default]
    All,
    /// This many versions.
    Versions(u64),
    /// What happened in this many days, and how the table was before.
    Days(u32),
}

/// What happened in the last hour, in microseconds, is kept whatever is said: somebody may be reading it.
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

impl Keep {
    /// The one of these versions, given oldest first, that a history begins with if only this much is kept; `None` if
    /// nothing is to be removed. With `young`, also what happened in the last hour may be.
    pub(super) fn start(
        self,
        versions: &[Timestamp],
        now: Timestamp,
        young: bool,
    ) -> Option<Timestamp> {
        let before = |age: i64| {
            let limit = now.as_micros().saturating_sub(age);
            versions.partition_point(|version| version.as_micros() <= limit)
        };
        let at = match self {
            Self::All => 0,
            Self::Versions(count) => {
                versions.len().saturating_sub(usize::try_from(count.max(1)).unwrap_or(usize::MAX))
            }
            Self::Days(days) => before(i64::from(days) * DAY).saturating_sub(1),
        };
        let at = if young { at } else { at.min(before(HOUR).saturating_sub(1)) };
        versions.get(at).copied().filter(|_| at > 0)
    }
}

impl FromStr for Keep {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::usage(format!("`{text}` does not say how much history is kept"))
                .help("write a number of versions (32), of days (90d), or all")
        };
        match text.strip_suffix('d') {
            _ if text == "all" => Ok(Self::All),
            Some(days) => days.parse().map(Self::Days).map_err(|_| wrong()),
            None => match text.parse() {
                Ok(0) | Err(_) => Err(wrong()),
                Ok(count) => Ok(Self::Versions(count)),
            },
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Versions(count) => write!(f, "{count}"),
            Self::Days(days) => write!(f, "{days}d"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        for text in ["all", "32", "90d", "0d"] {
            assert_eq!(text.parse::<Keep>().unwrap().to_string(), text);
        }
        for wrong in ["", "0", "d", "-3", "3w", "90 d", "1.5d", "ALL"] {
            assert!(wrong.parse::<Keep>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_start_leaves_as_much_as_is_wanted() {
        // Ten versions, a day apart; now is half a day after the last.
        let at = |day: i64| Timestamp::from_micros(day * DAY);
        let versions: Vec<_> = (1..=10).map(at).collect();
        let now = Timestamp::from_micros(10 * DAY + DAY / 2);
        let start = |keep: Keep, young| keep.start(&versions, now, young);
        assert_eq!(start(Keep::All, true), None);
        assert_eq!(start(Keep::Versions(3), false), Some(at(8)));
        assert_eq!(start(Keep::Versions(1), false), Some(at(10)));
        assert_eq!(start(Keep::Versions(10), true), None);
        assert_eq!(start(Keep::Versions(99), true), None);
        // Two days back it was as version 8 had left it.
        assert_eq!(start(Keep::Days(2), false), Some(at(8)));
        assert_eq!(start(Keep::Days(0), false), Some(at(10)));
        assert_eq!(start(Keep::Days(30), false), None);
        // What is younger than an hour stays, and how the table was before.
        let soon = Timestamp::from_micros(10 * DAY + 60_000_000);
        assert_eq!(Keep::Versions(1).start(&versions, soon, false), Some(at(9)));
        assert_eq!(Keep::Versions(1).start(&versions, soon, true), Some(at(10)));
        assert_eq!(Keep::Versions(1).start(&[], soon, true), None);
    }
}
