//! Opens inputs and finds in them: streams, packets, the frame at an instant.

pub(crate) mod approach;
pub(crate) mod change;
pub(crate) mod clock;
pub(crate) mod frames;
pub(crate) mod glance;
pub(crate) mod head;
pub(crate) mod index;
pub(crate) mod open;
pub(crate) mod packets;
pub(crate) mod probe;
pub(crate) mod reader;
pub(crate) mod retries;
