//! The streams that media is read from and written to.

use std::io::{Read, Seek, Write};

/// A stream that an input is read from.
pub trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// A stream that an output is written to.
pub trait WriteSeek: Write + Seek + Send {}
impl<T: Write + Seek + Send> WriteSeek for T {}
