//! Measured values, as plugins hand them on. Who gathers them is the host's business: there is no global.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::{Error, Result, Timestamp};

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// What was measured: lower-case words joined by `_`, like `commit_time`.
    pub name: String,
    /// How values of this name belong together.
    pub kind: MetricKind,
    /// The value, in the unit.
    pub value: f64,
    /// The unit.
    pub unit: Unit,
    /// What tells this value from others of the same name: the table, the plugin.
    pub tags: BTreeMap<String, String>,
    /// When it was measured.
    pub timestamp: Timestamp,
}

impl Metric {
    /// A value without tags.
    pub fn new(
        name: impl Into<String>,
        kind: MetricKind,
        value: f64,
        unit: Unit,
        timestamp: Timestamp,
    ) -> Self {
        Self { name: name.into(), kind, value, unit, tags: BTreeMap::new(), timestamp }
    }

    /// The same with a tag.
    #[must_use]
    pub fn with_tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }
}

/// How values of one name belong together.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Values are added up: commits, bytes written.
    Counter,
    /// The newest value counts: rows, open snapshots.
    Gauge,
    /// Values are told by how they are spread: sizes of changesets.
    Histogram,
    /// A histogram of durations.
    Timer,
}

/// What a value is measured in.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Thousands of bytes.
    Kilobytes,
    /// Millions of bytes.
    Megabytes,
    /// A number of things.
    Count,
    /// Hundredths.
    Percent,
}

impl Unit {
    /// Every unit with its symbol.
    const SYMBOLS: [(Self, &'static str); 9] = [
        (Self::Nanoseconds, "ns"),
        (Self::Microseconds, "us"),
        (Self::Milliseconds, "ms"),
        (Self::Seconds, "s"),
        (Self::Bytes, "B"),
        (Self::Kilobytes, "KB"),
        (Self::Megabytes, "MB"),
        (Self::Count, "count"),
        (Self::Percent, "percent"),
    ];
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbol = Self::SYMBOLS.iter().find(|(unit, _)| unit == self);
        f.write_str(symbol.map_or("count", |(_, symbol)| symbol))
    }
}

impl FromStr for Unit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::SYMBOLS.iter().find(|(_, symbol)| *symbol == text);
        known.map(|(unit, _)| *unit).ok_or_else(|| {
            let symbols = Self::SYMBOLS.map(|(_, symbol)| symbol).join(", ");
            Error::invalid(format!("`{text}` is not a unit"))
                .help(format!("the units are {symbols}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_they_are_written() {
        for (unit, symbol) in Unit::SYMBOLS {
            assert_eq!(unit.to_string(), symbol);
            assert_eq!(symbol.parse::<Unit>().unwrap(), unit);
        }
        assert_eq!("kg".parse::<Unit>().unwrap_err().to_string(), "`kg` is not a unit");
    }

    #[test]
    fn tags_tell_values_apart() {
        let at = Timestamp::from_micros(7);
        let metric = Metric::new("commit_time", MetricKind::Timer, 162.0, Unit::Microseconds, at);
        let tagged = metric.clone().with_tag("table", "pages");
        assert_ne!(metric, tagged);
        assert_eq!(tagged.tags.get("table").map(String::as_str), Some("pages"));
    }
}
