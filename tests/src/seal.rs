//! Checksums set right again after a mutation: else almost every mutated file would be refused at its checksum,
//! and what lies behind it would never run. A file that is too short to have its checksum stays as it is.

/// The CRC32 of all before it, in the last four bytes: delta files and the cache.
pub fn at_end(bytes: &mut [u8]) {
    if let Some((body, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = crc32fast::hash(body).to_le_bytes();
    }
}

/// The records of a segment of the journal: each has a CRC32 of its payload, and one of its header.
pub fn journal(bytes: &mut [u8]) {
    let mut at = 64;
    while let Some(record) = bytes.get_mut(at..).filter(|rest| rest.starts_with(b"RDBF")) {
        let Some((header, rest)) = record.split_first_chunk_mut::<88>() else { return };
        header[16..24].copy_from_slice(&(at as u64).to_le_bytes());
        let len = u32::from_le_bytes(header[24..28].try_into().unwrap()) as usize;
        let Some(payload) = rest.get(..len) else { return };
        header[28..32].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
        let crc = crc32fast::hash(&header[..84]);
        header[84..].copy_from_slice(&crc.to_le_bytes());
        at += (88 + len).next_multiple_of(8);
    }
}

/// The directory of a pack.
pub fn pack(bytes: &mut [u8]) {
    let Some(trailer) = bytes.len().checked_sub(60) else { return };
    let offset = u64::from_le_bytes(bytes[trailer + 32..trailer + 40].try_into().unwrap());
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    if offset > trailer || trailer < 44 {
        return;
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[..44]);
    crc.update(&bytes[offset..trailer + 48]);
    bytes[trailer + 48..trailer + 52].copy_from_slice(&crc.finalize().to_le_bytes());
}

/// The chunks and the directory of a pack of frames.
pub fn frame_pack(bytes: &mut [u8]) {
    let Some(trailer) = bytes.len().checked_sub(20).filter(|at| *at >= 12) else { return };
    let count = u64::from_le_bytes(bytes[trailer..trailer + 8].try_into().unwrap());
    let size = if bytes[8..10] == [1, 0] { 24 } else { 32 };
    let len = usize::try_from(count).ok().and_then(|count| count.checked_mul(size));
    let Some(directory) = len.and_then(|len| trailer.checked_sub(len)) else { return };
    let (mut at, mut entry) = (12, directory);
    while entry < trailer {
        let len = u32::from_le_bytes(bytes[entry + 12..entry + 16].try_into().unwrap()) as usize;
        let Some(chunk) = bytes.get(at..at + len) else { break };
        let crc = crc32fast::hash(chunk);
        bytes[entry + 20..entry + 24].copy_from_slice(&crc.to_le_bytes());
        at += len;
        entry += size;
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[..12]);
    crc.update(&bytes[directory..trailer + 8]);
    bytes[trailer + 8..trailer + 12].copy_from_slice(&crc.finalize().to_le_bytes());
}

/// The last line of a mark.
pub fn mark(bytes: &mut Vec<u8>) {
    let Some(at) = bytes.windows(6).rposition(|window| window == b"check|") else { return };
    let crc = crc32fast::hash(&bytes[..at]);
    bytes.truncate(at);
    bytes.extend_from_slice(format!("check|{crc:08X}\n").as_bytes());
}

/// The cell of each line that holds the CRC32 of the others.
pub fn lines(bytes: &mut Vec<u8>, checksum_cell: usize) {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate().map(|(number, line)| {
        let end = if line.ends_with(b"\n") { &b"\n"[..] } else { b"" };
        let content = &line[..line.len() - end.len()];
        let mut cells: Vec<&[u8]> = content.split(|byte| *byte == b'|').collect();
        if number == 0 || cells.len() <= checksum_cell {
            return line.to_vec();
        }
        cells.remove(checksum_cell);
        let crc = format!("{:08X}", crc32fast::hash(&cells.join(&b'|')));
        cells.insert(checksum_cell, crc.as_bytes());
        [&cells.join(&b'|'), end].concat()
    });
    *bytes = lines.collect::<Vec<_>>().concat();
}
