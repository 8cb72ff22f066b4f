//! Frames in memory: the right ones, upright, in the requested format.

use std::path::Path;

use avocet::{CancelToken, Engine, Error, FrameBuilder, Picture, TimeRange};
use fixtures::judge;

use crate::support::watched;

/// How frames are asked for.
type Ask = fn(FrameBuilder) -> FrameBuilder;

/// All frames of a clip that are asked for.
fn all(clip: &Path, ask: impl FnOnce(FrameBuilder) -> FrameBuilder) -> Vec<Result<Picture, Error>> {
    let frames = ask(avocet::frames(clip).engine(&Engine::default())).iter();
    frames.unwrap_or_else(|error| panic!("{}: {error}", clip.display())).collect()
}

/// Saves a picture of one plane as PGM or, with three bytes per pixel, as PPM.
fn save(picture: &Picture, path: &Path, bytes_per_pixel: usize) {
    let kind = if bytes_per_pixel == 1 { "P5" } else { "P6" };
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut file = format!("{kind}\n{width} {height}\n255\n").into_bytes();
    let planes = picture.planes();
    assert_eq!(planes.len(), 1);
    for row in 0..height {
        let start = row * planes[0].row_bytes;
        file.extend_from_slice(&planes[0].bytes[start..start + width * bytes_per_pixel]);
    }
    std::fs::write(path, file).unwrap();
}

/// The counters of gray pictures.
fn counters(pictures: &[Result<Picture, Error>]) -> Vec<u16> {
    let folder = tempfile::tempdir().unwrap();
    for (number, picture) in pictures.iter().enumerate() {
        let picture = picture.as_ref().unwrap_or_else(|error| panic!("picture {number}: {error}"));
        save(picture, &folder.path().join(format!("{number:03}.pgm")), 1);
    }
    if pictures.is_empty() {
        return Vec::new();
    }
    let read = judge::counters(folder.path().join("%03d.pgm"));
    read.into_iter().map(|counter| counter.expect("a legible counter")).collect()
}

#[test]
fn each_time_gives_the_frame_on_screen() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in [
        "counter-h264-aac.mp4",
        "counter-h264-aac.mkv",
        "counter-h264-aac.ts",
        "h264-open-gop.mp4",
        "hevc-open-gop.mp4",
        "vp9-opus.webm",
        "h264-tff.mp4",
        "mpeg2-tff.ts",
    ] {
        let clip = fixtures::get(name);
        watched(name, move || {
            // The starts of clips differ by less than half a frame, so use times late in a frame.
            let times = [0.03, 0.07, 2.03, 1.03, 1.03, 3.91];
            let pictures = all(&clip, |frames| frames.at(times).gray());
            assert_eq!(counters(&pictures), [0, 1, 50, 25, 25, 97], "{name}");
            // Many that are near each other are found by decoding on.
            for step in [2, 3, 10] {
                let expected: Vec<u16> = (0..100).step_by(step).collect();
                let times = expected.iter().map(|number| f64::from(*number) * 0.04 + 0.03);
                let pictures = all(&clip, |frames| frames.at(times).gray());
                assert_eq!(counters(&pictures), expected, "{name}, each {step}th");
            }
        });
    }
}

/// The pictures at times, in few gray pixels, and their times; the code of the error where there is
/// none.
fn small(clip: &Path, times: &[f64]) -> Result<Vec<Result<Small, &'static str>>, Error> {
    let frames = avocet::frames(clip).at(times.iter().copied()).size(96, 54).gray().iter()?;
    let small = |picture: Picture| Small(picture.seconds(), picture.packed());
    Ok(frames.map(|picture| picture.map(small).map_err(|error| error.code())).collect())
}

/// The time of a picture, in seconds, and its pixels.
#[derive(PartialEq)]
struct Small(Option<f64>, Vec<u8>);

#[test]
fn many_times_give_what_each_of_them_gives_alone() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let broken: Vec<_> = fixtures::broken().collect();
    let made = fixtures::all()
        .filter(|name| !broken.contains(name) && *name != "three-hours.mkv")
        .map(fixtures::get);
    let mut seen = 0;
    for clip in fixtures::sample(made.chain(fixtures::media_clips()), 11) {
        let name = clip.display().to_string();
        let times: Vec<f64> = (0..24).map(|number| f64::from(number) * 0.13 + 0.031).collect();
        seen += watched(&name.clone(), move || {
            // Sound has no pictures.
            let Ok(many) = small(&clip, &times) else { return 0 };
            for (time, together) in times.iter().zip(&many) {
                let alone = small(&clip, &[*time]).unwrap().remove(0);
                let of = |it: &Result<Small, _>| it.as_ref().map(|Small(time, _)| *time).ok();
                let (told, expected) = (of(together), of(&alone));
                assert!(*together == alone, "{name} at {time} s: {told:?}, not {expected:?}");
            }
            many.iter().flatten().count()
        });
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn times_past_the_end_are_errors_behind_which_others_come() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        let mut pictures = all(&clip, |frames| frames.at([4.0, 3.97, 1000.0, 0.0]).gray());
        for place in [2, 0] {
            let error = pictures.remove(place).unwrap_err();
            assert_eq!(error.code(), "INPUT_INVALID");
            assert!(error.to_string().contains("the last frame is at 3.960 s"), "{error}");
        }
        assert_eq!(counters(&pictures), [99, 0]);
    });
}

#[test]
fn a_span_gives_every_frame_from_its_start_to_before_its_end() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let check = |name: &str, start: f64, end: Option<f64>, expected: std::ops::Range<u16>| {
        let (name, clip) = (name.to_owned(), fixtures::get(name));
        watched(&name.clone(), move || {
            let pictures = all(&clip, |frames| frames.range(TimeRange { start, end }).gray());
            let expected: Vec<_> = expected.collect();
            assert_eq!(counters(&pictures), expected, "{name} from {start} to {end:?}");
        });
    };
    check("counter-h264-aac.mp4", 0.0, None, 0..100);
    check("counter-h264-aac.mp4", 1.0, Some(1.2), 25..30);
    check("counter-h264-aac.mp4", 1.01, Some(1.21), 26..31);
    check("counter-h264-aac.mp4", 1.0, Some(1.0), 0..0);
    check("counter-h264-aac.mp4", 1.01, Some(1.02), 0..0);
    check("counter-h264-aac.mp4", 3.9, Some(100.0), 98..100);
    check("counter-h264-aac.mp4", 5.0, None, 0..0);
    check("h264-open-gop.mp4", 1.0, Some(2.0), 25..50);
    check("hevc-open-gop.mp4", 1.0, Some(2.0), 25..50);
    check("h264-tff.mp4", 1.0, Some(1.2), 25..30);
}

#[test]
fn the_times_of_a_span_are_those_of_the_frames() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("vfr.mp4");
    watched(fixtures::test_name!(), move || {
        let times: Vec<_> = judge::frames(&clip).iter().map(|frame| frame.pts).collect();
        let pictures = all(&clip, FrameBuilder::gray);
        assert_eq!(pictures.len(), times.len());
        for (picture, expected) in pictures.iter().zip(times) {
            let time = picture.as_ref().unwrap().time().expect("a time").seconds();
            assert!((time - expected).abs() < 1e-4, "{time} s instead of {expected} s");
        }
    });
}

#[test]
fn the_times_of_deinterlaced_pictures_are_those_of_the_frames() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["h264-tff.mp4", "mpeg2-tff.ts", "huffyuv-tff.mkv"] {
        let clip = fixtures::get(name);
        watched(name, move || {
            let times: Vec<_> = judge::frames(&clip).iter().map(|frame| frame.pts).collect();
            let start = judge::probe(&clip).start.unwrap_or(0.0).max(0.0);
            let at = vec![times[25] - start + 0.01, times[30] - start + 0.01];
            for (at, expected) in [(Some(at), vec![times[25], times[30]]), (None, times.clone())] {
                let pictures = all(&clip, |frames| match at {
                    Some(at) => frames.at(at).gray(),
                    None => frames.gray(),
                });
                assert_eq!(pictures.len(), expected.len(), "{name}");
                for (picture, expected) in pictures.iter().zip(expected) {
                    let time = picture.as_ref().unwrap().time().expect("a time").seconds();
                    assert!((time - expected).abs() < 1e-3, "{name}: {time} s for {expected} s");
                }
            }
        });
    }
}

#[test]
fn pictures_that_are_stored_from_the_bottom_on_have_their_rows_from_the_top() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("bottom-up.avi");
    watched(fixtures::test_name!(), move || {
        let asks: [Ask; 2] = [|frames| frames.at([0.0]), |frames| frames.range(..0.02)];
        for ask in asks {
            let pictures = all(&clip, |frames| ask(frames).pixel_format("bgr24"));
            let planes = pictures[0].as_ref().unwrap().planes();
            assert_eq!(planes.len(), 1);
            // The top left corner is red; the bytes are blue, green and red.
            let corner = &planes[0].bytes[4 * planes[0].row_bytes..][12..15];
            assert!(corner[2] > 200 && corner[0] < 60 && corner[1] < 60, "{corner:?}");
            let bottom = &planes[0].bytes[175 * planes[0].row_bytes..][12..15];
            assert!(bottom[0] > 200 && bottom[1] < 60 && bottom[2] < 60, "{bottom:?}");
        }
    });
}

#[test]
fn pictures_have_the_size_and_the_pixel_format_asked_for() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let check = |wanted: (Option<u32>, Option<u32>), format: &str, size, rows: &[usize]| {
        let (clip, rows) = (fixtures::get("counter-h264-aac.mp4"), rows.to_vec());
        let format = format.to_owned();
        watched(fixtures::test_name!(), move || {
            let pictures = all(&clip, |frames| {
                let frames = frames.at([1.0]).pixel_format(&format);
                let frames = wanted.0.map_or(frames.clone(), |width| frames.width(width));
                wanted.1.map_or(frames.clone(), |height| frames.height(height))
            });
            let picture = pictures[0].as_ref().unwrap();
            assert_eq!((picture.width(), picture.height()), size, "{format}");
            let planes = picture.planes();
            assert_eq!(planes.len(), rows.len(), "{format}");
            for (plane, row) in planes.iter().zip(rows) {
                assert!(plane.row_bytes >= row, "{format}: {} bytes in a row", plane.row_bytes);
                assert!(plane.bytes.len() >= row, "{format}");
                assert!(plane.rows().all(|bytes| bytes.len() == row), "{format}");
            }
        });
    };
    check((None, None), "rgb24", (320, 180), &[960]);
    check((Some(160), None), "gray", (160, 90), &[160]);
    check((None, Some(90)), "rgba", (160, 90), &[640]);
    check((Some(101), Some(77)), "rgb24", (101, 77), &[303]);
    check((Some(64), Some(64)), "yuv420p", (64, 64), &[64, 32, 32]);
}

#[test]
fn pictures_stand_upright() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["rot90.mp4", "rot180.mp4", "rot270.mp4", "mirrored.mp4", "mirrored-rot90.mp4"] {
        let clip = fixtures::get(name);
        watched(name, move || {
            let asks: [Ask; 2] = [|frames| frames.at([1.0]), |frames| frames.range(1.0..1.02)];
            for ask in asks {
                let pictures = all(&clip, ask);
                assert_eq!(pictures.len(), 1, "{name}");
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("picture.ppm");
                save(pictures[0].as_ref().unwrap(), &path, 3);
                assert_eq!(judge::picture(&path).corners(), judge::UPRIGHT, "{name}");
            }
        });
    }
}

#[test]
fn a_clip_without_pictures_is_refused() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["audio-only.mp4", "clicks.wav", "text.mp4", "empty.mp4"] {
        let clip = fixtures::get(name);
        watched(name, move || {
            let frames = avocet::frames(&clip).iter();
            assert_eq!(frames.expect_err(name).code(), "INPUT_INVALID", "{name}");
        });
    }
}

#[test]
fn nothing_follows_an_error() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (cut, whole) = (fixtures::get("truncated.mp4"), fixtures::get("counter-h264-aac.mp4"));
    watched(fixtures::test_name!(), move || {
        let results = all(&cut, |frames| frames.at([0.5, 3.9, 0.5]).gray());
        assert_eq!(results.len(), 2, "{results:?}");
        assert_eq!(counters(&results[..1]), [12]);
        assert_eq!(results[1].as_ref().unwrap_err().code(), "INPUT_INVALID");

        let cancel = CancelToken::new();
        let asks: [Ask; 3] = [
            |frames| frames.at([0.5, 3.5, 2.0]),
            |frames| frames.at([0.5, 3.5, 2.0, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 2.9]),
            |frames| frames,
        ];
        for ask in asks {
            let cancel = cancel.child();
            let frames = ask(avocet::frames(&whole)).cancel(&cancel).iter();
            let mut frames = frames.unwrap();
            assert!(frames.next().unwrap().is_ok());
            cancel.cancel();
            let ended = frames.by_ref().find_map(Result::err);
            assert_eq!(ended.expect("an error").code(), "CANCELLED");
            assert!(frames.next().is_none() && frames.next().is_none());
        }
    });
}

/// The same pictures come out whichever way they are asked for: one by one, by several threads, in the
/// midst of a range, or at times that become known one by one.
#[test]
fn all_ways_to_pictures_give_the_same() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in [
        "counter-h264-aac.mp4",
        "counter-h264-aac.ts",
        "h264-open-gop.mp4",
        "h264-tff.mp4",
        "vfr.mp4",
    ] {
        let clip = fixtures::get(name);
        watched(name, move || {
            let times: Vec<f64> = (0..40).map(|number| 0.013 + 0.09 * f64::from(number)).collect();
            let bytes = |pictures: Vec<Result<Picture, Error>>| -> Vec<Vec<u8>> {
                pictures.into_iter().map(|picture| picture.unwrap().packed()).collect()
            };
            let expected: Vec<Vec<u8>> = times
                .iter()
                .flat_map(|time| bytes(all(&clip, |frames| frames.at([*time]).gray().width(96))))
                .collect();
            let at = |threads| {
                bytes(all(&clip, |frames| {
                    frames.at(times.clone()).gray().width(96).threads(threads)
                }))
            };
            assert!(at(1) == expected, "{name}: one after the other");
            assert!(at(3) == expected, "{name}: by three threads");
            let every = all(&clip, |frames| frames.range(0.013..3.6).every(0.09).gray().width(96));
            assert!(bytes(every) == expected, "{name}: every 0.09 s");
            let mut video = avocet::frames(&clip).gray().width(96).open().unwrap();
            for (time, expected) in times.iter().zip(&expected) {
                assert!(video.at(*time).unwrap().packed() == *expected, "{name}: {time} s");
            }
            // And back, where a seek is needed.
            for (time, expected) in times.iter().zip(&expected).rev().step_by(7) {
                assert!(video.at(*time).unwrap().packed() == *expected, "{name}: back to {time} s");
            }
            assert!(video.at(1000.0).is_err() && video.at(0.013).is_ok(), "{name}");
        });
    }
}

/// A reader that counts how often it is asked to go back.
struct Counting<T> {
    inner: T,
    back: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl<T: std::io::Read> std::io::Read for Counting<T> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl<T: std::io::Seek> std::io::Seek for Counting<T> {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        let before = self.inner.stream_position()?;
        let after = self.inner.seek(to)?;
        if after < before {
            self.back.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        Ok(after)
    }
}

/// Neighboring times share one decoder, which goes on from where it is.
#[test]
fn times_that_follow_each_other_cost_no_second_seek() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    watched(fixtures::test_name!(), move || {
        let back = std::sync::Arc::default();
        let reader = Counting { inner: std::fs::File::open(&clip).unwrap(), back };
        let count = std::sync::Arc::clone(&reader.back);
        let source = avocet::Source::reader(reader).unwrap();
        let mut video = avocet::frames(&source).gray().width(64).open().unwrap();
        video.at(30.0).unwrap();
        let before = count.load(std::sync::atomic::Ordering::Relaxed);
        for number in 1..50 {
            video.at(30.0 + 0.04 * f64::from(number)).unwrap();
        }
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), before);
        video.at(10.0).unwrap();
        assert!(count.load(std::sync::atomic::Ordering::Relaxed) > before);
    });
}

#[test]
fn pictures_tell_their_time_their_format_and_whether_they_are_keyframes() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        let start = judge::probe(&clip).start.unwrap_or(0.0).max(0.0);
        let expected = judge::frames(&clip);
        let pictures = all(&clip, |frames| frames.width(64).rgb24());
        assert_eq!(pictures.len(), expected.len());
        for (picture, expected) in pictures.iter().zip(&expected) {
            let picture = picture.as_ref().unwrap();
            assert_eq!(
                (picture.pixel_format(), picture.is_keyframe()),
                ("rgb24".to_owned(), expected.key)
            );
            let seconds = picture.seconds().unwrap();
            assert!((seconds - (expected.pts - start)).abs() < 1e-4, "{seconds} s");
            assert_eq!(picture.packed().len(), 64 * 36 * 3);
        }
    });
}

#[test]
fn what_is_wrong_with_a_query_is_told_at_once() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        let refused = |frames: FrameBuilder| frames.iter().unwrap_err();
        let frames = || avocet::frames(&clip);
        let error = refused(frames().at([1.0, -1.0]).size(0, 20_000).threads(0));
        assert_eq!(error.code(), "VALIDATION_ERROR");
        for part in
            ["4 wrong values", "`at[1]`: found -1", "`width`: found 0", "`height`: found 20000"]
        {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(refused(frames().range(2.0..1.0)).to_string().contains("`end`: found 1"));
        assert!(refused(frames().every(0.0)).to_string().contains("`every`: found 0"));
        let absent = avocet::packets(&clip).streams([0, 9]).iter().unwrap_err();
        assert_eq!(absent.code(), "INPUT_INVALID", "{absent}");
        let unknown = refused(frames().pixel_format("no such format")).to_string();
        assert!(unknown.contains("`pixel_format`: found `no such format`"), "{unknown}");
        assert!(frames().at([]).iter().unwrap().next().is_none());
    });
}

#[test]
fn packets_are_those_of_the_container() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["counter-h264-aac.mp4", "counter-h264-aac.mkv", "clicks.ogg"] {
        let clip = fixtures::get(name);
        watched(name, move || {
            let expected = judge::packets(&clip, "0");
            let packets = avocet::packets(&clip).streams([0]).iter().unwrap();
            let packets: Vec<_> = packets.map(Result::unwrap).collect();
            assert_eq!(packets.len(), expected.len(), "{name}");
            for (packet, expected) in packets.iter().zip(expected) {
                assert_eq!((packet.stream(), packet.data().len() as u64), (0, expected.size));
                assert_eq!(packet.is_keyframe(), expected.key, "{name}");
                let seconds = packet.pts().map(avocet::media::Timestamp::seconds);
                assert_eq!(seconds.is_some(), expected.pts.is_some(), "{name}");
                let apart = seconds.zip(expected.pts).map_or(0.0, |(one, other)| one - other);
                assert!(apart.abs() < 1e-6, "{name}: {apart}");
            }
        });
    }
}

#[test]
fn pictures_are_images_and_array_views_too() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("rot90.mp4");
    watched(fixtures::test_name!(), move || {
        // A width whose rows are padded.
        let pictures = all(&clip, |frames| frames.at([1.0]).size(61, 107).rgb24());
        let picture = pictures[0].as_ref().unwrap();
        let (image, view) = (picture.to_image().unwrap().into_rgb8(), picture.view().unwrap());
        assert_eq!((image.dimensions(), view.dim()), ((61, 107), (107, 61, 3)));
        for (x, y) in [(0, 0), (60, 0), (0, 106), (60, 106), (30, 50)] {
            let pixel = image.get_pixel(x, y).0;
            let (x, y) = (x as usize, y as usize);
            assert_eq!(pixel, [view[[y, x, 0]], view[[y, x, 1]], view[[y, x, 2]]]);
        }
        let planar = all(&clip, |frames| frames.at([1.0]).pixel_format("yuv420p"));
        let planar = planar[0].as_ref().unwrap();
        assert!(planar.to_image().is_none() && planar.view().is_none());
        let block = avocet::audio(&clip).stereo().iter().unwrap().next().unwrap().unwrap();
        assert_eq!(block.view().unwrap().dim(), (block.samples(), 2));
    });
}
