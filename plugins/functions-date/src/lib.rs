//! Functions for dates: `2026-01-31`, or an instant such as `2026-01-31T12:00:00Z`, of which the day counts.
//!
//! ```text
//! date_age(birth[, day])           whole years         date_days_since(date[, day])     days, less than 0 in the future
//! date_is_expired(date[, day])     whether it is over  date_format(date, format)        %d/%m/%Y, as strftime has it
//! date_micros(instant)         since 1970, in UTC   date_timestamp(micros)   2026-01-31T12:00:00.000000Z
//! ```
//!
//! `date_micros` gives NULL for what is no instant: so instants are compared, however they are written. Without a day, today counts, in UTC. NULL gives NULL.

#![forbid(unsafe_code)]

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use reedbase_plugin_api::{Error, Function, FunctionSet, Result, Value, ValueRef};

/// The functions for dates.
#[derive(Debug, Clone, Copy, Default)]
pub struct DateFunctions;

impl FunctionSet for DateFunctions {
    fn id(&self) -> &str {
        "date"
    }

    fn functions(&self) -> Vec<Function> {
        vec![
            on_a_day("date_age", |date, day| years_between(date, day).into()),
            on_a_day("date_days_since", |date, day| days_between(date, day).into()),
            on_a_day("date_is_expired", |date, day| (date < day).into()),
            Function::scalar("date_format", 2..=2, |values| {
                let (Some(date), Some(format)) = (text(values, 0)?, text(values, 1)?) else {
                    return Ok(Value::Null);
                };
                format_date(&date, &format).map(Value::from)
            }),
            Function::scalar("date_micros", 1..=1, |values| {
                let text = text(values, 0)?;
                Ok(text.and_then(|text| micros(&text)).into())
            }),
            Function::scalar("date_timestamp", 1..=1, |values| {
                let micros = values.first().copied().unwrap_or(ValueRef::Null).integer()?;
                micros.map_or(Ok(Value::Null), |micros| timestamp(micros).map(Value::from))
            }),
        ]
    }
}

/// A function of a date and of the day from which it is seen.
fn on_a_day(name: &str, act: fn(Date, Date) -> Value) -> Function {
    let function = Function::scalar(name, 1..=2, move |values| {
        let Some(date) = text(values, 0)? else { return Ok(Value::Null) };
        let day = match text(values, 1)? {
            Some(day) => parse(&day)?,
            None if values.len() > 1 => return Ok(Value::Null),
            None => today(),
        };
        Ok(act(parse(&date)?, day))
    });
    // Without a day it gives something else tomorrow.
    function.unsteady()
}

fn text(values: &[ValueRef<'_>], at: usize) -> Result<Option<String>> {
    let value = values.get(at).copied().unwrap_or(ValueRef::Null);
    Ok(value.text()?.map(|text| text.into_owned()))
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

fn parse(text: &str) -> Result<Date> {
    let text = text.trim();
    let instant = || text.parse::<Timestamp>().map(|at| at.to_zoned(TimeZone::UTC).date());
    text.parse::<Date>().or_else(|_| instant()).map_err(|_| {
        Error::invalid(format!("`{text}` is no date")).help("write year, month and day: 2026-01-31")
    })
}

/// Whole years from one day to another; less than 0 if it is later.
fn years_between(date: Date, day: Date) -> i64 {
    let not_yet = (day.month(), day.day()) < (date.month(), date.day());
    i64::from(day.year()) - i64::from(date.year()) - i64::from(not_yet)
}

fn days_between(date: Date, day: Date) -> i64 {
    date.until(day).map_or(0, |span| span.get_days().into())
}

/// How many whole years old somebody is today, in UTC.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) if the text is no date.
pub fn calculate_age(birth: &str) -> Result<i64> {
    Ok(years_between(parse(birth)?, today()))
}

/// How many days have passed until today, in UTC; less than 0 for a day to come.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) if the text is no date.
pub fn days_since(date: &str) -> Result<i64> {
    Ok(days_between(parse(date)?, today()))
}

/// Whether a day is over, in UTC.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) if the text is no date.
pub fn is_expired(date: &str) -> Result<bool> {
    Ok(parse(date)? < today())
}

/// A date in another form, as `strftime` describes it.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) if the text is no date, or the form none.
pub fn format_date(date: &str, format: &str) -> Result<String> {
    let date = parse(date)?;
    strtime::format(format, date).map_err(|error| {
        Error::invalid(format!("a date cannot be written as `{format}`"))
            .help("%Y is the year, %m the month, %d the day, %B the name of the month")
            .caused_by(error)
    })
}

/// The microseconds since 1970 of an instant, or of the beginning of a day; without a zone in UTC. `None` for what is none.
pub fn micros(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant.as_microsecond());
    }
    let local = text.parse::<DateTime>().ok()?;
    Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
}

/// An instant as text, in UTC, with six digits behind the second.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) for a time before the year -9999 or after 9999.
pub fn timestamp(micros: i64) -> Result<String> {
    let instant = Timestamp::from_microsecond(micros);
    let instant = instant.map_err(|_| Error::invalid(format!("{micros} is too far from now")))?;
    Ok(format!("{instant:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, values: &[&str]) -> Result<Value> {
        let functions = DateFunctions.functions();
        let function = functions.iter().find(|function| function.name() == name).unwrap();
        let values: Vec<_> = values.iter().map(|text| ValueRef::Text(text)).collect();
        match function.body() {
            reedbase_plugin_api::FunctionBody::Scalar(act) => act(&values),
            _ => panic!(),
        }
    }

    #[test]
    fn instants_are_numbers_and_texts() {
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1_000_000)),
            ("1970-01-01T00:00:01.5Z", Some(1_500_000)),
            ("1970-01-01T01:00:01+01:00", Some(1_000_000)),
            ("1970-01-01 00:00:01", Some(1_000_000)),
            ("1970-01-02", Some(86_400_000_000)),
            ("not-a-timestamp", None),
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
        let instant = micros("2024-07-27T10:00:00.123Z").unwrap();
        assert_eq!(timestamp(instant).unwrap(), "2024-07-27T10:00:00.123000Z");
        assert!(timestamp(i64::MAX).is_err());
    }

    #[test]
    fn dates_are_seen_from_a_day() {
        for (name, date, day, expected) in [
            ("date_age", "2000-02-29", "2026-02-28", Value::Integer(25)),
            ("date_age", "2000-02-29", "2026-03-01", Value::Integer(26)),
            ("date_days_since", "2026-01-31", "2026-03-01T23:00:00Z", Value::Integer(29)),
            ("date_days_since", "2026-03-01", "2026-01-31", Value::Integer(-29)),
            ("date_is_expired", "2026-01-31", "2026-01-31", Value::Boolean(false)),
            ("date_is_expired", "2026-01-31", "2026-02-01", Value::Boolean(true)),
        ] {
            assert_eq!(call(name, &[date, day]).unwrap(), expected, "{name} {date} {day}");
        }
        assert!(call("date_age", &["31.1.2026"]).unwrap_err().to_string().contains("is no date"));
        assert!(call("date_format", &["2026-01-31", "%Ö"]).is_err());
    }
}
