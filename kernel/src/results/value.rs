//! A value as bytes: what it is (u8: 0 NULL, 1 integer, 2 float, 3 text, 4 bytes), and itself.

use reedbase_plugin_api::{Error, Result, Value, ValueRef};

use crate::wire::{Reader, put_bytes};

/// Appends a value.
pub fn put_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Integer(value) => {
            out.push(1);
            out.extend_from_slice(&value.to_le_bytes());
        }
        ValueRef::Float(value) => {
            out.push(2);
            out.extend_from_slice(&value.to_le_bytes());
        }
        ValueRef::Text(text) => {
            out.push(3);
            put_bytes(out, text.as_bytes());
        }
        ValueRef::Binary(bytes) => {
            out.push(4);
            put_bytes(out, bytes);
        }
        _ => out.push(0),
    }
}

/// The next value.
///
/// # Errors
/// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if it is none.
pub fn read_value(reader: &mut Reader) -> Result<Value> {
    Ok(match reader.byte()? {
        0 => Value::Null,
        1 => Value::Integer(reader.i64()?),
        2 => Value::Float(f64::from_le_bytes(reader.array()?)),
        3 => Value::Text(reader.text()?),
        4 => Value::Binary(reader.bytes()?.into()),
        other => return Err(Error::corrupt(format!("{other} is no kind of value"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        let values = [
            Value::Null,
            Value::Integer(-7),
            Value::Float(0.1),
            Value::Text("ü".into()),
            Value::Text(String::new()),
            Value::Binary(vec![0, 255]),
        ];
        for value in values {
            let mut bytes = Vec::new();
            put_value(&mut bytes, value.as_ref());
            let mut reader = Reader::new(bytes.into());
            assert_eq!(read_value(&mut reader).unwrap(), value);
            assert_eq!(reader.left(), 0);
        }
        assert!(read_value(&mut Reader::new(vec![9].into())).is_err());
    }
}
