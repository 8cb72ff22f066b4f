//! Size, shape, rotation, scan and color of pictures, as filters.

use std::num::NonZeroU32;

use avocet_model::{
    capabilities::Capabilities,
    error::{Error, Result},
    location::Location,
    media::{Color, Crop, Orientation, Scan, StreamInfo, VideoInfo},
};

use super::{context::expect_filter, video::Size};

/// The luminance of diffuse white in high dynamic range, in cd/m² (ITU-R BT.2408).
const HDR_WHITE: f64 = 203.0;

/// The range that the stated peak luminance is clamped to, in cd/m², since metadata is often wrong.
const HDR_PEAK: std::ops::RangeInclusive<f64> = 400.0..=4000.0;

/// The peak luminance that is assumed where none is stated, in cd/m².
const HDR_USUAL_PEAK: f64 = 1000.0;

/// The pictures that the filters produce.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Width of the upright picture, in pixels.
    pub(crate) width: NonZeroU32,
    /// Height of the upright picture, in pixels.
    pub(crate) height: NonZeroU32,
    /// libav's name of the pixel format.
    pub(crate) pixel_format: String,
    /// Color properties; `matrix` is `None` for red, green and blue.
    pub(crate) color: Color,
    /// Whether high dynamic range is mapped to standard.
    pub(crate) tone_map: bool,
    /// How a picture of another shape is padded or cropped; `None` where it is stretched to this
    /// size.
    pub(crate) frame: Option<Framed>,
    /// Whether values are rounded to the nearest and chroma is interpolated for RGB, which takes up to
    /// ten times as long.
    pub(crate) precise: bool,
}

impl Target {
    /// The size that the upright picture is scaled to, in pixels.
    fn scaled(&self) -> (NonZeroU32, NonZeroU32) {
        self.frame.map_or((self.width, self.height), |frame| (frame.width, frame.height))
    }
}

/// A picture that is scaled to one size, and then padded or cropped to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Framed {
    /// Width that the upright picture is scaled to, in pixels.
    pub(crate) width: NonZeroU32,
    /// Height that the upright picture is scaled to, in pixels.
    pub(crate) height: NonZeroU32,
    /// Whether the rest is filled with black; otherwise what is too much is cropped.
    pub(crate) pad: bool,
}

/// Filters, and what they need of the frames.
#[derive(Clone, Debug)]
pub(crate) struct Filters {
    /// The graph, in libavfilter's notation.
    pub(crate) text: String,
    /// Whether they look at the frames before and after.
    pub(crate) neighbors: bool,
}

/// The colors of a source, with assumptions for what it does not state.
///
/// An untagged source is BT.709 when it is at least 1280 wide or 720 high, else BT.601. It is
/// limited range, except for red, green and blue and for gray, which are full.
pub(crate) fn source_color(video: &VideoInfo) -> Color {
    let is_rgb = is_rgb(video);
    let said = &video.color;
    let is_hd = video.width >= 1280 || video.height >= 720;
    let is_625 = !is_hd && (video.height == 576 || video.height == 288);
    let guess = |hd: &str, sd_625: &str, sd: &str| {
        Some(
            if is_hd {
                hd
            } else if is_625 {
                sd_625
            } else {
                sd
            }
            .to_owned(),
        )
    };
    // Where one of matrix and primaries is BT.2020 or BT.709, the other most probably is, too.
    let family = said.matrix.as_deref().or(said.primaries.as_deref());
    let from_family = match family {
        Some("bt2020nc" | "bt2020c" | "bt2020") => Some("bt2020"),
        Some("bt709") => Some("bt709"),
        _ => None,
    };
    let matrix =
        said.matrix.clone().filter(|matrix| matrix != "gbr" && !is_rgb).or_else(
            || match from_family {
                Some("bt2020") => Some("bt2020nc".to_owned()),
                Some(family) => Some(family.to_owned()),
                None => guess("bt709", "bt470bg", "smpte170m"),
            },
        );
    let primaries = said.primaries.clone().or_else(|| {
        from_family.map(str::to_owned).or_else(|| guess("bt709", "bt470bg", "smpte170m"))
    });
    let transfer = said.transfer.clone().or_else(|| guess("bt709", "smpte170m", "smpte170m"));
    let is_full = match said.range.as_deref() {
        Some(range) => is_rgb || range == "pc",
        None => is_rgb || is_gray(video),
    };
    let range = Some(if is_full { "pc" } else { "tv" }.to_owned());
    Color { range, matrix, primaries, transfer }
}

/// BT.709, limited range: what standard dynamic range is encoded as after tone mapping.
pub(crate) fn bt709() -> Color {
    let name = || Some("bt709".to_owned());
    Color { range: Some("tv".into()), matrix: name(), primaries: name(), transfer: name() }
}

fn is_rgb(video: &VideoInfo) -> bool {
    video.pixel_format.as_ref().is_some_and(|pixels| pixels.rgb || pixels.name == "pal8")
}

fn is_gray(video: &VideoInfo) -> bool {
    let name = video.pixel_format.as_ref().map_or("", |pixels| pixels.name.as_str());
    ["gray", "ya8", "ya16"].iter().any(|gray| name.starts_with(gray))
}

/// Fits a picture into a box, keeping its shape, never enlarged; in pixels, not yet rounded.
pub(crate) fn fit(
    (width, height): (f64, f64),
    max_width: Option<NonZeroU32>,
    max_height: Option<NonZeroU32>,
) -> (f64, f64) {
    let scale =
        |side: f64, most: Option<NonZeroU32>| most.map_or(1.0, |most| f64::from(most.get()) / side);
    let factor = scale(width, max_width).min(scale(height, max_height)).min(1.0);
    (width * factor, height * factor)
}

/// The size of `webReady` and `proxy`: a box where one is given, 1280×720 turned as the picture is
/// where only that is asked for.
pub(crate) fn web_size(
    scale_down: bool,
    width: Option<NonZeroU32>,
    height: Option<NonZeroU32>,
    video: &VideoInfo,
) -> Size {
    if !scale_down || width.is_some() || height.is_some() {
        return Size::Within { width, height };
    }
    let (long, short) = (NonZeroU32::new(1280), NonZeroU32::new(720));
    let (shown_width, shown_height) = video.shown_size();
    if shown_height > shown_width {
        Size::Within { width: short, height: long }
    } else {
        Size::Within { width: long, height: short }
    }
}

/// The nearest whole number of pixels, at least one.
pub(crate) fn whole(side: f64) -> NonZeroU32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    NonZeroU32::new(side.round() as u32).unwrap_or(NonZeroU32::MIN)
}

/// The nearest even number of pixels, at least two.
pub(crate) fn even(side: f64) -> NonZeroU32 {
    whole(side / 2.0).saturating_mul(const { NonZeroU32::new(2).unwrap() })
}

/// The largest even number of pixels that is not larger, at least two.
pub(crate) fn even_below(side: f64) -> NonZeroU32 {
    // A small amount makes up for rounding errors.
    even((side / 2.0 + 1e-6).floor() * 2.0)
}

/// Codecs whose decoded frames state whether they are interlaced.
const TELLS_FIELDS: [&str; 11] = [
    "mpeg1video",
    "mpeg2video",
    "h264",
    "hevc",
    "mpeg4",
    "vc1",
    "wmv3",
    "dvvideo",
    "prores",
    "dnxhd",
    "ffv1",
];

/// Codecs whose decoded frames state it in some cases, or in some containers.
const MAY_TELL_FIELDS: [&str; 3] = ["huffyuv", "rawvideo", "mjpeg"];

/// Whether frames of a stream may be interlaced, so that a deinterlacer must look at them.
pub(crate) fn may_be_interlaced(stream: &StreamInfo, video: &VideoInfo) -> bool {
    let codec = stream.codec.as_str();
    match video.scan {
        // The deinterlacer refuses smaller pictures, in which interlacing would not be visible
        // anyway.
        _ if video.width < 4 || video.height < 4 => false,
        Scan::Interlaced => true,
        Scan::Progressive => false,
        Scan::Unknown => TELLS_FIELDS.contains(&codec) || MAY_TELL_FIELDS.contains(&codec),
    }
}

/// The deinterlacer: for frames that are flagged as interlaced, or for all where only the container
/// states it.
fn deinterlacing(stream: &StreamInfo, video: &VideoInfo) -> String {
    let by_container =
        video.scan == Scan::Interlaced && !TELLS_FIELDS.contains(&stream.codec.as_str());
    let (parity, which) = match (by_container, video.top_field_first) {
        (false, _) => ("auto", "interlaced"),
        // Where the field order is not stated, the top field is taken as the first, as in most
        // media except DV.
        (true, None | Some(true)) => ("tff", "all"),
        (true, Some(false)) => ("bff", "all"),
    };
    format!("bwdif=mode=send_frame:parity={parity}:deint={which}")
}

/// The filters that turn a source into `target`: deinterlaced where frames are flagged, tone mapped
/// when asked for, in size, shape and color, and upright.
///
/// # Errors
/// [`Error::Unsupported`] for Dolby Vision whose base layer other decoders can not show;
/// [`Error::Absent`] where a filter is missing.
pub(crate) fn filters(
    location: &Location,
    stream: &StreamInfo,
    video: &VideoInfo,
    target: &Target,
    capabilities: &Capabilities,
) -> Result<Filters> {
    if let Some(dolby) = video.dolby_vision.filter(|_| video.needs_dolby_vision()) {
        let found = format!(
            "Dolby Vision profile {}, whose base layer has no standard colors",
            dolby.profile
        );
        return Err(Error::Unsupported { location: location.clone(), found });
    }
    let mut chain = Vec::new();
    let neighbors = may_be_interlaced(stream, video);
    if neighbors {
        expect_filter(capabilities, "bwdif")?;
        chain.push(deinterlacing(stream, video));
    }
    if !video.crop.is_empty() {
        let (VideoInfo { width, height, .. }, Crop { left, top, .. }) = (video, video.crop);
        chain.push(format!("crop=w={width}:h={height}:x={left}:y={top}:exact=1"));
    }
    let source = source_color(video);
    let mut color = source.clone();
    if is_gray(video) && source.range.as_deref() == Some("tv") {
        // swscale takes gray for full range. So the picture gets chroma planes, with the same
        // sample values.
        let depth = video.pixel_format.as_ref().map_or(8, |pixels| pixels.depth);
        let deep = match depth {
            ..=8 => "",
            9 | 10 => "10le",
            11 | 12 => "12le",
            _ => "16le",
        };
        chain.push(format!("scale=in_range=pc:out_range=pc,format=yuv420p{deep}"));
    }
    if target.tone_map {
        expect_filter(capabilities, "zscale")?;
        expect_filter(capabilities, "tonemap")?;
        chain.extend(full_chroma(video));
        chain.push(tone_mapping(video, &source));
        color = bt709();
    } else if target.color.primaries.is_some() && is_wide(&source) != is_wide(&target.color) {
        expect_filter(capabilities, "zscale")?;
        chain.extend(full_chroma(video));
        chain.push(gamut_change(&source, &target.color));
        color = Color { range: source.range, ..target.color.clone() };
    }
    let mut is_done = false;
    if let Some((turn, turned)) = matrix_change(video, target, &color, capabilities) {
        let limited = Target { color: color.clone(), ..target.clone() };
        chain.push(scaling(video, &limited, &color));
        chain.push(format!("format={PLAIN},{turn}"));
        is_done = target.pixel_format == PLAIN && turned.range == target.color.range;
        color = turned;
    }
    if !is_done {
        chain.push(scaling(video, target, &color));
        chain.push(format!("format={}", target.pixel_format));
    }
    chain.extend(turning(video.orientation).map(str::to_owned));
    let Target { width, height, .. } = target;
    chain.extend(target.frame.map(|frame| {
        if frame.pad {
            format!("pad=w={width}:h={height}:x=(ow-iw)/2:y=(oh-ih)/2:color=black")
        } else {
            format!("crop=w={width}:h={height}:x=(iw-ow)/2:y=(ih-oh)/2:exact=1")
        }
    }));
    chain.push("setsar=1".to_owned());
    Ok(Filters { text: chain.join(","), neighbors })
}

/// The filters that bring a subsampled picture with an odd side to full chroma: zscale refuses an
/// odd side with subsampled chroma. `None` where that is not needed.
fn full_chroma(video: &VideoInfo) -> Option<String> {
    let is_full = video.pixel_format.as_ref().is_some_and(|it| it.chroma_shift == (0, 0));
    let filters = "scale=flags=bicubic+accurate_rnd,format=yuv444p16";
    (has_odd_side(video) && !is_full).then(|| filters.to_owned())
}

const fn has_odd_side(video: &VideoInfo) -> bool {
    video.width % 2 == 1 || video.height % 2 == 1
}

/// Maps high dynamic range to BT.709, through linear light in which 1 is diffuse white. The integer
/// format clamps the result to 0 and 1, since releases of zimg treat values beyond differently.
fn tone_mapping(video: &VideoInfo, source: &Color) -> String {
    let stated = video
        .hdr
        .light
        .map(|light| f64::from(light.max_content))
        .filter(|peak| *peak > 0.0)
        .or(video.hdr.mastering.map(|display| f64::from(display.max_luminance) / 10_000.0))
        .filter(|peak| *peak > 0.0)
        .unwrap_or(HDR_USUAL_PEAK);
    let peak = stated.clamp(*HDR_PEAK.start(), *HDR_PEAK.end()) / HDR_WHITE;
    format!(
        "zscale=tin={}:min={}:pin={}:rin={}:t=linear:npl={HDR_WHITE},format=gbrpf32le,\
         zscale=p=bt709,tonemap=tonemap=mobius:desat=0:peak={peak:.3},\
         format=gbrp16le,zscale=t=bt709:m=bt709:p=bt709:r=tv,format={}",
        zimg_name(source.transfer.as_deref()),
        zimg_name(source.matrix.as_deref()),
        zimg_name(source.primaries.as_deref()),
        source.range.as_deref().unwrap_or("tv"),
        if has_odd_side(video) { "yuv444p" } else { PLAIN },
    )
}

/// Whether the primaries are those of a wide gamut (BT.2020).
fn is_wide(color: &Color) -> bool {
    color.primaries.as_deref() == Some("bt2020")
}

/// Converts colors of one gamut into another, in standard dynamic range.
fn gamut_change(from: &Color, to: &Color) -> String {
    let name = |color: &Option<String>| zimg_name(color.as_deref()).to_owned();
    let range = from.range.as_deref().unwrap_or("tv");
    format!(
        "zscale=min={}:m={}:pin={}:p={}:tin={}:t={}:rin={range}:r={range}",
        name(&from.matrix),
        name(&to.matrix),
        name(&from.primaries),
        name(&to.primaries),
        name(&from.transfer),
        name(&to.transfer),
    )
}

/// zscale's name for one of libav's color names; `input` for one that is not stated.
fn zimg_name(name: Option<&str>) -> &str {
    match name {
        Some("bt2020nc") => "2020_ncl",
        Some("bt2020c") => "2020_cl",
        Some("bt2020") => "2020",
        Some("bt709") => "709",
        Some(name) => name,
        None => "input",
    }
}

/// The largest factor by which a side is scaled down with a cubic filter.
const MAX_CUBIC: u32 = 32;

/// The pixel format whose matrix is changed without a conversion to red, green and blue.
const PLAIN: &str = "yuv420p";

/// The filter that changes the matrix of a picture in limited range, and the colors after it;
/// `None` where it can not be used. swscale would convert to red, green and blue in between, which
/// is twice as slow.
fn matrix_change(
    video: &VideoInfo,
    target: &Target,
    color: &Color,
    capabilities: &Capabilities,
) -> Option<(String, Color)> {
    let name = |color: &Color| color.matrix.as_deref().and_then(swscale_name).map(str::to_owned);
    let (from, to) = (name(color)?, name(&target.color)?);
    let is_plain = matches!(target.pixel_format.as_str(), "yuv420p" | "yuvj420p");
    let is_limited = color.range.as_deref() == Some("tv") && !is_rgb(video);
    // The filter works on two by two pixels, and writes past the end of an odd side.
    let (width, height) = target.scaled();
    let is_even = width.get().is_multiple_of(2) && height.get().is_multiple_of(2);
    let fits = from != to && is_plain && is_limited && is_even && !target.tone_map;
    if !fits || !capabilities.has_filter("colormatrix") {
        return None;
    }
    let turned = Color { matrix: target.color.matrix.clone(), ..color.clone() };
    Some((format!("colormatrix={from}:{to}"), turned))
}

/// Scales to size and converts colors, in one pass; sides are those before the picture is turned.
fn scaling(video: &VideoInfo, target: &Target, color: &Color) -> String {
    let upright = target.scaled();
    let (width, height) =
        if video.orientation.swaps_sides() { (upright.1, upright.0) } else { upright };
    // Full chroma in between is of no use to a result with subsampled chroma.
    let is_rgb_wanted = target.color.matrix.is_none();
    let care = if !target.precise {
        ""
    } else if is_rgb_wanted {
        "+accurate_rnd+full_chroma_int+full_chroma_inp"
    } else {
        "+accurate_rnd"
    };
    // swscale can not hold more lines for a cubic filter.
    let is_extreme = |from: u32, to: NonZeroU32| from / to > MAX_CUBIC;
    let is_extreme = is_extreme(video.width, width) || is_extreme(video.height, height);
    let kernel = match (is_extreme, target.precise) {
        (true, _) => "area",
        (false, true) => "bicubic",
        (false, false) => "bilinear",
    };
    let mut text = format!("scale=w={width}:h={height}:flags={kernel}{care}");
    let from = color.matrix.as_deref().and_then(swscale_name);
    let to = target.color.matrix.as_deref().and_then(swscale_name);
    // Both matrices are stated. Since FFmpeg 7.0, one that is not stated is taken from the first
    // frame of the chain, whatever the filters in between did. None is stated where nothing is to
    // be done, since FFmpeg 5.1 would copy each picture for it.
    let is_rgb = is_rgb(video) && !target.tone_map;
    let is_same = (video.width, video.height) == (width.get(), height.get())
        && video.pixel_format.as_ref().is_some_and(|it| it.name == target.pixel_format)
        && *color == source_color(video)
        && color.range == target.color.range
        && from == to;
    if !is_same {
        let said =
            |name, matrix: Option<&str>| matrix.map(|it| format!(":{name}_color_matrix={it}"));
        text.extend(said("in", from.filter(|_| !is_rgb)));
        text.extend(said("out", to));
    }
    if color.range != target.color.range || is_gray(video) {
        let name = |range: &Option<String>| range.clone().unwrap_or_else(|| "tv".to_owned());
        text +=
            &format!(":in_range={}:out_range={}", name(&color.range), name(&target.color.range));
    }
    text
}

/// swscale's name for a matrix; `None` for those it does not know.
fn swscale_name(matrix: &str) -> Option<&str> {
    match matrix {
        "bt709" => Some("bt709"),
        "smpte170m" | "bt470bg" => Some("bt601"),
        "fcc" => Some("fcc"),
        "smpte240m" => Some("smpte240m"),
        "bt2020nc" | "bt2020c" => Some("bt2020"),
        _ => None,
    }
}

/// The filter that turns a picture upright.
fn turning(orientation: Orientation) -> Option<&'static str> {
    match orientation {
        Orientation::Upright | Orientation::Skewed => None,
        Orientation::Clockwise => Some("transpose=clock"),
        Orientation::HalfTurn => Some("hflip,vflip"),
        Orientation::CounterClockwise => Some("transpose=cclock"),
        Orientation::FlipLeftRight => Some("hflip"),
        Orientation::FlipTopBottom => Some("vflip"),
        Orientation::Transpose => Some("transpose=cclock_flip"),
        Orientation::AntiTranspose => Some("transpose=clock_flip"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_keeps_the_shape_and_never_enlarges() {
        let side = NonZeroU32::new;
        assert_eq!(fit((1920.0, 1080.0), side(640), None), (640.0, 360.0));
        assert_eq!(fit((1920.0, 1080.0), side(640), side(180)), (320.0, 180.0));
        assert_eq!(fit((320.0, 180.0), side(640), side(640)), (320.0, 180.0));
    }

    #[test]
    fn sides_become_even_by_the_nearest_way() {
        let check = |side, expected| assert_eq!(even(side).get(), expected);
        check(404.9, 404);
        check(405.0, 406);
        check(406.9, 406);
        check(1.0, 2);
        check(0.2, 2);
    }
}
