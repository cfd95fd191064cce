//! What the integration tests and the fuzz targets share.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails should say so at once"
)]

pub mod seal;
pub mod seeds;
pub mod decoders;
