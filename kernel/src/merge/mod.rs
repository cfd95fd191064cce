//! What two sides made of one table, put together.
//!
//! Three tables meet. The *base* is what both sides began with; *ours* is what the database holds now; *theirs* is what
//! somebody wants it to hold: a transaction, a file that was edited, another frame. What only one side changed is taken
//! from it, cell by cell; where both changed a cell, each in another way, the merge driver of its column decides, or
//! a person does. Until then the cell stays as ours has it.
//!
//! Nothing here reads a file or knows a frame: tables go in, and what is to be committed comes out.

mod number;
mod types;
mod text;
mod json;
mod drivers;
mod conflict;
mod columns;
mod row;
mod schema;
mod lines;
mod table;
mod rewrite;

pub use columns::{Columns, Origins, Side, Sides, origins, then};
pub use conflict::{Conflict, ConflictKind, Conflicts};
pub use drivers::Drivers;
pub use number::Decimal;
pub use rewrite::{renamed, without_column, written_like};
pub use row::{CellRule, MergedRow, RowSides, Rows, row_json};
pub use schema::{SchemaSides, merge_schema, set_property};
pub use table::{MergedTable, Tables, cell_rules, check_key};
pub use types::fits;
