//! Times as people read them.

use jiff::Timestamp as Instant;
use jiff::tz::TimeZone;
use reedbase::Timestamp;

/// In the local time zone, to the second.
pub(crate) fn local(timestamp: Timestamp) -> String {
    let Ok(instant) = Instant::from_microsecond(timestamp.as_micros()) else {
        return timestamp.to_string();
    };
    instant.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// As RFC 3339, in UTC, to the microsecond.
pub(crate) fn rfc3339(timestamp: Timestamp) -> String {
    match Instant::from_microsecond(timestamp.as_micros()) {
        Ok(instant) => instant.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        Err(_) => timestamp.to_string(),
    }
}

/// For the name of a file, in UTC: 20261121-205530.
pub(crate) fn compact(timestamp: Timestamp) -> String {
    match Instant::from_microsecond(timestamp.as_micros()) {
        Ok(instant) => instant.strftime("%Y%m%d-%H%M%S").to_string(),
        Err(_) => timestamp.to_string(),
    }
}
