//! Transcodes: all frames, at their times, in every format.

use std::path::Path;

use fixtures::judge;

use crate::support::{run, source_frames};

/// Whether a format can contain video.
fn holds_video(format: &str) -> bool {
    matches!(format, "mp4" | "mov" | "webm" | "mkv")
}

/// Transcodes a clip, and compares the result with the source, by an independent decoder.
pub(crate) fn check(clip: &Path, format: &str, recipe: &str) {
    let name = format!("{} in {format} by {recipe}", clip.display());
    let source = judge::probe(clip);
    let has_video = source.of_kind("video").any(|stream| !stream.is("attached_pic"));
    let has_audio = source.of_kind("audio").next().is_some();
    let outcome = match run(clip, format, recipe) {
        Ok(outcome) => outcome,
        Err(error) if !holds_video(format) && !has_audio => {
            assert_eq!(error.code(), "INPUT_INVALID", "{name}: {error}");
            return;
        }
        Err(error) => panic!("{name}: {error}"),
    };
    let made = judge::probe(&outcome.path);
    if has_video && holds_video(format) {
        let (before, after) = (source_frames(clip), judge::frames(&outcome.path));
        assert_eq!(after.len(), before.len(), "{name}: frames");
        // The distances between frames must stay, within a tick of the container.
        let tick = made.video().tick.max(source.video().tick);
        for (before, after) in before.windows(2).zip(after.windows(2)) {
            let (before, after) = (before[1].pts - before[0].pts, after[1].pts - after[0].pts);
            assert!((before - after).abs() <= tick + 1e-4, "{name}: {before} s became {after} s");
        }
        assert!(after[0].pts < 0.1 || has_audio, "{name}: begins at {}", after[0].pts);
    }
    if has_video && has_audio && holds_video(format) {
        let start = |path: &Path| source_frames(path)[0].pts;
        if let Some(moved) = sound_moved((clip, start(clip)), (&outcome.path, start(&outcome.path)))
        {
            // Packets of 1024 samples stand 20 ms apart in this clip, which is 1.3 ms too little, and
            // the resampler makes up for two of them at once.
            let is_dense = clip.ends_with("sample_edit_list_only_preroll_sync_sample.mp4");
            let most = if is_dense { 0.004 } else { 0.001 };
            assert!(moved.abs() < most, "{name}: the sound moved by {moved} s against the picture");
        }
    }
    if has_audio && (!has_video || !holds_video(format)) {
        let seconds = |path: &Path| {
            let samples = judge::audio_samples(path);
            (samples.mono().len() as f64 / f64::from(samples.rate), f64::from(samples.rate))
        };
        let ((before, _), (after, rate)) = (seconds(clip), seconds(&outcome.path));
        // The last coded frame is padded, and priming becomes sound where a format can not signal
        // it.
        let frames = match format {
            "wav" => 0.0,
            "mp3" => 2.0 * 1152.0,
            "aac" => 3.0 * 1024.0,
            // FFmpeg before 8 decodes what the file says to leave out.
            "mkv" => 4.0 * 1024.0,
            _ => 1024.0,
        };
        let limit = frames / rate + 0.03;
        // Holes between packets are filled, which the ffmpeg program does not do.
        let stated = source.audio().duration.unwrap_or(before);
        let is_whole = [before, stated].iter().any(|length| (length - after).abs() <= limit);
        assert!(is_whole, "{name}: {before} s, stated as {stated} s, became {after} s");
    }
    if matches!(format, "mp4" | "mov" | "m4a") {
        let order: Vec<_> =
            judge::box_order(&outcome.path).into_iter().map(|part| part.0).collect();
        let place = |kind: &str| order.iter().position(|found| found == kind);
        assert!(place("moov") < place("mdat"), "{name}: {order:?}");
    }
}

/// How much later the sound of one file is than that of another, in seconds, each from an own time.
/// It is found by correlation; `None` when the rates differ or nothing correlates.
fn sound_moved((a, from_a): (&Path, f64), (b, from_b): (&Path, f64)) -> Option<f64> {
    let (a, b) = (judge::audio_samples(a), judge::audio_samples(b));
    let (mono_a, mono_b) = (a.mono(), b.mono());
    let rate = f64::from(a.rate);
    if a.rate != b.rate || mono_a.len() < a.rate as usize / 2 {
        return None;
    }
    let (first, length) = (mono_a.len() / 3, mono_a.len() / 4);
    let window = &mono_a[first..first + length.min(a.rate as usize / 2)];
    // The position of the window in the other file if nothing had moved.
    let time = a.time(first) - from_a + from_b;
    let near = (0..mono_b.len()).find(|index| b.time(*index) >= time - 1e-6)?;
    let likeness = |lag: isize| {
        let start = near.checked_add_signed(lag)?;
        let other = mono_b.get(start..start + window.len())?;
        let (mut product, mut power_a, mut power_b) = (0.0_f64, 1e-9_f64, 1e-9_f64);
        for (a, b) in window.iter().zip(other) {
            let (a, b) = (f64::from(*a), f64::from(*b));
            (product, power_a, power_b) = (product + a * b, power_a + a * a, power_b + b * b);
        }
        Some((product / (power_a * power_b).sqrt(), lag))
    };
    let reach = isize::try_from(a.rate / 33).ok()?;
    let best = (-reach..=reach).filter_map(likeness).max_by(|a, b| a.0.total_cmp(&b.0))?;
    let moved = best.1 as f64 / rate + b.time(near) - time;
    (best.0 > 0.8).then_some(moved)
}

#[test]
fn real_clips_come_whole_in_every_format() {
    let clips = fixtures::media_clips!();
    let formats = ["mp4", "webm", "mov", "mp3", "aac", "wav", "m4a", "mkv", "flac", "opus", "ogg"];
    let table = clips.iter().flat_map(|clip| formats.map(|format| (clip, format)));
    for (clip, format) in fixtures::sample(table.clone(), 197) {
        check(clip, format, r#""transcode""#);
    }
    for (clip, format) in fixtures::sample(table, 397) {
        let preset = match format {
            "mp4" | "mov" | "mkv" => r#","preset":"ultrafast""#,
            "webm" => r#","preset":8"#,
            _ => "",
        };
        check(clip, format, &format!(r#""transcode","reencode":true{preset}"#));
    }
}

#[test]
fn frames_and_sync_survive_copy_and_encode() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let sources = [
        "counter-h264-aac.mp4",
        "counter-h264-aac.mkv",
        "counter-h264-aac.ts",
        "vp9-opus.webm",
        "av1-aac.mp4",
        "hevc-aac.mp4",
        "counter-30000-1001.mp4",
        "vfr.mp4",
        "empty-edit.mp4",
        "media-time.mp4",
        "both-edits.mp4",
        "late-audio.mp4",
        "fragmented.mp4",
        "mpeg4-mp3.avi",
    ];
    let ways = [
        ("mp4", r#""transcode""#),
        ("mp4", r#""transcode","reencode":true,"preset":"veryfast""#),
        ("webm", r#""transcode","preset":8"#),
        ("mkv", r#""transcode""#),
        ("mkv", r#""transcode","reencode":true,"preset":"ultrafast""#),
    ];
    let table = sources.into_iter().flat_map(|name| ways.map(|way| (name, way)));
    for (name, (format, recipe)) in fixtures::sample(table, 13) {
        let source = fixtures::get(name);
        let (counters, offsets) = (judge::counters(&source), judge::click_to_flash(&source));
        assert!(!offsets.is_empty(), "{name} has no click beside a flash");
        let outcome = run(&source, format, recipe)
            .unwrap_or_else(|error| panic!("{name} in {format} by {recipe}: {error}"));
        assert_eq!(judge::counters(&outcome.path), counters, "{name} in {format} by {recipe}");
        let after = judge::click_to_flash(&outcome.path);
        assert_eq!(after.len(), offsets.len(), "{name} in {format} by {recipe}");
        for (before, after) in offsets.iter().zip(&after) {
            // Matroska and WebM round both times to 1 ms.
            let is_coarse = matches!(format, "webm" | "mkv") || name.contains("mkv");
            let limit = if is_coarse { 0.0015 } else { 0.001 };
            let moved = (before - after).abs();
            assert!(moved < limit, "{name} in {format} by {recipe}: {before} became {after}");
        }
    }
}

#[test]
fn sound_keeps_its_channels_where_the_format_has_them() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let check = |name: &str, format: &str, layout: &str| {
        let source = fixtures::get(name);
        let outcome = run(&source, format, r#""transcode","reencode":true"#).unwrap();
        let made = judge::probe(&outcome.path);
        assert_eq!(made.audio().layout, layout, "{name} in {format}");
        // Opus moves the deepest channel's tone by more than the judge allows.
        let is_opus = made.audio().codec == "opus";
        if made.audio().channels == judge::probe(&source).audio().channels && !is_opus {
            assert_eq!(judge::tones(&outcome.path), judge::tones(&source), "{name} in {format}");
        }
    };
    check("tones-mono.wav", "m4a", "mono");
    check("tones-stereo.wav", "m4a", "stereo");
    check("tones-51.wav", "m4a", "5.1");
    check("tones-51-side.flac", "m4a", "5.1");
    check("tones-71.flac", "m4a", "7.1");
    check("tones-71.flac", "wav", "7.1");
    check("tones-51.wav", "webm", "5.1");
    check("tones-51.wav", "mkv", "5.1");
    check("tones-51-side.flac", "flac", "5.1(side)");
    check("tones-71.flac", "flac", "7.1");
    check("tones-51.wav", "opus", "5.1");
    check("tones-51.wav", "ogg", "5.1");
    check("tones-51.wav", "mp3", "stereo");
}

#[test]
fn a_copy_is_bit_identical_and_an_encode_has_the_settings_asked_for() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let source = fixtures::get("counter-h264-aac.mp4");
    let copy = run(&source, "mov", r#""transcode""#).unwrap();
    for stream in ["v:0", "a:0"] {
        assert_eq!(judge::frame_hashes(&copy.path, stream), judge::frame_hashes(&source, stream));
    }
    let made =
        run(&source, "mp4", r#""transcode","codec":"hevc","preset":"ultrafast","crf":40"#).unwrap();
    let probe = judge::probe(&made.path);
    assert_eq!((probe.video().codec.as_str(), probe.video().tag.as_str()), ("hevc", "hvc1"));
    let made = run(&source, "mp4", r#""transcode","codec":"av1","preset":12"#).unwrap();
    assert_eq!(judge::probe(&made.path).video().codec, "av1");
}

#[test]
fn interlaced_frames_become_as_many_progressive_ones() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["mpeg2-tff.ts", "mpeg2-bff.ts", "h264-tff.mp4"] {
        let source = fixtures::get(name);
        let outcome =
            run(&source, "mp4", r#""transcode","reencode":true,"preset":"veryfast""#).unwrap();
        let frames = judge::frames(&outcome.path);
        assert_eq!(frames.len(), judge::frames(&source).len(), "{name}");
        assert!(frames.iter().all(|frame| !frame.interlaced), "{name}");
    }
}

#[test]
fn pictures_of_video_are_upright_square_and_even() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let recipe = r#""transcode","reencode":true,"preset":"veryfast""#;
    for name in ["rot90.mp4", "rot180.mp4", "mirrored-rot90.mp4"] {
        let outcome = run(&fixtures::get(name), "mp4", recipe).unwrap();
        assert_eq!(judge::picture(&outcome.path).corners(), judge::UPRIGHT, "{name}");
        assert_eq!(judge::probe(&outcome.path).video().rotation, 0, "{name}");
        let copy = run(&fixtures::get(name), "mov", r#""transcode""#).unwrap();
        let (before, after) = (judge::probe(fixtures::get(name)), judge::probe(&copy.path));
        assert_eq!(
            after.video().matrix.map(|m| m[..5].to_vec()),
            before.video().matrix.map(|m| m[..5].to_vec())
        );
    }
    let check = |name: &str, expected: (u32, u32)| {
        let outcome = run(&fixtures::get(name), "mp4", recipe).unwrap();
        let made = judge::probe(&outcome.path);
        assert_eq!((made.video().width, made.video().height), expected, "{name}");
        assert!(matches!(made.video().sar.as_str(), "" | "1:1"), "{name}");
        assert_eq!(made.video().pix_fmt, "yuv420p", "{name}");
    };
    check("sar-16-15.mp4", (768, 576));
    check("sar-64-45.mp4", (1024, 576));
    check("odd-405x720.mp4", (406, 720));
    check("tiny-1x1.mkv", (2, 2));
    check("tiny-3x2.mkv", (4, 2));
    check("h264-422-10bit.mp4", (320, 180));
}

/// With the same settings, the ffmpeg program makes a file of the same size and quality.
#[test]
fn quality_equals_that_of_the_ffmpeg_program() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clips = [
        "npm_vide/ocean.mp4",
        "mozilla_gecko-dev/dom/media/test/gizmo.webm",
        "gradio-app_gradio/videos/b.avi",
    ];
    for name in fixtures::sample(clips, 3) {
        let Some(clip) = fixtures::media!(name) else { return };
        let made = run(&clip, "mp4", r#""transcode","reencode":true"#).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other.mp4");
        let program = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-i"])
            .arg(&clip)
            .args("-c:v libx264 -crf 23 -preset medium -pix_fmt yuv420p -an".split(' '))
            .args(["-fps_mode", "passthrough"])
            .arg(&other)
            .status()
            .unwrap();
        assert!(program.success());
        let bytes = |path: &Path| -> u64 {
            judge::packets(path, "v:0").iter().map(|packet| packet.size).sum()
        };
        let (ours, theirs) = (bytes(&made.path), bytes(&other));
        let ratio = ours as f64 / theirs as f64;
        assert!((ratio - 1.0).abs() < 0.01, "{name}: {ours} bytes, the program's {theirs}");
        let [ours, theirs] = [&made.path, &other]
            .map(|path| judge::ssim(path, &clip, "format=yuv420p", "format=yuv420p"));
        assert!((ours - theirs).abs() < 0.001, "{name}: {ours}, the program's {theirs}");
    }
}

/// SVT-AV1 waits forever for packets if an encoder is drained that never got a frame.
#[test]
fn an_encoder_that_got_no_picture_holds_nobody() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    for (format, codec) in [("mp4", "h264"), ("mp4", "hevc"), ("webm", "vp9"), ("mp4", "av1")] {
        let recipe = format!(r#""transcode","codec":"{codec}","reencode":true"#);
        let job = crate::support::job(&clip, format, &recipe);
        let job = avocet::job(job).output(format!("/no such folder/out.{format}").as_str());
        let result = crate::support::watched(codec, move || job.run());
        let error = result.unwrap_err().to_string();
        assert!(error.contains("its folder does not exist"), "{codec}: {error}");
    }
}
