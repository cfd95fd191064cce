//! A standard patch from one file to another, which the stock `bspatch` applies.
//!
//! The format BSDIFF40 of Colin Percival's bsdiff (2003): magic, three lengths, and three streams in
//! bzip2: control (add so many bytes of the old file, take so many extra ones, move so far in the old
//! file), difference, extra. Here the pieces come from matching rows by key, not from a suffix sort, so
//! that making a patch costs no more than reading the two files.

use std::io::Write;

use bzip2::Compression;
use bzip2::write::BzEncoder;
use reedbase_plugin_api::{Error, Result};

use crate::table::Piece;

/// The patch that makes the new file of the old one.
///
/// # Errors
/// Only if memory runs out.
pub fn export_patch(pieces: &[Piece]) -> Result<Vec<u8>> {
    let (mut control, mut difference, mut extra) = (encoder(), encoder(), encoder());
    let (mut at, mut new_len) = (0_i64, 0_u64);
    let mut pieces = pieces.iter().peekable();
    while pieces.peek().is_some() {
        let (mut copied, mut added) = (0_u64, 0_u64);
        if let Some(Piece::Old { len, .. }) = pieces.peek() {
            copied = *len;
            at += *len as i64;
            // The difference of equal bytes is zero.
            std::io::copy(&mut std::io::Read::take(std::io::repeat(0), *len), &mut difference)
                .map_err(failed)?;
            pieces.next();
        }
        while let Some(Piece::New(bytes)) = pieces.peek() {
            extra.write_all(bytes).map_err(failed)?;
            added += bytes.len() as u64;
            pieces.next();
        }
        let next = match pieces.peek() {
            Some(Piece::Old { start, .. }) => *start as i64,
            _ => at,
        };
        for number in [copied as i64, added as i64, next - at] {
            control.write_all(&offset(number)).map_err(failed)?;
        }
        at = next;
        new_len += copied + added;
    }
    let (control, difference) = (finish(control)?, finish(difference)?);
    let extra = finish(extra)?;
    let mut patch = b"BSDIFF40".to_vec();
    for len in [control.len() as i64, difference.len() as i64, new_len as i64] {
        patch.extend_from_slice(&offset(len));
    }
    patch.extend([control, difference, extra].concat());
    Ok(patch)
}

fn encoder() -> BzEncoder<Vec<u8>> {
    BzEncoder::new(Vec::new(), Compression::best())
}

fn finish(encoder: BzEncoder<Vec<u8>>) -> Result<Vec<u8>> {
    encoder.finish().map_err(failed)
}

fn failed(source: std::io::Error) -> Error {
    Error::io("compress", "", source)
}

/// A number as bsdiff writes it: the magnitude in 8 bytes, little-endian, the sign in the top bit.
fn offset(number: i64) -> [u8; 8] {
    let sign = if number < 0 { 1 << 63 } else { 0 };
    (number.unsigned_abs() | sign).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Base, pieces};
    use reedbase_plugin_api::{Bytes, Shape};
    use std::sync::Arc;

    #[test]
    fn the_patch_applies() {
        let base = |text: &'static str| {
            let shape = Shape::new(b',', Bytes::from("id,x\n"), vec![0]).unwrap();
            Base::parse(Bytes::from(text), Arc::new(shape)).unwrap()
        };
        let texts = [
            "id,x\n",
            "id,x\n1,a\n2,b\n3,c\n",
            "id,x\n3,c\n1,a\n2,B\n4,new\n",
            "id,x\n4,new\n2,B\n",
            "id,x\n9,z",
        ];
        for old in texts {
            for new in texts {
                let patch = export_patch(&pieces(&base(old), &base(new)).unwrap()).unwrap();
                let mut made = Vec::new();
                let patcher = qbsdiff::Bspatch::new(&patch).unwrap();
                patcher.apply(old.as_bytes(), std::io::Cursor::new(&mut made)).unwrap();
                assert_eq!(String::from_utf8(made).unwrap(), new, "from {old}");
            }
        }
    }
}
