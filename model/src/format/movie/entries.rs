//! Sample entries (`stsd`; ISO/IEC 14496-12, 8.5.2): how the samples of a track are coded.

use super::{Boxes, Code, Fields, Header, MAX_ITEMS, aperture::aperture, find, name};
use crate::media::movie::Aperture;

/// Sample entries of encrypted samples: by common encryption, or by the protection schemes before
/// it.
const ENCRYPTED: &[Code] = &[*b"encv", *b"enca", *b"enct", *b"encs", *b"drms", *b"drmi"];

/// Bytes of a visual sample entry before its boxes (ISO/IEC 14496-12, 12.1.3).
const VISUAL_FIELDS: usize = 78;

/// What the sample entries of a track state (`stsd`).
#[derive(Default)]
pub(super) struct SampleEntries {
    pub(super) names: Vec<String>,
    /// Whether any entry is one of encrypted samples.
    pub(super) encrypted: bool,
    /// Whether any two entries differ.
    pub(super) differ: bool,
    /// The clean aperture of the first entry: the part of the pictures that is shown.
    pub(super) aperture: Option<Aperture>,
}

impl SampleEntries {
    pub(super) fn read(stbl: &[u8]) -> Option<Self> {
        let Some(body) = find(stbl, &[b"stsd"]) else { return Some(Self::default()) };
        let mut fields = Fields(body.get(4..)?);
        let count = usize::try_from(fields.u32()?).ok()?;
        let found = || Boxes(fields.0).take(count.min(MAX_ITEMS));
        let names: Vec<_> = found().map(|(code, _)| name(code)).collect();
        let encrypted = found().any(|(code, body)| ENCRYPTED.contains(&code) || has_sinf(body));
        let differ = found().zip(found().skip(1)).any(|(one, next)| one != next);
        let first = found().next().and_then(|(_, body)| body.get(VISUAL_FIELDS..));
        let clap = first.and_then(|boxes| find(boxes, &[b"clap"]));
        let aperture = clap.and_then(aperture);
        (names.len() == count).then_some(Self { names, encrypted, differ, aperture })
    }
}

/// Whether a `sinf` box is anywhere in a sample entry. All of it is searched, since the number of
/// fields before its boxes depends on the handler and on the writer.
fn has_sinf(entry: &[u8]) -> bool {
    entry.windows(8).enumerate().any(|(at, window)| {
        Header::read(window).is_some_and(|header| {
            let left = (entry.len() - at) as u64;
            header.code == *b"sinf" && header.size.is_some_and(|size| size <= left)
        })
    })
}
