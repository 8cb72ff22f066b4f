//! Cases of clocks that start again, of joined files, and of uneven times.
