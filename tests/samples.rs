//! Sound as samples in memory: the right ones, to the sample, in the form asked for.

use std::path::Path;

use avocet::{AudioBuilder, CancelToken, Source};
use fixtures::judge;

use crate::support::watched;

/// The samples of a clip, those of all channels beside each other, and when the first one is heard.
fn read(
    clip: &Path,
    ask: impl FnOnce(AudioBuilder) -> AudioBuilder,
) -> Result<(Vec<f32>, f64), avocet::Error> {
    let (mut samples, mut start) = (Vec::new(), None);
    for block in ask(avocet::audio(clip)).iter()? {
        let block = block?;
        start.get_or_insert(block.seconds());
        let found = block.f32().expect("floating point");
        assert_eq!(found.len(), block.samples() * block.channels());
        samples.extend_from_slice(found);
    }
    Ok((samples, start.unwrap_or(0.0)))
}

/// The largest difference of two lists of samples.
fn difference(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

const CLIPS: [&str; 10] = [
    "clicks.wav",
    "clicks-24bit.wav",
    "clicks.flac",
    "clicks.mp3",
    "clicks.m4a",
    "clicks-aac.mkv",
    "clicks.opus",
    "clicks.ogg",
    "clicks-alac.m4a",
    "counter-h264-aac.mp4",
];

/// Whether the container rounds times to 1 ms, as Matroska does.
fn is_coarse(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "mkv")
}

#[test]
fn samples_are_those_that_another_decoder_gives() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // FFmpeg 5.1 does not leave out the priming of AAC in Matroska.
    for name in CLIPS.into_iter().filter(|name| !is_coarse(name)) {
        let clip = fixtures::get(name);
        watched(name, move || {
            let (samples, _) = read(&clip, |audio| audio).unwrap();
            let expected = judge::audio_samples(&clip);
            // Another decoder may leave out what pads the last packet, or not.
            let spare = samples.len().abs_diff(expected.data.len()) / expected.channels;
            assert!(spare <= 2048, "{name}: {} for {}", samples.len(), expected.data.len());
            assert!(difference(&samples, &expected.data) < 1e-4, "{name}");
        });
    }
}

/// A section begins and ends at the sample that its times name, wherever packets begin.
#[test]
fn sections_are_exact_to_the_sample_and_follow_each_other() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in CLIPS {
        let clip = fixtures::get(name);
        watched(name, move || {
            let (whole, start) = read(&clip, |audio| audio).unwrap();
            let samples = avocet::audio(&clip).iter().unwrap();
            let rate = f64::from(samples.sample_rate());
            let channels = if samples.layout() == "mono" { 1 } else { 2 };
            let edges = [0.0, 0.333, 0.334, 1.0, 2.5];
            let mut joined = Vec::new();
            for edge in edges.windows(2) {
                let (part, begins) = read(&clip, |audio| audio.range(edge[0]..edge[1])).unwrap();
                let at = |seconds: f64| ((seconds - start).max(0.0) * rate).round();
                let count = at(edge[1]) - at(edge[0]);
                // Matroska rounds times to 1 ms, by which a section may begin early or late.
                let tick = if is_coarse(name) { rate / 1000.0 } else { 0.0 };
                let off = ((part.len() / channels) as f64 - count).abs();
                assert!(off <= tick, "{name} {edge:?}: {} for {count}", part.len() / channels);
                let off = (begins - edge[0].max(start)).abs() * rate;
                assert!(off <= tick.max(0.6), "{name}: {begins}");
                if tick > 0.0 {
                    continue;
                }
                joined.extend_from_slice(&part);
            }
            let (rest, _) = read(&clip, |audio| audio.range(2.5..)).unwrap();
            joined.extend_from_slice(&rest);
            if is_coarse(name) {
                return;
            }
            assert_eq!(joined.len(), whole.len(), "{name}");
            // A decoder that begins in the middle has heard enough before.
            assert!(difference(&joined, &whole) < 2e-3, "{name}: {}", difference(&joined, &whole));
        });
    }
}

#[test]
fn rate_layout_format_and_blocks_are_those_asked_for() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        let audio = || avocet::audio(&clip).mono().rate(16_000);
        let blocks: Vec<_> = audio().block(512).iter().unwrap().map(Result::unwrap).collect();
        let lengths: Vec<usize> = blocks.iter().map(avocet::engine::SampleBlock::samples).collect();
        assert!(lengths.len() > 100 && blocks.iter().all(|block| block.channels() == 1));
        let (last, others) = lengths.split_last().unwrap();
        assert!(others.iter().all(|length| *length == 512) && *last <= 512, "{lengths:?}");
        for (number, block) in blocks.iter().enumerate() {
            let begins = blocks[0].seconds() + number as f64 * 512.0 / 16_000.0;
            assert!((block.seconds() - begins).abs() < 1e-4, "{number}: {}", block.seconds());
            assert!(block.i16().is_none());
        }
        let all: Vec<f32> = blocks.iter().flat_map(|block| block.f32().unwrap()).copied().collect();
        let mut integers = Vec::new();
        for block in audio().i16().iter().unwrap() {
            integers.extend_from_slice(block.unwrap().i16().unwrap());
        }
        assert_eq!(all.len(), integers.len());
        let scaled: Vec<f32> = integers.iter().map(|one| f32::from(*one) / 32_768.0).collect();
        let clipped: Vec<f32> = all.iter().map(|one| one.clamp(-1.0, 1.0)).collect();
        let difference = difference(&clipped, &scaled);
        assert!(difference < 3.0 / 32_768.0, "{difference}");
        let second = audio().range(1.0..2.0).iter().unwrap();
        let samples: usize = second.map(|block| block.unwrap().samples()).sum();
        assert_eq!(samples, 16_000);
        let stereo = avocet::audio(&clip).stereo().iter().unwrap();
        assert_eq!((stereo.layout(), stereo.sample_rate()), ("stereo", 48_000));
    });
}

#[test]
fn sound_at_another_rate_is_what_another_converter_makes() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in CLIPS.into_iter().filter(|name| !is_coarse(name)) {
        let clip = fixtures::get(name);
        watched(name, move || {
            let expected = judge::mono_at(&clip, 16_000);
            let (samples, _) = read(&clip, |audio| audio.mono().rate(16_000)).unwrap();
            let off = samples.len().abs_diff(expected.len());
            assert!(off <= 800, "{name}: {} for {}", samples.len(), expected.len());
            let both = samples.len().min(expected.len()).saturating_sub(100);
            let difference = difference(&samples[..both], &expected[..both]);
            assert!(difference < 2e-3, "{name}: {difference}");
        });
    }
}

#[test]
fn what_is_wrong_is_told() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (clip, picture) = (fixtures::get("clicks.m4a"), fixtures::get("cover.png"));
    watched(fixtures::test_name!(), move || {
        let refused = |ask: fn(AudioBuilder) -> AudioBuilder| match read(&clip, ask) {
            Ok(_) => "nothing".to_owned(),
            Err(error) => format!("{}: {error}", error.code()),
        };
        let check = |ask: fn(AudioBuilder) -> AudioBuilder, expected: &str| {
            let found = refused(ask);
            assert!(found.contains(expected), "{found}");
        };
        check(|audio| audio.rate(0), "VALIDATION_ERROR: 1 wrong value: `rate`");
        check(|audio| audio.rate(0).block(0), "`block`: found 0");
        check(|audio| audio.range(f64::NAN..1.0), "`start`: found NaN");
        check(|audio| audio.range(2.0..1.0), "`end`: found 1");
        check(|audio| audio.range(1000.0..), "INPUT_INVALID");
        check(|audio| audio.stream_number(3), "INPUT_INVALID");
        check(|audio| audio.layout("no such layout"), "`layout`: found");
        let error = avocet::audio(&picture).iter().unwrap_err();
        assert_eq!(error.code(), "INPUT_INVALID");
        let cancel = CancelToken::new();
        let mut samples = avocet::audio(&clip).cancel(&cancel).iter().unwrap();
        assert!(samples.next().unwrap().is_ok());
        cancel.cancel();
        let ended = samples.by_ref().find_map(Result::err);
        assert_eq!(ended.unwrap().code(), "CANCELLED");
        assert!(samples.next().is_none());
    });
}

/// Damage is told at the end, by how much could not be decoded.
#[test]
fn sound_that_is_cut_off_is_an_error_at_the_end() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("truncated.mp4");
    watched(fixtures::test_name!(), move || {
        let results: Vec<_> = avocet::audio(&clip).iter().unwrap().collect();
        let (last, others) = results.split_last().unwrap();
        assert!(others.len() > 10 && others.iter().all(Result::is_ok));
        assert_eq!(last.as_ref().unwrap_err().code(), "INPUT_INVALID");
    });
}

/// Those who stop early leave nothing behind: no thread, no open file.
#[test]
#[cfg(target_os = "linux")]
fn a_consumer_that_stops_early_leaves_nothing_behind() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let rounds = if fixtures::soak() { 1000 } else { 30 };
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        let bytes: std::sync::Arc<[u8]> = std::fs::read(&clip).unwrap().into();
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = open();
        for round in 0..rounds {
            let source = Source::memory(std::sync::Arc::clone(&bytes));
            let mut samples = avocet::audio(&source).iter().unwrap();
            assert!(samples.next().unwrap().is_ok(), "{round}");
            let frames = avocet::frames(&source).width(64).at([0.5, 1.5, 2.5, 3.5]).threads(2);
            assert!(frames.iter().unwrap().next().unwrap().is_ok(), "{round}");
            assert!(avocet::frames(&clip).iter().unwrap().next().unwrap().is_ok(), "{round}");
            assert!(avocet::packets(&clip).iter().unwrap().next().unwrap().is_ok(), "{round}");
        }
        // Other tests open files at the same time, but not one in each of our rounds.
        assert!(open() < before + rounds, "{} open files, {before} before", open());
    });
}
