//! Frames in memory: the right ones, upright, in the form asked for.

use std::{num::NonZeroU32, path::Path};

use avocet::{
    CancelToken, Engine, FrameQuery, FrameTimes, Source,
    engine::{Error, Picture},
};
use fixtures::judge;

use crate::support::watched;

fn look(when: FrameTimes, pixel_format: &str) -> FrameQuery {
    FrameQuery { when, pixel_format: pixel_format.to_owned(), ..FrameQuery::default() }
}

fn span(start: f64, end: Option<f64>) -> FrameTimes {
    FrameTimes::Between { start, end }
}

/// All that comes for a look at a clip.
fn all(clip: &Path, look: &FrameQuery) -> Vec<Result<Picture, Error>> {
    let frames = avocet::frames(&Engine::default(), &Source::path(clip), look, &CancelToken::new());
    frames.unwrap_or_else(|error| panic!("{}: {error}", clip.display())).collect()
}

/// Saves a picture of one plane as a portable gray map or, with three bytes per pixel, pixel map.
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

/// The counters on pictures in gray.
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
            // Starts of clips differ by less than half a frame, so times are late in one.
            let times = vec![0.03, 0.07, 2.03, 1.03, 1.03, 3.91];
            let pictures = all(&clip, &look(FrameTimes::At(times), "gray"));
            assert_eq!(counters(&pictures), [0, 1, 50, 25, 25, 97], "{name}");
        });
    }
}

#[test]
fn times_beyond_the_end_give_the_last_frame() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        let pictures = all(&clip, &look(FrameTimes::At(vec![4.0, 1000.0]), "gray"));
        assert_eq!(counters(&pictures), [99, 99]);
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
            let pictures = all(&clip, &look(span(start, end), "gray"));
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
        let pictures = all(&clip, &look(span(0.0, None), "gray"));
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
            let at = FrameTimes::At(vec![times[25] - start + 0.01, times[30] - start + 0.01]);
            for (when, expected) in
                [(at, vec![times[25], times[30]]), (span(0.0, None), times.clone())]
            {
                let pictures = all(&clip, &look(when, "gray"));
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
        for when in [FrameTimes::At(vec![0.0]), span(0.0, Some(0.02))] {
            let pictures = all(&clip, &look(when, "bgr24"));
            let planes = pictures[0].as_ref().unwrap().planes();
            assert_eq!(planes.len(), 1);
            // Blue, green and red of the corner at the top left, which is red.
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
        let (width, height) =
            (wanted.0.and_then(NonZeroU32::new), wanted.1.and_then(NonZeroU32::new));
        let look = FrameQuery { width, height, ..look(FrameTimes::At(vec![1.0]), format) };
        watched(fixtures::test_name!(), move || {
            let pictures = all(&clip, &look);
            let picture = pictures[0].as_ref().unwrap();
            assert_eq!((picture.width(), picture.height()), size, "{look:?}");
            let planes = picture.planes();
            assert_eq!(planes.len(), rows.len(), "{look:?}");
            for (plane, row) in planes.iter().zip(rows) {
                assert!(plane.row_bytes >= row, "{look:?}: {} bytes in a row", plane.row_bytes);
                assert!(plane.bytes.len() >= row, "{look:?}");
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
            for when in [FrameTimes::At(vec![1.0]), span(1.0, Some(1.02))] {
                let pictures = all(&clip, &look(when, "rgb24"));
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
        let source = Source::path(fixtures::get(name));
        watched(name, move || {
            let frames = avocet::frames(
                &Engine::default(),
                &source,
                &FrameQuery::default(),
                &CancelToken::new(),
            );
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
        let results = all(&cut, &look(FrameTimes::At(vec![0.5, 3.9, 0.5]), "gray"));
        assert_eq!(results.len(), 2, "{results:?}");
        assert_eq!(counters(&results[..1]), [12]);
        assert_eq!(results[1].as_ref().unwrap_err().code(), "INPUT_INVALID");

        let cancel = CancelToken::new();
        for when in [FrameTimes::At(vec![0.5, 3.5, 2.0]), span(0.0, None)] {
            let (look, cancel) = (look(when, "gray"), cancel.child());
            let source = Source::path(&whole);
            let mut frames = avocet::frames(&Engine::default(), &source, &look, &cancel).unwrap();
            assert!(frames.next().unwrap().is_ok());
            cancel.cancel();
            let ended = frames.by_ref().find_map(Result::err);
            assert_eq!(ended.expect("an error").code(), "CANCELLED", "{look:?}");
            assert!(frames.next().is_none() && frames.next().is_none());
        }
    });
}
