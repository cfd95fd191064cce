//! Dates and times that stand in a text: `DATE '2024-07-27'`, `TIMESTAMP '2024-07-27T10:00:00Z'`, `INTERVAL '5' MINUTE`.

use jiff::civil::{Date, Time};
use reedbase_plugin_api::{Error, Result};
use reedbase_plugin_functions_date::micros;

/// An instant, in microseconds since 1970, as `date_micros` reads it. Without a zone it is UTC.
pub(crate) fn instant(text: &str) -> Result<i64> {
    micros(text).ok_or_else(|| {
        Error::invalid(format!("`{text}` is no instant")).help("write it so: 2026-01-31T12:00:00Z")
    })
}

/// A date as it is written: `2026-01-31`.
pub(crate) fn date(text: &str) -> Result<String> {
    let date = text.trim().parse::<Date>();
    let date = date.map_err(|_| Error::invalid(format!("`{text}` is no date")));
    Ok(date.map_err(|error| error.help("write it so: 2026-01-31"))?.to_string())
}

/// A time of day as it is written: `12:00:00`.
pub(crate) fn time(text: &str) -> Result<String> {
    let time = text.trim().parse::<Time>();
    let time = time.map_err(|_| Error::invalid(format!("`{text}` is no time of day")));
    Ok(time.map_err(|error| error.help("write it so: 12:00:00"))?.to_string())
}

/// How many microseconds a unit has; months and years have not always as many.
pub(crate) fn unit(word: &str) -> Option<i64> {
    let word = word.to_ascii_lowercase();
    let seconds = match word.strip_suffix('s').unwrap_or(&word) {
        "second" => 1,
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        "week" => 604_800,
        _ => return None,
    };
    Some(seconds * 1_000_000)
}

/// A part of an instant, as `strftime` writes it.
pub(crate) fn part(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "year" => "%Y",
        "month" => "%m",
        "day" => "%d",
        "hour" => "%H",
        "minute" => "%M",
        "second" => "%S",
        "week" => "%W",
        "dow" => "%w",
        "doy" => "%j",
        "epoch" => "%s",
        _ => return None,
    })
}
