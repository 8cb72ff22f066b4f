//! Cases of streams that were chosen or shown wrongly.
