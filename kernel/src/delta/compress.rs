//! Compression: XZ where a file stays for long, Zstandard where writing it must be quick.

use std::io::{Read, Write};

use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use reedbase_plugin_api::{Bytes, Error, Result};
use sha2::{Digest, Sha256};

use crate::storage::write_error;

/// How the body of a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// XZ (LZMA2), preset 6 with a dictionary no larger than the data, CRC32.
    Xz,
    /// The same, preset 1: in a fifth of the time, for what will be packed again.
    QuickXz,
    /// Zstandard, level 1.
    Zstd,
}

/// More than this is never unpacked: a table's file has at most 4 GiB, and a changeset both sides of it.
const UNPACKED_MAX: u64 = 9 << 30;

/// From this many bytes on Zstandard compresses in a thread beside the one that hands them over.
const BESIDE_MIN: usize = 4 << 20;

impl Compression {
    /// The byte that stands for it in files.
    pub fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Xz | Self::QuickXz => 1,
            Self::Zstd => 2,
        }
    }

    /// The compression that a byte stands for.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if none.
    pub fn from_code(code: u8) -> Result<Self> {
        match code {
            0 => Ok(Self::None),
            1 => Ok(Self::Xz),
            2 => Ok(Self::Zstd),
            _ => Err(Error::corrupt(format!("unknown compression {code}"))),
        }
    }

    /// Compresses what `write` writes, of which there are about `expected` bytes.
    ///
    /// # Errors
    /// Those of `write` and of `out`.
    pub fn pack(
        self,
        expected: usize,
        out: &mut dyn Write,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let fail = write_error;
        match self {
            Self::None => write(out),
            Self::Xz | Self::QuickXz => {
                let stream = xz_stream(expected, if self == Self::Xz { 6 } else { 1 })?;
                let mut encoder = liblzma::write::XzEncoder::new_stream(out, stream);
                write(&mut encoder)?;
                encoder.finish().map(drop).map_err(fail)
            }
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(out, 1).map_err(fail)?;
                if expected >= BESIDE_MIN {
                    encoder.multithread(1).map_err(fail)?;
                }
                write(&mut encoder)?;
                encoder.finish().map(drop).map_err(fail)
            }
        }
    }

    /// Compresses some bytes.
    ///
    /// # Errors
    /// Only if memory runs out.
    pub fn pack_bytes(self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.pack(bytes.len(), &mut out, &mut |sink| sink.write_all(bytes).map_err(write_error))?;
        Ok(out)
    }

    /// The bytes that were compressed, of which there must be exactly `len`.
    ///
    /// # Errors
    /// [`Corrupt`](reedbase_plugin_api::ErrorKind::Corrupt) if they are not.
    pub fn unpack(self, packed: &Bytes, len: u64) -> Result<Bytes> {
        let bad =
            |source: std::io::Error| Error::corrupt("the data does not unpack").caused_by(source);
        if len > UNPACKED_MAX {
            return Err(Error::corrupt("the data claims to unpack to more than 9 GiB"));
        }
        // The length is only a claim until the data is unpacked: the buffer grows with the data.
        let mut out =
            Vec::with_capacity(usize::try_from(len.min(packed.len() as u64 * 8)).unwrap_or(0));
        let read = match self {
            Self::None => {
                return if packed.len() as u64 == len {
                    Ok(packed.clone())
                } else {
                    Err(Error::corrupt("the data has another length than stated"))
                };
            }
            Self::Xz | Self::QuickXz => {
                let decoder = liblzma::read::XzDecoder::new(packed.as_ref());
                decoder.take(len + 1).read_to_end(&mut out)
            }
            Self::Zstd => {
                let decoder = zstd::Decoder::with_buffer(packed.as_ref()).map_err(bad)?;
                decoder.take(len + 1).read_to_end(&mut out)
            }
        };
        read.map_err(bad)?;
        if out.len() as u64 != len {
            return Err(Error::corrupt("the data has another length than stated"));
        }
        Ok(Bytes::from(out))
    }
}

/// The dictionary of preset 6. A larger one saves little, and takes twelve times its size in memory.
const DICTIONARY_MAX: usize = 8 << 20;

/// An encoder whose dictionary is no larger than the data: setting up a large one costs a millisecond.
fn xz_stream(expected: usize, preset: u32) -> Result<Stream> {
    let fail = |source: liblzma::stream::Error| Error::internal("no XZ encoder").caused_by(source);
    let mut options = LzmaOptions::new_preset(preset).map_err(fail)?;
    let size = expected.next_power_of_two().clamp(1 << 12, DICTIONARY_MAX);
    options.dict_size(u32::try_from(size).unwrap_or_default());
    let mut filters = Filters::new();
    filters.lzma2(&options);
    Stream::new_stream_encoder(&filters, Check::Crc32).map_err(fail)
}

/// Knows the length and the CRC32 of what went through it.
pub(super) struct Counted<'a> {
    sink: &'a mut dyn Write,
    pub(super) len: u64,
    crc: crc32fast::Hasher,
    tell: Option<&'a dyn Fn(u64)>,
}

impl<'a> Counted<'a> {
    pub(super) fn new(sink: &'a mut dyn Write) -> Self {
        Self { sink, len: 0, crc: crc32fast::Hasher::new(), tell: None }
    }

    /// One that tells the length as it grows.
    pub(super) fn telling(sink: &'a mut dyn Write, tell: &'a dyn Fn(u64)) -> Self {
        Self { tell: Some(tell), ..Self::new(sink) }
    }

    pub(super) fn crc(&self) -> u32 {
        self.crc.clone().finalize()
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.crc.update(bytes.get(..written).unwrap_or_default());
        self.len += written as u64;
        if let Some(tell) = self.tell {
            tell(self.len);
        }
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}

/// Knows the SHA-256 of it, too.
pub(super) struct Hashed<'a> {
    pub(super) counted: Counted<'a>,
    sha: Sha256,
}

impl<'a> Hashed<'a> {
    pub(super) fn new(sink: &'a mut dyn Write) -> Self {
        Self { counted: Counted::new(sink), sha: Sha256::new() }
    }

    pub(super) fn sha256(self) -> [u8; 32] {
        self.sha.finalize().into()
    }
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.counted.write(bytes)?;
        self.sha.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.counted.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks_and_lies_are_found() {
        let bytes = "some text ".repeat(1000);
        for compression in [Compression::None, Compression::Xz, Compression::Zstd] {
            assert_eq!(Compression::from_code(compression.code()).unwrap(), compression);
            let packed = Bytes::from(compression.pack_bytes(bytes.as_bytes()).unwrap());
            assert_eq!(compression.unpack(&packed, 10_000).unwrap(), bytes);
            assert!(compression.unpack(&packed, 9_999).is_err());
            assert!(compression.unpack(&packed, 10_001).is_err());
            let cut = packed.slice(..packed.len() - 1);
            assert!(compression.unpack(&cut, 10_000).is_err(), "{compression:?}");
        }
    }
}
