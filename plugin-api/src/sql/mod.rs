//! What a cell means to SQL, and how such values compare: what queries and indices must agree on.

mod number;
mod decimal;
mod order;
mod cell;

pub use cell::{Affinity, CellValue};
pub use decimal::compare_decimals;
pub use number::Number;
pub use order::{Collation, encode, encode_beginning, just_behind};
