//! The vocabulary of job documents (formats, codecs, parameters, codes), and the tree that a
//! document is read into.

pub(crate) mod codec;
pub(crate) mod error;
pub(crate) mod errors;
pub(crate) mod format;
pub(crate) mod nearest;
pub(crate) mod parameter;
pub(crate) mod reasons;
pub(crate) mod tree;
