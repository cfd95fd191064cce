//! `#[cached]`: a function of a program whose results ReedBase keeps.

#![forbid(unsafe_code)]

mod cached;

use proc_macro::TokenStream;

/// Keeps the results of a function: called again with the same values, it is not computed again.
///
/// The function takes the database first, by reference, and gives a `Result`. Its other values, and what it gives, go
/// through serde. A result holds
///
/// - for a time: `ttl`, in seconds, an hour if nothing is said;
/// - until a table changes that the function was seen to read through the handle it was given, or that it names:
///   `reads("orders", "customers")`.
///
/// What this program commits counts at once; what other processes commit after a millisecond at the latest, or as soon as the
/// program reads the database.
///
/// Errors are not kept. Of several threads that ask for the same at once, one computes. A result outlives the program, in the
/// folder `cache/functions`; when the text of the function changes, its old results count no more. What it calls may
/// change without being seen: then say `version = 2`.
///
/// ```ignore
/// #[reedbase::cached(ttl = 600, reads("orders"))]
/// fn revenue(db: &Database, city: &str) -> Result<f64> {
///     let sum = db.query_as::<f64>("SELECT total(amount) FROM orders WHERE city = ?", [city])?;
///     Ok(sum[0])
/// }
/// ```
#[proc_macro_attribute]
pub fn cached(arguments: TokenStream, item: TokenStream) -> TokenStream {
    cached::expand(arguments.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
