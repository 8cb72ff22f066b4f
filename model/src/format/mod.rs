//! Bytes of containers and codings: boxes, NAL units, and headers that libav knows in part.

pub mod exif;
pub mod flv;
pub mod matroska;
pub mod movie;
pub mod mxf;
pub mod nal;
pub mod riff;
pub mod seek;
