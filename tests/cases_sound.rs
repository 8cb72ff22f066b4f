//! Cases of sound in containers without a clock, and the table of what is copied where.
