//! Frames at random times of real clips, compared with a full decode from the start.

use std::path::Path;

use avocet::{
    CancelToken, Engine, Source,
    engine::ProbeOptions,
    media::{MediaInfo, Timestamp},
    recipes::{FrameQuery, FrameTimes},
};
use fixtures::judge;

use crate::support::watched;

/// The least structural similarity (SSIM) of a frame to that of a full decode.
const ALIKE: f64 = 0.97;

/// The width of the compared frames, in pixels.
const WIDTH: u32 = 160;

#[test]
fn pictures_at_random_times_are_those_of_a_full_decode() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let count = if fixtures::soak() { 200 } else { 6 };
    let clips = fixtures::media_clips!();
    let mut wrong = Vec::new();
    let clips = fixtures::case("cockatoo.mp4").into_iter().chain(clips);
    for clip in fixtures::sample(clips, 5) {
        let name = clip.file_name().unwrap().to_string_lossy().into_owned();
        wrong.extend(watched(&name.clone(), move || wrong_seeks(&clip, count)));
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Decodes frames at random times of a clip, and describes each one that is wrong.
fn wrong_seeks(clip: &Path, count: usize) -> Vec<String> {
    let (engine, cancel) = (Engine::default(), CancelToken::new());
    let source = Source::path(clip);
    let media = engine.probe(&source, ProbeOptions::default()).unwrap();
    let Some((stream, _)) = media.videos().next() else { return Vec::new() };
    let stream = stream.index;
    let start = media.start.map_or(0.0, Timestamp::seconds);
    let shown: Vec<f64> = judge::frames(clip).iter().map(|frame| frame.pts - start).collect();
    let (Some(first), Some(last)) = (shown.first(), shown.last()) else { return Vec::new() };
    let mut look = FrameQuery::default();
    look.when = FrameTimes::At(times(clip, count, first.max(0.0), *last));
    look.width = Some(WIDTH);
    "gray".clone_into(&mut look.pixel_format);
    let FrameTimes::At(times) = &look.when else { return Vec::new() };
    let full = full_decode(clip, stream, &look, &media, &engine);
    // The times have a precision of 1 ms, and containers round frame times to ticks.
    let tick = media.streams[stream].time_base.as_f64();
    let slack = f64::min(tick / 2.0, 0.000_5);
    let is_clean = judge::decode_errors(clip).is_empty();
    let mut wrong = Vec::new();
    let request = look.request(&media, engine.capabilities()).unwrap();
    let pictures: Vec<_> = engine.frames(&source, request, &cancel).unwrap().collect();
    let has_failed = pictures.iter().any(Result::is_err);
    assert!(pictures.len() == times.len() || has_failed, "{}", clip.display());
    for (picture, seconds) in pictures.into_iter().zip(times) {
        let what = format!("{} at {seconds:.4} s", clip.display());
        let picture = match picture {
            Ok(picture) => picture,
            Err(error) => {
                wrong.push(format!("{what}: {error}"));
                continue;
            }
        };
        let place = shown.iter().filter(|at| **at <= seconds + slack).count().saturating_sub(1);
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let size = width * height;
        let Some(expected) = full.get(place * size..(place + 1) * size) else {
            wrong.push(format!("{what}: a full decode has no frame {place}"));
            continue;
        };
        let planes = picture.planes();
        let rows = planes[0].bytes.chunks(planes[0].row_bytes).take(height);
        let found: Vec<u8> = rows.flat_map(|row| &row[..width]).copied().collect();
        let alike = likeness(&found, expected, width);
        let may_differ = picture.is_damaged() && !is_clean;
        if alike < ALIKE && !may_differ {
            wrong.push(format!("{what}: frame {place} is alike by {alike:.3}"));
        }
        if picture.is_damaged() && is_clean {
            wrong.push(format!("{what}: called damaged, and a full decode has no error"));
        }
    }
    wrong
}

/// Random times between the first and the last frame, in no order, the same in each run.
fn times(clip: &Path, count: usize, first: f64, last: f64) -> Vec<f64> {
    let mut state = clip
        .to_string_lossy()
        .bytes()
        .fold(0_u64, |all, byte| all.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut next = || {
        // The multiplier and the increment of Knuth's 64-bit generator (MMIX).
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        first + (last - first) * ((state >> 11) as f64 / (1_u64 << 53) as f64)
    };
    (0..count).map(|_| next()).collect()
}

/// All frames of a clip, decoded by the ffmpeg program through the query's filters.
fn full_decode(
    clip: &Path,
    stream: usize,
    look: &FrameQuery,
    media: &MediaInfo,
    engine: &Engine,
) -> Vec<u8> {
    let filters = look.request(media, engine.capabilities()).unwrap().filters;
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-noautorotate", "-i"])
        .arg(clip)
        .args(["-map", &format!("0:{stream}"), "-vf", &filters])
        .args(["-fps_mode", "passthrough", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    output.stdout
}

/// The mean structural similarity (SSIM) of two gray pictures, over blocks of 8 by 8 pixels.
fn likeness(one: &[u8], other: &[u8], width: usize) -> f64 {
    // SSIM's constants (0.03 · 255)² and (0.01 · 255)² prevent a division by 0 in flat blocks.
    const SMALL: f64 = 58.5225;
    const SMALLER: f64 = 6.5025;
    let height = one.len() / width;
    let mut sum = 0.0;
    let mut blocks = 0.0;
    for top in (0..height.saturating_sub(7)).step_by(8) {
        for left in (0..width.saturating_sub(7)).step_by(8) {
            let at = (0..64).map(|place| (top + place / 8) * width + left + place % 8);
            let pairs: Vec<(f64, f64)> =
                at.map(|at| (f64::from(one[at]), f64::from(other[at]))).collect();
            let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / 64.0;
            let (a, b) = (mean(|it| it.0), mean(|it| it.1));
            let (aa, bb) = (mean(|it| it.0 * it.0) - a * a, mean(|it| it.1 * it.1) - b * b);
            let ab = mean(|it| it.0 * it.1) - a * b;
            sum += (2.0 * a * b + SMALLER) * (2.0 * ab + SMALL)
                / ((a * a + b * b + SMALLER) * (aa + bb + SMALL));
            blocks += 1.0;
        }
    }
    sum / f64::max(blocks, 1.0)
}
