//! Parsers of container and codec headers: boxes, NAL units, and fields that libav reads only in
//! part.

pub mod codec_delay;
pub mod exif;
pub mod flv;
pub mod matroska;
pub mod movie;
pub mod mxf;
pub mod nal;
pub mod riff;
pub mod seek;
