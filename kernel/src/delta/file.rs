//! One version of a table as a file: `<timestamp>.bsdiff`.
//!
//! ```text
//!  0  magic "RDBDELTA"
//!  8  format (u16): 1
//! 10  seal (u8): 0, not encrypted
//! 11  compression (u8): 0 none, 1 XZ, 2 Zstandard
//! 12  timestamp (i64) of the frame
//! 20  timestamp (i64) of the version before; 0 for the first
//! 28  codec: length (u8) and id
//!     the changeset, in that codec, compressed
//! -12 length of the changeset before compression (u64)
//! -4  CRC32 of all before
//! ```

use std::io::Write;
use std::sync::Arc;

use reedbase_plugin_api::{Bytes, Changeset, DeltaCodec, Error, ErrorKind, Result, Timestamp};

use super::compress::Hashed;
use super::{BsdiffCodec, Compression, RowsCodec};
use crate::storage::{FileWriter, Storage, write_error};
use crate::wire::Reader;

const MAGIC: &[u8; 8] = b"RDBDELTA";
const FORMAT: u16 = 1;

/// A changeset that touches more bytes is not written by `bsdiff`, which would take more than ten milliseconds.
const SORTED_MAX: usize = 64 << 10;

/// The codecs that a database knows, by id.
#[derive(Clone)]
pub struct Codecs(Vec<Arc<dyn DeltaCodec>>);

impl Codecs {
    /// The two that are built in.
    pub fn built_in() -> Self {
        Self(vec![Arc::new(RowsCodec), Arc::new(BsdiffCodec)])
    }

    /// The codec with this id.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), naming it.
    pub fn find(&self, id: &str) -> Result<&dyn DeltaCodec> {
        let codec = self.0.iter().find(|codec| codec.id() == id);
        codec.map(|codec| &**codec).ok_or_else(|| {
            Error::not_found(format!("the delta was written by the codec `{id}`, which is missing"))
                .help("install the plugin that has it")
        })
    }
}

/// One version of a table, as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeltaFile {
    /// The frame that made the version.
    pub timestamp: Timestamp,
    /// The version before.
    pub base: Timestamp,
    /// What the frame did.
    pub changeset: Changeset,
}

/// The name of the file of a version.
pub fn delta_name(timestamp: Timestamp) -> String {
    format!("{timestamp}.bsdiff")
}

/// The version whose file has this name.
pub fn delta_timestamp(name: &str) -> Option<Timestamp> {
    name.strip_suffix(".bsdiff")?.parse().ok().map(Timestamp::from_micros)
}

/// The name of the keyframe of a version.
pub fn keyframe_name(timestamp: Timestamp) -> String {
    format!("{timestamp}.keyframe")
}

/// The version of the keyframe with this name.
pub fn keyframe_timestamp(name: &str) -> Option<Timestamp> {
    name.strip_suffix(".keyframe")?.parse().ok().map(Timestamp::from_micros)
}

/// A delta file that was written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WrittenDelta {
    /// Its length.
    pub len: u64,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The SHA-256 of the changeset as the codec wrote it, before it was compressed.
    pub content: [u8; 32],
}

impl DeltaFile {
    /// A version.
    pub fn new(timestamp: Timestamp, base: Timestamp, changeset: Changeset) -> Self {
        Self { timestamp, base, changeset }
    }

    /// Writes and syncs the file: by the codec `rows` and Zstandard if the changeset touches more than `large`
    /// bytes, else by `bsdiff` and XZ; by `rows` and a quick XZ where sorting for `bsdiff` would take long. Its name is durable once the folder is synced.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn write(&self, storage: &dyn Storage, path: &str, large: usize) -> Result<WrittenDelta> {
        let touched = self.changeset.touched_bytes();
        let (codec, compression): (&dyn DeltaCodec, _) = if touched > large {
            (&RowsCodec, Compression::Zstd)
        } else if touched > SORTED_MAX {
            (&RowsCodec, Compression::QuickXz)
        } else {
            (&BsdiffCodec, Compression::Xz)
        };
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&FORMAT.to_le_bytes());
        head.extend_from_slice(&[0, compression.code()]);
        head.extend_from_slice(&self.timestamp.as_micros().to_le_bytes());
        head.extend_from_slice(&self.base.as_micros().to_le_bytes());
        let id = codec.id().as_bytes();
        head.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
        head.extend_from_slice(id);
        let mut writer = FileWriter::create(storage, path)?;
        let mut file = Hashed::new(&mut writer);
        file.write_all(&head).map_err(write_error)?;
        let changesets = std::slice::from_ref(&self.changeset);
        let (mut unpacked, mut content) = (0, [0; 32]);
        compression.pack(touched + 256, &mut file, &mut |sink| {
            let mut hashed = Hashed::new(sink);
            codec.encode(changesets, &mut hashed)?;
            (unpacked, content) = (hashed.counted.len, hashed.sha256());
            Ok(())
        })?;
        file.write_all(&unpacked.to_le_bytes()).map_err(write_error)?;
        let crc = file.counted.crc();
        file.write_all(&crc.to_le_bytes()).map_err(write_error)?;
        let (len, sha256) = (file.counted.len, file.sha256());
        writer.finish(storage)?;
        Ok(WrittenDelta { len, sha256, content })
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if a byte of it is not what it was,
    /// [`NewerFormat`](ErrorKind::NewerFormat), or a missing codec.
    pub fn decode(bytes: &Bytes, codecs: &Codecs) -> Result<Self> {
        let body =
            bytes.len().checked_sub(12).ok_or_else(|| Error::corrupt("the delta is cut off"))?;
        let mut trailer = Reader::new(bytes.slice(body..));
        let (len, crc) = (trailer.u64()?, trailer.u32()?);
        let mut reader = Reader::new(bytes.slice(..body));
        if reader.array()? != *MAGIC {
            return Err(Error::corrupt("this is no delta"));
        }
        if crc32fast::hash(bytes.get(..body + 8).unwrap_or_default()) != crc {
            return Err(Error::corrupt("the checksum of the delta does not match"));
        }
        let format = u16::from_le_bytes(reader.array()?);
        let [seal, compression] = reader.array()?;
        if format > FORMAT || seal != 0 {
            return Err(Error::new(ErrorKind::NewerFormat, "the delta is of a newer format")
                .help("update ReedBase"));
        }
        let timestamp = Timestamp::from_micros(reader.i64()?);
        let base = Timestamp::from_micros(reader.i64()?);
        let id = reader.byte()?;
        let id = reader.take(usize::from(id))?;
        let codec = codecs.find(&String::from_utf8_lossy(&id))?;
        let packed = reader.take(reader.left())?;
        let unpacked = Compression::from_code(compression)?.unpack(&packed, len)?;
        let changesets = codec.decode(&unpacked)?;
        match <[Changeset; 1]>::try_from(changesets) {
            Ok([changeset]) => Ok(Self { timestamp, base, changeset }),
            Err(_) => Err(Error::corrupt("the delta does not hold exactly one version")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use proptest::prelude::*;
    use reedbase_plugin_api::{Lines, Move, SchemaText, Shape};

    fn runs() -> impl Strategy<Value = Vec<Lines>> {
        let run = (0_u64..5, 1_u64..4, "[ab,\n]{0,12}");
        prop::collection::vec(run, 0..6).prop_map(|runs| {
            let mut start = 0;
            let place = |(gap, count, text): (u64, u64, String)| {
                start += gap + count;
                Lines { start: start - count, count, bytes: Bytes::from(text) }
            };
            runs.into_iter().map(place).collect()
        })
    }

    prop_compose! {
        fn changesets()(
            removed in runs(),
            added in runs(),
            moves in prop::collection::vec((0_u64..9, 0_u64..9, 1_u64..9), 0..3),
            header in prop::sample::select(vec!["a,b\n", "a,b\r\n", "\u{feff}a,b,c\n"]),
            new_table in any::<bool>(),
            schema in any::<bool>(),
            large in any::<bool>(),
        ) -> Changeset {
            let shape = |header| Shape::new(b',', Bytes::from(header), vec![1, 0]).unwrap();
            let text = SchemaText { before: Bytes::new(), after: Bytes::from("x = 1") };
            let mut added = added;
            if large {
                let start = added.last().map_or(0, |run| run.start + run.count);
                added.push(Lines { start, count: 100, bytes: Bytes::from("some row\n".repeat(100)) });
            }
            Changeset {
                before: (!new_table).then(|| shape("a,b\n")),
                after: shape(header),
                schema: schema.then_some(text),
                removed,
                added,
                moves: moves.iter().map(|(from, to, count)| Move { from: *from, to: *to, count: *count }).collect(),
                salt: [7; 16],
            }
        }
    }

    proptest! {
        #[test]
        fn every_codec_gives_back_what_it_was_given(changesets in prop::collection::vec(changesets(), 0..4)) {
            for codec in Codecs::built_in().0 {
                let mut bytes = Vec::new();
                codec.encode(&changesets, &mut bytes).unwrap();
                let bytes = Bytes::from(bytes);
                prop_assert_eq!(&codec.decode(&bytes).unwrap(), &changesets);
                // Cut anywhere, it is refused, not misread.
                for len in (0..bytes.len()).step_by(7) {
                    prop_assert!(codec.decode(&bytes.slice(..len)).is_err());
                }
            }
        }

        #[test]
        fn rows_gives_back_some_of_what_it_was_given(
            changesets in prop::collection::vec(changesets(), 1..6),
            wanted in prop::collection::vec(any::<bool>(), 6),
        ) {
            let mut bytes = Vec::new();
            RowsCodec.encode(&changesets, &mut bytes).unwrap();
            let bytes = Bytes::from(bytes);
            let places: Vec<_> = (0..changesets.len()).filter(|at| wanted[*at]).collect();
            let some = RowsCodec.decode_some(&bytes, changesets.len(), places.iter().copied()).unwrap();
            let expected: Vec<_> = places.iter().map(|at| changesets[*at].clone()).collect();
            prop_assert_eq!(some, expected);
            prop_assert!(RowsCodec.decode_some(&bytes, 9, 0..1).is_err());
        }

        #[test]
        fn files_come_back_and_damage_is_found(changeset in changesets(), byte in any::<prop::sample::Index>()) {
            let storage = MemoryStorage::new();
            let delta = DeltaFile::new(Timestamp::from_micros(9), Timestamp::from_micros(3), changeset);
            let written = delta.write(&storage, "x", 512).unwrap();
            let bytes = (&storage as &dyn Storage).read("x").unwrap().unwrap();
            prop_assert_eq!(written.len, bytes.len() as u64);
            let codecs = Codecs::built_in();
            prop_assert_eq!(&DeltaFile::decode(&bytes, &codecs).unwrap(), &delta);
            let mut damaged = bytes.to_vec();
            damaged[byte.index(bytes.len())] ^= 0x10;
            prop_assert!(DeltaFile::decode(&Bytes::from(damaged), &codecs).is_err());
        }
    }

    #[test]
    fn a_one_cell_edit_takes_few_hundred_bytes() {
        let header = "id,title,author,status,views,price,created,body\n";
        let shape = Shape::new(b',', Bytes::from(header), vec![0]).unwrap();
        let row = "48211,A title of usual length,jane.doe,published,1042,19.90,2024-11-03,Some body text that makes the row long\n";
        let line = |text: String| vec![Lines { start: 48_211, count: 1, bytes: Bytes::from(text) }];
        let changeset = Changeset {
            before: Some(shape.clone()),
            after: shape,
            schema: None,
            removed: line(row.to_owned()),
            added: line(row.replace("1042", "1043")),
            moves: Vec::new(),
            salt: *b"0123456789abcdef",
        };
        let delta = DeltaFile::new(Timestamp::from_micros(2), Timestamp::from_micros(1), changeset);
        let storage = MemoryStorage::new();
        let len = delta.write(&storage, "x", 1 << 20).unwrap().len;
        assert!(len <= 500, "{len} bytes");
    }
}
