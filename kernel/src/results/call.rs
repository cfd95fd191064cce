//! A call as bytes: the name of the function and a zero, its version (u64), and what it was given.

use reedbase_plugin_api::{CachedFunction, ValueRef};

use super::value::put_value;

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call(Vec<u8>);

impl Call {
    /// A call that was given nothing yet.
    pub fn of(function: &CachedFunction<'_>) -> Self {
        let name = function.name().as_bytes();
        let mut bytes = Vec::with_capacity(name.len() + 64);
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(&function.version_number().to_le_bytes());
        Self(bytes)
    }

    /// Where bytes that say what it was given are added. Other values must give other bytes.
    pub fn input(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// Adds values of a query.
    pub fn add_values(&mut self, values: &[ValueRef<'_>]) {
        values.iter().for_each(|value| put_value(&mut self.0, *value));
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The function that a call is of.
pub(super) fn function_of(call: &[u8]) -> &str {
    let name = call.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_calls_have_other_bytes() {
        let call = |name, version, values: &[ValueRef<'_>]| {
            let mut call = Call::of(&CachedFunction::new(name).version(version));
            call.add_values(values);
            call
        };
        let calls = [
            call("f", 0, &[]),
            call("g", 0, &[]),
            call("f", 1, &[]),
            call("f", 0, &[ValueRef::Null]),
            call("f", 0, &[ValueRef::Text("")]),
            call("f", 0, &[ValueRef::Text("a"), ValueRef::Text("b")]),
            call("f", 0, &[ValueRef::Text("ab"), ValueRef::Text("")]),
            call("f", 0, &[ValueRef::Binary(b"ab"), ValueRef::Text("")]),
            call("f", 0, &[ValueRef::Integer(1)]),
            call("f", 0, &[ValueRef::Float(1.0)]),
            call("f", 0, &[ValueRef::Float(0.0)]),
            call("f", 0, &[ValueRef::Float(-0.0)]),
        ];
        for (at, one) in calls.iter().enumerate() {
            assert_eq!(function_of(one.as_bytes()).len(), 1);
            assert!(calls[..at].iter().all(|other| other != one), "{at}");
        }
    }
}
