//! Projection metadata, which says how pictures are laid onto a sphere or hold two views: which
//! results can still carry it.
//!
//! It is kept whole or not at all: a sphere without its stereo packing would be shown wrong.

use avocet_model::{
    media::{Orientation, Projection, VideoInfo},
    plan::{Output, Reason, TrackKind},
};

use super::picture::Target;
use crate::words::format::Format;

/// Stereo packings that stay valid in a picture of another size.
const SCALABLE: [&str; 3] = ["2D", "side by side", "top and bottom"];

/// Spherical mappings that libavformat writes.
const WRITTEN: [&str; 3] = ["equirectangular", "cubemap", "tiled equirectangular"];

/// The projection that an encode keeps: none for a picture that is turned, cropped or padded, or
/// whose packing of views does not stay valid.
pub(crate) fn after_encode(video: &VideoInfo, target: &Target) -> Projection {
    let Projection { stereo, sphere } = &video.projection;
    let is_whole = target.frame.is_none() && video.orientation == Orientation::Upright;
    let is_scaled = (target.width.get(), target.height.get()) != (video.width, video.height);
    let views_stay = stereo.as_ref().is_none_or(|it| SCALABLE.contains(&it.packing.as_str()));
    // The padding is in pixels, so it does not stay valid in another size.
    let padding_stays = !is_scaled || sphere.as_ref().is_none_or(|sphere| sphere.padding == 0);
    let is_kept = is_whole && views_stay && padding_stays;
    if is_kept { video.projection.clone() } else { Projection::default() }
}

/// Whether libavformat writes this projection into a container.
pub(crate) fn fits(projection: &Projection, container: Format) -> bool {
    let Projection { stereo, sphere } = projection;
    let is_mp4 = container == Format::Mp4;
    let holds_any = is_mp4 || container.is_matroska();
    let holds_views = stereo.as_ref().is_none_or(|stereo| {
        SCALABLE.contains(&stereo.packing.as_str()) && !(is_mp4 && stereo.inverted)
    });
    let holds_sphere = sphere.as_ref().is_none_or(|it| WRITTEN.contains(&it.mapping.as_str()));
    holds_any && holds_views && holds_sphere
}

/// A notice when the result loses the projection of any of these sources.
pub(crate) fn notice<'a>(
    mut sources: impl Iterator<Item = &'a VideoInfo>,
    container: Format,
    output: &Output,
) -> Option<Reason> {
    if container.is_picture() {
        return None;
    }
    let mut tracks = output.tracks().iter();
    let track = tracks.find(|track| track.kind == TrackKind::Video)?;
    sources.any(|video| !video.projection.is_empty() && video.projection != track.projection).then(
        || {
            let message = "the result lacks the spherical or stereoscopic metadata of the input";
            Reason::new("PROJECTION_LEFT_OUT", message)
        },
    )
}
