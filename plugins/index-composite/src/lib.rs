//! The index kind `composite`: several columns, in order. It finds equal values of the first columns, and a range or the
//! beginning of a text in the one behind them.
//!
//! The values of the columns stand one behind the other, and no value's bytes are the beginning of another's. So it is the
//! index of kind `btree` with longer values.

#![forbid(unsafe_code)]

use reedbase_plugin_index_btree::BTreeKind;

/// How many columns an index may have.
const COLUMNS_MAX: usize = 16;

/// The kind `composite`.
pub fn composite() -> BTreeKind {
    BTreeKind::named("composite", COLUMNS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_conforms() {
        reedbase_plugin_index_kit::conform(&composite());
    }
}
