//! Smart cuts: a section is copied except for the pictures at its ends, which are encoded in the
//! same form (boundary encodes).

use std::num::NonZeroU32;

use avocet_model::{
    capabilities::Capabilities,
    format::nal::avc::{AvcSequence, AvcSets},
    index::{IndexedPacket, RandomAccess, StreamIndex},
    media::{Hdr, Scan, VideoInfo},
    plan::{CopiedRun, Encoder, FrameFormat, PictureFormat, Reason},
    time::{Rational, Timestamp},
};

use super::{
    cut::{Kept, as_shown},
    picture,
    select::Source,
    video,
};

/// Constant rate factor of boundary encodes. They are few, and should look like their neighbors.
const CRF: &str = "17";

/// The same for VP9 and AV1, whose scales end at 63.
const CRF_63: &str = "16";

/// Quantizer of boundary encodes in MPEG-2, in libav's units of lambda.
const MPEG2_QUALITY: u32 = 2 * 118;

/// The frame rates that MPEG-2 can express (ISO/IEC 13818-2, table 6-4).
const MPEG2_RATES: [(u32, u32); 8] =
    [(24_000, 1001), (24, 1), (25, 1), (30_000, 1001), (30, 1), (50, 1), (60_000, 1001), (60, 1)];

/// Seconds per picture where the rate is not known.
const USUAL_TICK: Rational = Rational { num: NonZeroU32::MIN, den: NonZeroU32::new(25).unwrap() };

/// The smart cut of a section: the encoder of its ends, and the run of packets that is copied. The
/// error says why there is none.
pub(crate) fn of_one(
    source: &Source<'_, VideoInfo>,
    capabilities: &Capabilities,
) -> Result<(Encoder, CopiedRun), Reason> {
    let (copied, encoder) = run_and_encoder(source, capabilities)?;
    copied.map(|copied| (encoder, copied))
}

/// As [`of_one`], for one of several sections. A section in which nothing can be copied is encoded
/// as a whole.
pub(crate) fn of_one_among(
    source: &Source<'_, VideoInfo>,
    capabilities: &Capabilities,
) -> Result<(Encoder, CopiedRun), Reason> {
    let (copied, encoder) = run_and_encoder(source, capabilities)?;
    let at = |ticks| Timestamp::new(ticks, source.stream.time_base);
    let copied = copied.or_else(|why| {
        let (Some((_, kept)), Some(index)) = (source.section, source.index) else {
            return Err(why);
        };
        let is_in = |pts: &i64| kept.holds(at(*pts));
        let times: Vec<i64> = index.shown().map(|(pts, _)| pts).filter(is_in).collect();
        if !times.iter().any(|pts| at(*pts) == kept.first) {
            return Err(why);
        }
        let pictures = times.len() as u64;
        Ok(CopiedRun {
            keyframe_pts: None,
            end_pts: None,
            tail_keyframe_pts: None,
            delay: 0,
            pictures,
        })
    })?;
    Ok((encoder, copied))
}

/// The run of packets that can be copied, or why there is none, and the encoder of the rest.
fn run_and_encoder(
    source: &Source<'_, VideoInfo>,
    capabilities: &Capabilities,
) -> Result<(Result<CopiedRun, Reason>, Encoder), Reason> {
    let (Some((_, kept)), Some(index)) = (source.section, source.index) else {
        return Err(refused("it has no packet index"));
    };
    let form = Form::of(source, capabilities)?;
    Ok((run_of(source, index, &kept, &form), form.encoder(source)))
}

/// The reason of the plan that encodes after a smart cut failed.
pub(crate) fn failed() -> Reason {
    refused("the smart cut failed")
}

fn refused(message: impl Into<String>) -> Reason {
    Reason::new("SEAM_NOT_COPYABLE", message)
}

/// The encoder and the options that match the form of a stream.
struct Form {
    encoder: &'static str,
    options: Vec<(&'static str, String)>,
    /// Whether copied packets may begin at a keyframe of an open GOP, without its leading pictures,
    /// which are decoded after it and shown before it.
    drops_leading: bool,
}

impl Form {
    fn of(source: &Source<'_, VideoInfo>, capabilities: &Capabilities) -> Result<Self, Reason> {
        if source.info.needs_dolby_vision() {
            return Err(refused("the encoded ends would lack the metadata of Dolby Vision"));
        }
        let form = match source.stream.codec.as_str() {
            "h264" => Self::avc(source)?,
            "hevc" => Self {
                encoder: "libx265",
                options: vec![
                    ("crf", CRF.to_owned()),
                    ("preset", "ultrafast".to_owned()),
                    // Each picture is a keyframe in a single slice, since the IDs in its slice
                    // header are rewritten.
                    (
                        "x265-params",
                        video::x265_parameters(&source.info.hdr)
                            + ":keyint=1:wpp=0:slices=1:info=0",
                    ),
                ],
                drops_leading: true,
            },
            "vp9" => Self {
                encoder: "libvpx-vp9",
                options: vec![
                    ("crf", CRF_63.to_owned()),
                    ("cpu-used", "4".to_owned()),
                    ("deadline", "good".to_owned()),
                    ("row-mt", "1".to_owned()),
                    // There are no hidden reference pictures, and the encoder has no delay.
                    ("auto-alt-ref", "0".to_owned()),
                    ("lag-in-frames", "0".to_owned()),
                ],
                drops_leading: false,
            },
            "av1" => Self {
                encoder: "libsvtav1",
                options: vec![("crf", CRF_63.to_owned()), ("preset", "8".to_owned())],
                drops_leading: false,
            },
            "mpeg2video" => Self {
                encoder: "mpeg2video",
                options: vec![
                    ("flags", format!("+qscale{}", fields(source.info))),
                    ("global_quality", MPEG2_QUALITY.to_string()),
                    ("g", "600".to_owned()),
                    ("bf", "0".to_owned()),
                ],
                drops_leading: true,
            },
            codec => return Err(refused(format!("smart cuts of {codec} are not supported"))),
        };
        if !capabilities.has_encoder(form.encoder) {
            return Err(refused(format!("this build has no encoder `{}`", form.encoder)));
        }
        Ok(form)
    }

    /// The form for H.264: its parameter sets get an ID that those of the source do not have.
    fn avc(source: &Source<'_, VideoInfo>) -> Result<Self, Reason> {
        let sets = AvcSets::read(&source.stream.extradata);
        let sets = sets.ok_or_else(|| refused("it has no parameter sets outside its packets"))?;
        let unreadable = || refused("its parameter sets can not be read");
        let sequences = sets.sequences().ok_or_else(unreadable)?;
        // Of several parameter sets, the one of the highest profile counts: a result that is cut
        // once more also has those of its boundary encodes.
        let highest = sequences.iter().max_by_key(|set| set.profile).ok_or_else(unreadable)?;
        let shape =
            |set: &AvcSequence| (set.chroma, set.depth, set.macroblocks, set.crop, set.progressive);
        if sequences.iter().any(|set| shape(set) != shape(highest)) {
            return Err(refused("its parameter sets differ in size, format, crop or scan"));
        }
        // On several threads, libavcodec damages lossless pictures that follow others.
        if sequences.iter().any(|set| set.lossless) {
            return Err(refused("it is coded losslessly"));
        }
        if highest.chroma == 0 {
            return Err(refused("it is grayscale, which its encoded ends would not be"));
        }
        if highest.depth.0 != highest.depth.1 {
            return Err(refused("luma and chroma differ in bit depth"));
        }
        let id = sets.free_id().ok_or_else(|| refused("no parameter set id is free"))?;
        let references = sequences.iter().map(|set| set.references).max().unwrap_or(0);
        let mut options = vec![
            ("crf", CRF.to_owned()),
            ("preset", "ultrafast".to_owned()),
            ("x264-params", format!("sps-id={id}")),
            // Pictures are not reordered, and only the first one is a keyframe.
            ("bf", "0".to_owned()),
            ("g", "600".to_owned()),
            ("refs", references.clamp(1, 3).to_string()),
        ];
        match highest.profile {
            66 => options.push(("profile", "baseline".to_owned())),
            77 => options.push(("profile", "main".to_owned())),
            88 => return Err(refused("the Extended profile can not be encoded")),
            _ => {}
        }
        if !highest.progressive {
            options.push(("flags", fields(source.info).to_owned()));
        }
        options.retain(|(_, value)| !value.is_empty());
        Ok(Self { encoder: "libx264", options, drops_leading: false })
    }

    fn encoder(self, source: &Source<'_, VideoInfo>) -> Encoder {
        let video = source.info;
        let side = |side: u32| picture::whole(f64::from(side));
        let frame_rate = match self.encoder {
            "mpeg2video" => video.frame_rate.and_then(nearest_mpeg2_rate),
            _ => video.frame_rate,
        };
        Encoder {
            name: self.encoder.to_owned(),
            bit_rate: None,
            options: self.options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            keyframe_each_second: false,
            format: FrameFormat::Video(PictureFormat {
                width: side(video.width),
                height: side(video.height),
                pixel_aspect: video.pixel_aspect,
                pixel_format: video
                    .pixel_format
                    .as_ref()
                    .map_or_else(String::new, |format| format.name.clone()),
                // Pictures are only counted, so a tick is the duration of one.
                time_base: frame_rate.map_or(USUAL_TICK, Rational::inverse),
                frame_rate,
                color: video.color.clone(),
                hdr: Hdr::default(),
            }),
        }
    }
}

/// The rate that MPEG-2 can express and that is nearest to another.
fn nearest_mpeg2_rate(rate: Rational) -> Option<Rational> {
    let rates = MPEG2_RATES.into_iter().filter_map(|(num, den)| Rational::new(num, den));
    let distance = |other: &Rational| (other.as_f64() - rate.as_f64()).abs();
    rates.min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// The flags that make an encoder code fields; empty for a source that is not interlaced.
fn fields(video: &VideoInfo) -> &'static str {
    if video.scan == Scan::Interlaced { "+ildct+ilme" } else { "" }
}

/// The longest run of packets that can be copied; the pictures before and after it are encoded.
fn run_of(
    source: &Source<'_, VideoInfo>,
    index: &StreamIndex,
    kept: &Kept,
    form: &Form,
) -> Result<CopiedRun, Reason> {
    let drops_leading = form.drops_leading;
    let at = |ticks| Timestamp::new(ticks, source.stream.time_base);
    let packets = &index.packets;
    let times: Option<Vec<i64>> = packets.iter().map(|packet| packet.pts).collect();
    let times = times.ok_or_else(|| refused("not every packet has a presentation time"))?;
    let is_in = |pts: i64| kept.holds(at(pts));
    let wanted = |place: &usize| !packets[*place].hidden && is_in(times[*place]);
    let all: Vec<usize> = (0..packets.len()).filter(wanted).collect();
    if !all.iter().any(|place| at(times[*place]) == kept.first) {
        return Err(refused("the picture on screen at the start of the section begins before it"));
    }
    let is_entry = |packet: &IndexedPacket| match packet.entry {
        RandomAccess::ClosedGop => true,
        RandomAccess::OpenGop => drops_leading,
        RandomAccess::None => false,
    };
    // The earliest PTS from each packet on, and the latest PTS up to each packet.
    let mut earliest_from = times.clone();
    (0..times.len().saturating_sub(1)).rev().for_each(|place| {
        earliest_from[place] = earliest_from[place].min(earliest_from[place + 1]);
    });
    let mut latest_to = times.clone();
    (1..times.len())
        .for_each(|place| latest_to[place] = latest_to[place].max(latest_to[place - 1]));
    let is_start = |place: &usize| {
        let (place, pts) = (*place, times[*place]);
        let leads = times[place + 1..].iter().take_while(|other| **other < pts).count();
        let after = earliest_from.get(place + 1 + leads).is_none_or(|earliest| *earliest > pts);
        let before = place == 0 || latest_to[place - 1] < pts;
        let may_lead = leads == 0 || drops_leading;
        is_entry(&packets[place]) && after && before && may_lead
    };
    let first = all.iter().copied().find(is_start);
    let first =
        first.ok_or_else(|| refused("no closed group of pictures begins in the section"))?;
    let keyframe_pts = times[first];
    // The leading pictures of the keyframe are encoded.
    let leading = |place: &usize| *place > first && times[*place] < keyframe_pts;
    let run = (first..times.len()).filter(|place| !leading(place));
    let run: Vec<usize> =
        run.take_while(|place| is_in(times[*place]) && !packets[*place].hidden).collect();
    let mut latest = i64::MIN;
    let mut ends = 0;
    for (count, place) in run.iter().enumerate() {
        latest = latest.max(times[*place]);
        if earliest_from.get(place + 1).is_none_or(|earliest| *earliest > latest) {
            ends = count + 1;
        }
    }
    let Some(run) = run.get(..ends).filter(|run| !run.is_empty()) else {
        return Err(refused("no group of pictures in the section can be copied"));
    };
    let end = run.last().map_or(first, |last| last + 1);
    let end_pts = earliest_from.get(end).copied().filter(|earliest| is_in(*earliest));
    let tail_keyframe = run.iter().rev().find(|place| packets[**place].entry != RandomAccess::None);
    let delay = |place: (&i64, &usize)| place.0 - times[*place.1];
    let sorted = as_shown(run.iter().map(|place| times[*place]))?;
    Ok(CopiedRun {
        keyframe_pts: Some(at(keyframe_pts)),
        end_pts: end_pts.map(at),
        tail_keyframe_pts: tail_keyframe
            .filter(|_| end_pts.is_some())
            .map(|place| at(times[*place])),
        delay: sorted.iter().zip(run).map(delay).max().unwrap_or(0).max(0),
        pictures: all.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_mpeg2_are_the_nearest_it_can_tell() {
        for (rate, nearest) in
            [((2997, 100), (30_000, 1001)), ((6250, 249), (25, 1)), ((15, 1), (24_000, 1001))]
        {
            let of = |(num, den): (u32, u32)| Rational::new(num, den);
            assert_eq!(of(rate).and_then(nearest_mpeg2_rate), of(nearest), "{rate:?}");
        }
    }
}
