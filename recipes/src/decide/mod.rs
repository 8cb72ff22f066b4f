//! What is decided once for all recipes: streams, cuts, copies, sizes, colors, codecs.

pub(crate) mod choose;
pub(crate) mod container;
pub(crate) mod context;
pub(crate) mod copyable;
pub(crate) mod cost;
pub(crate) mod cut;
pub(crate) mod frames;
pub(crate) mod level;
pub(crate) mod limit;
pub(crate) mod losses;
pub(crate) mod picture;
pub(crate) mod projection;
pub(crate) mod samples;
pub(crate) mod select;
pub(crate) mod smart_cut;
pub(crate) mod sound;
pub(crate) mod video;
