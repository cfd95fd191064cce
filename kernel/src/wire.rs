//! Numbers and strings of bytes in files: little-endian, or as varints (LEB128: 7 bits a byte, lowest
//! first, the top bit set on all but the last).

use reedbase_plugin_api::{Bytes, Error, Result};

/// Appends a varint.
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Appends a signed number as a varint, small magnitudes short: 0, -1, 1, -2 become 0, 1, 2, 3.
pub fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_varint(out, (number << 1 ^ number >> 63) as u64);
}

/// Appends bytes with their length as a varint before them.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what was written, and never past the end.
#[derive(Debug, Clone)]
pub struct Reader {
    bytes: Bytes,
    at: usize,
}

impl Reader {
    /// Starts at the first byte.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next bytes, shared.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if there are fewer.
    pub fn take(&mut self, len: usize) -> Result<Bytes> {
        if len > self.left() {
            return Err(Error::corrupt("the data ends early").at_byte(self.at as u64));
        }
        let taken = self.bytes.slice(self.at..self.at + len);
        self.at += len;
        Ok(taken)
    }

    /// Passes over bytes that have their length before them.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub fn skip_bytes(&mut self) -> Result<()> {
        self.at += self.length()?;
        Ok(())
    }

    /// The next N bytes.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let array =
            *rest.ok_or_else(|| Error::corrupt("the data ends early").at_byte(self.at as u64))?;
        self.at += N;
        Ok(array)
    }

    /// The next byte.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next 4 bytes as a number.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next 8 bytes as a number.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next 8 bytes as a signed number.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// The next varint.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if it does not end or exceeds 64 bits.
    pub fn varint(&mut self) -> Result<u64> {
        let start = self.at as u64;
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Error::corrupt("a number has too many bits").at_byte(start))
    }

    /// The next signed varint.
    ///
    /// # Errors
    /// As for [`varint`](Self::varint).
    pub fn signed(&mut self) -> Result<i64> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// The next varint, as a length of something that is still to come, so that it cannot exceed what is
    /// left.
    ///
    /// # Errors
    /// As for [`varint`](Self::varint).
    pub fn length(&mut self) -> Result<usize> {
        let start = self.at as u64;
        let len = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if len > self.left() {
            return Err(Error::corrupt("a length exceeds the data").at_byte(start));
        }
        Ok(len)
    }

    /// The next bytes, with their length before them.
    ///
    /// # Errors
    /// As for [`length`](Self::length).
    pub fn bytes(&mut self) -> Result<Bytes> {
        let len = self.length()?;
        self.take(len)
    }

    /// The next text, with its length before it.
    ///
    /// # Errors
    /// As for [`bytes`](Self::bytes), or if it is not UTF-8.
    pub fn text(&mut self) -> Result<String> {
        let start = self.at as u64;
        let bytes = self.bytes()?;
        String::from_utf8(bytes.into())
            .map_err(|error| Error::corrupt("a text is not UTF-8").at_byte(start).caused_by(error))
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if something does.
    pub fn end(&self) -> Result<()> {
        match self.left() {
            0 => Ok(()),
            _ => Err(Error::corrupt("more data than expected").at_byte(self.at as u64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, number);
            put_signed(&mut out, number as i64);
            let mut reader = Reader::new(Bytes::from(out));
            assert_eq!(reader.varint().unwrap(), number);
            assert_eq!(reader.signed().unwrap(), number as i64);
            reader.end().unwrap();
        }
        let mut out = Vec::new();
        put_signed(&mut out, -1);
        assert_eq!(out, [1]);
    }

    #[test]
    fn lies_are_found() {
        let read = |bytes: &'static [u8]| Reader::new(Bytes::from_static(bytes));
        assert!(read(&[0x80]).varint().is_err());
        assert!(read(&[0xff; 11]).varint().is_err());
        assert!(read(&[9, 1]).bytes().is_err());
        assert!(read(&[1, 0xff]).text().is_err());
        assert!(read(&[1]).end().is_err());
    }
}
