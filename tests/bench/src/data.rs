//! The table that is measured: eight columns, about 120 bytes a row.

use std::fmt::Write;

/// The header.
pub const HEADER: &str = "id,title,author,status,views,price,created,body\n";

/// A row, without its line end.
pub fn row(id: u64) -> String {
    let mix = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let status = ["draft", "published", "archived"][(mix >> 8) as usize % 3];
    let author = ["jane.doe", "max.mustermann", "li.wei", "ana.silva"][(mix >> 16) as usize % 4];
    format!(
        "{id},Title {:x} of a page,{author},{status},{},{}.{:02},20{:02}-{:02}-{:02},Body text {:016x} goes on {:08x}",
        mix >> 44,
        mix % 10_000,
        mix % 500,
        mix % 100,
        10 + mix % 16,
        1 + mix % 12,
        1 + mix % 28,
        mix,
        mix >> 32,
    )
}

/// A whole file.
pub fn csv(rows: u64) -> String {
    let mut text = String::with_capacity(rows as usize * 124);
    text.push_str(HEADER);
    for id in 0..rows {
        writeln!(text, "{}", row(id)).expect("a string takes everything");
    }
    text
}

/// Keys in an order that no cache foresees.
pub fn keys(rows: u64, count: usize) -> impl Iterator<Item = u64> {
    (0..count as u64).map(move |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % rows)
}
