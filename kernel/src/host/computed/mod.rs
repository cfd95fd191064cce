//! Tables that are in no file: what there is, and what was.

mod sheet;
mod computing;
mod present;
mod past;
mod compute;

pub(super) use compute::compute;
