//! Results of functions, remembered: the same call of the same function is not made twice.
//!
//! A result holds for a time, and for as long as the tables that it was made of stay as they are: those that the function
//! says it reads, and those that it was seen to read. What was computed outlives the process in `cache/functions/`. The cache
//! itself, which finds results and makes room for others, is a plugin.

mod value;
mod call;
mod depends;
mod entry;
mod file;
mod flight;
mod cache;

pub use cache::{Found, FunctionStat, Results};
pub use call::Call;
pub use value::{put_value, read_value};
