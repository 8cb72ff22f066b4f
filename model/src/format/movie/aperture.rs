//! The clean aperture of movies and still pictures: the part that is shown (`clap`; ISO/IEC
//! 14496-12, 12.1.4).

use super::Fields;
use crate::media::movie::Aperture;

/// Reads the body of `clap`; `None` when it is cut short.
pub(super) fn aperture(body: &[u8]) -> Option<Aperture> {
    let mut fields = Fields(body);
    let lengths = [(fields.u32()?, fields.u32()?), (fields.u32()?, fields.u32()?)];
    let offsets = [(fields.i32()?, fields.u32()?), (fields.i32()?, fields.u32()?)];
    Some(Aperture::new(lengths, offsets))
}
