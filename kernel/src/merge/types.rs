//! Whether a text is a value of a type.

use reedbase_plugin_api::ColumnType;

use super::number::Decimal;

/// Whether the text of a cell is a value of this type. NULL and the empty text are of every type.
pub fn fits(kind: ColumnType, text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    match kind {
        ColumnType::Integer => text.parse::<i64>().is_ok(),
        ColumnType::Float => text.parse::<f64>().is_ok_and(f64::is_finite),
        ColumnType::Decimal => Decimal::parse(text).is_some(),
        ColumnType::Boolean => matches!(text, "true" | "false" | "1" | "0"),
        ColumnType::Date => text.parse::<jiff::civil::Date>().is_ok(),
        ColumnType::Timestamp => {
            text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok()
        }
        ColumnType::Json => serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
        ColumnType::Binary => is_base64(text),
        _ => true,
    }
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    text.len().is_multiple_of(4) && text.len() - digits.len() <= 2 && digits.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_types() {
        use ColumnType::{Binary, Boolean, Date, Decimal, Float, Integer, Json, String, Timestamp};
        for (kind, good, bad) in [
            (Integer, "-12", "1.0"),
            (Float, "1e3", "inf"),
            (Decimal, "1.10", "1e3"),
            (Boolean, "true", "yes"),
            (Date, "2026-02-28", "2026-02-30"),
            (Timestamp, "2026-02-28T12:00:00Z", "noon"),
            (Json, "{\"a\":[1]}", "{a}"),
            (Binary, "aGk=", "aGk"),
        ] {
            assert!(fits(kind, good) && !fits(kind, bad) && fits(kind, ""), "{kind}");
            assert!(fits(String, bad));
        }
    }
}
