//! Turns panics into errors.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::error::{Error, Result};

/// Runs `run`, and turns a panic into [`Error::Panicked`] with the name `stage`.
///
/// # Errors
/// Those of `run`, and [`Error::Panicked`].
pub fn guarded<T>(stage: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        Err(Error::Panicked { stage: stage.to_owned(), message: panic_text(&*panic) })
    })
}

/// The message of a panic; `no message` when it is not a string.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
