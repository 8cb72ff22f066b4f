//! Cases that were refused, or told wrongly, though they can be done.
