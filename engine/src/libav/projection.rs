//! Spherical mapping and stereoscopic packing: reads and writes this side data of streams.

use std::ffi::{c_char, c_int};

use ffi::AVPacketSideDataType::{AV_PKT_DATA_SPHERICAL, AV_PKT_DATA_STEREO3D};
use ffmpeg_sys_next as ffi;

use avocet_model::media::{Projection, Sphere, Stereo};

use super::{AvResult, allocated, c_string, describe, number_of, output, text};

/// libav's flag that says that the right view comes first.
const INVERTED: c_int = ffi::AV_STEREO3D_FLAG_INVERT as c_int;

// Declared with plain integers, since files may hold values that the generated enums lack.
unsafe extern "C" {
    #[link_name = "av_stereo3d_type_name"]
    fn packing_name(number: c_int) -> *const c_char;
    #[link_name = "av_spherical_projection_name"]
    fn mapping_name(number: c_int) -> *const c_char;
    fn av_spherical_from_name(name: *const c_char) -> c_int;
}

/// `AVSphericalMapping` of libavutil/spherical.h, which older bindings leave out. Its layout is the
/// same in FFmpeg 5.1 to 9.
#[derive(Clone, Copy)]
#[repr(C)]
struct SphericalMapping {
    projection: c_int,
    yaw: i32,
    pitch: i32,
    roll: i32,
    bound_left: u32,
    bound_top: u32,
    bound_right: u32,
    bound_bottom: u32,
    padding: u32,
}

/// Reads the projection from the side data of a stream.
///
/// # Safety
/// `stream` belongs to an open context.
pub(super) unsafe fn of(stream: *mut ffi::AVStream) -> Projection {
    // SAFETY: side data of these types holds the structs they are named for; enums are read as
    // numbers, and libav answers a static name for each.
    unsafe {
        let stereo = describe::side_data(stream, AV_PKT_DATA_STEREO3D).map(|data| {
            let data = data.cast::<ffi::AVStereo3D>();
            Stereo {
                packing: text(packing_name(number_of!((*data).type_))),
                inverted: (*data).flags & INVERTED != 0,
            }
        });
        let sphere = describe::side_data(stream, AV_PKT_DATA_SPHERICAL).map(|data| {
            let data = *data.cast::<SphericalMapping>();
            let mapping = text(mapping_name(data.projection));
            Sphere {
                mapping,
                turn: [data.yaw, data.pitch, data.roll],
                beyond: [data.bound_left, data.bound_top, data.bound_right, data.bound_bottom],
                padding: data.padding,
            }
        });
        Projection { stereo, sphere }
    }
}

/// Writes a projection into the side data of a new stream. Side data that came with the codec
/// parameters is removed where `projection` has `None`, and kept as it is otherwise, since it may
/// hold more fields.
///
/// # Safety
/// `stream` belongs to a live context whose header is not yet written.
pub(super) unsafe fn set(stream: *mut ffi::AVStream, projection: &Projection) -> AvResult<()> {
    // SAFETY: as promised by the caller. What libav allocates is freed once, after it was copied;
    // enums are written as numbers that libav has for the names.
    unsafe {
        match &projection.stereo {
            None => remove(stream, AV_PKT_DATA_STEREO3D),
            Some(_) if describe::side_data(stream, AV_PKT_DATA_STEREO3D).is_some() => {}
            Some(Stereo { packing, inverted }) => {
                let mut data = allocated(ffi::av_stereo3d_alloc())?.as_ptr();
                let number = ffi::av_stereo3d_from_name(c_string(packing).as_ptr()).max(0);
                (&raw mut (*data).type_).cast::<c_int>().write(number);
                (*data).flags = if *inverted { INVERTED } else { 0 };
                let added = output::add_side_data(stream, AV_PKT_DATA_STEREO3D, data.read());
                ffi::av_freep((&raw mut data).cast());
                added?;
            }
        }
        #[cfg(ffmpeg_7_1)]
        leave_eyes_out(stream);
        match &projection.sphere {
            None => remove(stream, AV_PKT_DATA_SPHERICAL),
            Some(_) if describe::side_data(stream, AV_PKT_DATA_SPHERICAL).is_some() => {}
            Some(Sphere { mapping, turn, beyond, padding }) => {
                let [yaw, pitch, roll] = *turn;
                let [bound_left, bound_top, bound_right, bound_bottom] = *beyond;
                let value = SphericalMapping {
                    projection: av_spherical_from_name(c_string(mapping).as_ptr()).max(0),
                    yaw,
                    pitch,
                    roll,
                    bound_left,
                    bound_top,
                    bound_right,
                    bound_bottom,
                    padding: *padding,
                };
                output::add_side_data(stream, AV_PKT_DATA_SPHERICAL, value)?;
            }
        }
    }
    Ok(())
}

/// Clears the view where all that is known is that both views are packed into one picture. Since
/// FFmpeg 7.1 such a view makes a `vexu` box, which states what the eyes see and not how views are
/// packed. Readers believe it instead of `st3d`, which states the packing.
///
/// # Safety
/// `stream` belongs to a live context whose header is not yet written.
#[cfg(ffmpeg_7_1)]
unsafe fn leave_eyes_out(stream: *mut ffi::AVStream) {
    // SAFETY: as promised by the caller; side data of this type holds the struct, which is ours to
    // write, as libav's own functions that answer it say.
    unsafe {
        let Some(data) = describe::side_data(stream, AV_PKT_DATA_STEREO3D) else { return };
        let data = data.cast_mut().cast::<ffi::AVStereo3D>();
        let eye = number_of!((*data).primary_eye);
        let disparity = (*data).horizontal_disparity_adjustment.num;
        let view = number_of!((*data).view);
        if view == ffi::AVStereo3DView::AV_STEREO3D_VIEW_PACKED as c_int
            && eye == ffi::AVStereo3DPrimaryEye::AV_PRIMARY_EYE_NONE as c_int
            && ((*data).baseline, disparity) == (0, 0)
        {
            (*data).view = ffi::AVStereo3DView::AV_STEREO3D_VIEW_UNSPEC;
        }
    }
}

/// Removes side data of one kind from a stream.
///
/// # Safety
/// `stream` belongs to a live context whose header is not yet written.
unsafe fn remove(stream: *mut ffi::AVStream, kind: ffi::AVPacketSideDataType) {
    // SAFETY: as promised by the caller; the list is as long as is said.
    #[cfg(ffmpeg_6_1)]
    unsafe {
        let coding = &mut *(*stream).codecpar;
        let count = &raw mut coding.nb_coded_side_data;
        ffi::av_packet_side_data_remove(coding.coded_side_data, count, kind);
    }
    // SAFETY: as promised by the caller. The stream has as many pieces as it says, each of which
    // owns its data; the last one takes the place of the one that goes.
    #[cfg(not(ffmpeg_6_1))]
    unsafe {
        let fields = &mut *stream;
        let count = usize::try_from(fields.nb_side_data).unwrap_or(0);
        let place = (0..count).find(|place| (*fields.side_data.add(*place)).type_ == kind);
        if let Some(place) = place {
            ffi::av_freep((&raw mut (*fields.side_data.add(place)).data).cast());
            fields.side_data.add(place).write(fields.side_data.add(count - 1).read());
            fields.nb_side_data -= 1;
        }
    }
}
