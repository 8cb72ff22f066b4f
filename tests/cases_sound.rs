//! Cases of sound in containers without timestamps, and the table of codecs that are copied.

use std::{ops::ControlFlow, path::Path};

use avocet::{
    Engine, Format, Plan,
    engine::{self, RunOptions},
    plan::{Action, Reason, TrackKind},
    recipes::{Copied, copied_codecs},
};
use fixtures::judge;

use crate::{
    support::{Outcome, document, joining, plan, remux, run, run_document},
    traps_stream::seconds_of_sound,
};

/// Extracts the sound of a clip into a file with this extension.
fn extracted(input: &Path, extension: &str) -> Outcome {
    let format = if matches!(extension, "opus" | "ogg" | "flac") { "mp3" } else { extension };
    run_document(&document(input, format, r#""extractAudio""#), extension)
        .unwrap_or_else(|error| panic!("{} as {extension}: {error}", input.display()))
}

/// The action of the audio track.
fn action(plan: &Plan) -> &Action {
    &plan.tracks().find(|track| track.kind == TrackKind::Audio).unwrap().action
}

/// The reasons for the action of the audio track.
fn because(plan: &Plan) -> &[Reason] {
    &plan.tracks().find(|track| track.kind == TrackKind::Audio).unwrap().because
}

/// The seconds in which an amplitude exceeds 0.01, in steps of 10 ms.
fn heard(path: &Path) -> f64 {
    let samples = judge::audio_samples(path);
    let piece = samples.rate as usize / 100;
    let is_loud = |samples: &&[f32]| samples.iter().any(|sample| sample.abs() > 0.01);
    samples.mono().chunks(piece).filter(is_loud).count() as f64 / 100.0
}

/// The duration of the output in the report, in seconds.
fn told(outcome: &Outcome) -> f64 {
    outcome.report.outputs[0].media.duration.unwrap().seconds()
}

#[test]
fn holes_in_sound_become_silence_in_containers_without_a_clock() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, extension) in [
        ("hole-opus.webm", "opus"),
        ("hole-vorbis.webm", "ogg"),
        ("hole-aac.mkv", "aac"),
        ("hole-aac.mp4", "aac"),
        ("hole-aac.ts", "aac"),
        ("hole-mp3.mkv", "mp3"),
        ("hole-flac.mkv", "flac"),
        ("hole-pcm.mkv", "wav"),
    ] {
        let outcome = extracted(&fixtures::get(name), extension);
        let what = format!("{name} as {extension}");
        let length = seconds_of_sound(&outcome.path);
        // AAC encoders add up to two packets, which ADTS can not signal.
        assert!((length - 4.0).abs() < 0.08, "{what} lasts {length} s");
        let heard = heard(&outcome.path);
        assert!((heard - 2.6).abs() < 0.1, "{what} is heard for {heard} s");
        assert_eq!(judge::decode_errors(&outcome.path), [""; 0], "{what}");
        let plan = &outcome.report.plan;
        assert!(matches!(action(plan), Action::Encode(_)), "{what}");
        assert_eq!(because(plan)[0].code, "SOUND_HAS_GAPS", "{what}");
        assert_eq!(*action(&outcome.plan), Action::Copy, "{what} is tried as a copy");
    }
}

#[test]
fn holes_that_no_encoder_can_fill_are_the_inputs_fault() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let source = fixtures::get("hole-opus.webm");
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.opus");
    let mut plan = avocet::extract_audio(&source).output(output).plan().unwrap().plan;
    // As if this libav had no encoder.
    plan.otherwise = None;
    let error = Engine::default().run(&plan, RunOptions::default()).unwrap_err();
    assert!(matches!(error, engine::Error::NotContinuous { .. }), "{error}");
    assert_eq!(error.code(), "INPUT_INVALID");
    assert!(error.to_string().contains("1.4"), "{error}");
    assert!(!folder.path().join("out.opus").exists());
}

#[test]
fn sound_without_holes_is_copied_into_containers_without_a_clock() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, extension) in [
        ("steady-opus.webm", "opus"),
        ("steady-vorbis.webm", "ogg"),
        ("steady-aac.mkv", "aac"),
        ("steady-mp3.mkv", "mp3"),
        ("steady-flac.mkv", "flac"),
        ("steady-pcm.mkv", "wav"),
    ] {
        let outcome = extracted(&fixtures::get(name), extension);
        assert_eq!(*action(&outcome.report.plan), Action::Copy, "{name} as {extension}");
    }
}

#[test]
fn vorbis_from_webm_is_copied_whole_into_ogg() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let source = fixtures::get("steady-vorbis.webm");
    let outcome = extracted(&source, "ogg");
    let (of_source, of_result) =
        (judge::audio_samples(&source), judge::audio_samples(&outcome.path));
    assert_eq!(of_result.data.len(), of_source.data.len());
    assert_eq!(of_result.runs.len(), 1, "without holes between its pages");
    // The first Vorbis packet yields no samples: it overlaps with the second, which begins at 0.
    let packets = judge::packets(&outcome.path, "a:0");
    assert_eq!(packets.len(), judge::packets(&source, "a:0").len());
    let granules: Vec<f64> = packets.iter().filter_map(|packet| packet.pts).collect();
    assert!(granules[0] < 0.0 && granules[0] > -0.03, "{granules:?}");
    let end = packets.last().map(|last| last.pts.unwrap() + last.duration).unwrap();
    assert!((end - of_source.data.len() as f64 / 48_000.0).abs() < 1e-9, "it ends at {end} s");
}

#[test]
fn packets_that_overlap_do_not_make_the_sound_longer() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["overlap-aac.mkv", "overlap-aac.mp4"] {
        let outcome = extracted(&fixtures::get(name), "aac");
        let length = seconds_of_sound(&outcome.path);
        // Two overlaps of 900 samples are cut off; the encoder adds its delay.
        let expected = 4.0 - 2.0 * 900.0 / 48_000.0;
        assert!((length - expected).abs() < 0.08, "{name} lasts {length} s");
        assert_eq!(because(&outcome.report.plan)[0].code, "SOUND_HAS_GAPS", "{name}");
    }
}

#[test]
fn aac_joined_by_the_concat_demuxer_is_extracted() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("steady-aac.mp4");
    let folder = tempfile::tempdir().unwrap();
    let (list, joined) = (folder.path().join("list"), folder.path().join("joined.mp4"));
    std::fs::write(&list, format!("file '{}'\n", clip.display()).repeat(20)).unwrap();
    remux("-f concat -safe 0", &list, "", &joined);
    let outcome = extracted(&joined, "aac");
    let (length, stated) =
        (seconds_of_sound(&outcome.path), judge::probe(&joined).duration.unwrap());
    assert!((length - stated).abs() < 0.1, "it lasts {length} s instead of {stated} s");
    assert!((told(&outcome) - length).abs() < 0.001);
}

#[test]
fn reported_lengths_of_files_without_a_clock_are_those_of_a_full_decode() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let mut clips: Vec<_> =
        ["counter-h264-aac.mp4", "clicks-44100.m4a", "clicks.mp3", "clicks.opus", "clicks.flac"]
            .map(fixtures::get)
            .into();
    clips.extend(fixtures::media("OpenShot_libopenshot/sintel_trailer-720p.mp4"));
    for clip in &clips {
        for extension in ["aac", "mp3", "wav"] {
            let outcome = extracted(clip, extension);
            let what = format!("{} as {extension}", clip.display());
            let decoded = seconds_of_sound(&outcome.path);
            // The first packet of AAC may contain no sound.
            let limit = if extension == "aac" { 0.022 } else { 0.0015 };
            assert!(
                (told(&outcome) - decoded).abs() < limit,
                "{what}: {} s told, {decoded} s decoded",
                told(&outcome)
            );
            assert!(!outcome.report.outputs[0].media.duration_is_estimate, "{what}");
        }
    }
    for (name, extension) in [
        ("steady-opus.webm", "opus"),
        ("steady-vorbis.webm", "ogg"),
        ("steady-flac.mkv", "flac"),
        ("hole-opus.webm", "opus"),
    ] {
        let outcome = extracted(&fixtures::get(name), extension);
        let decoded = seconds_of_sound(&outcome.path);
        assert!(
            (told(&outcome) - decoded).abs() < 0.0015,
            "{name}: {} s told, {decoded} s decoded",
            told(&outcome)
        );
    }
}

#[test]
fn damaged_av1_that_is_copied_is_the_inputs_fault() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let source = fixtures::get("damaged-av1.mp4");
    assert!(!judge::decode_errors(&source).is_empty());
    let error = run(&source, "webm", r#""transcode""#).err().unwrap();
    assert_eq!(error.code(), "INPUT_INVALID", "{error}");
    assert!(error.to_string().contains("at 0.480 s can not be decoded"), "{error}");
}

#[test]
fn tracks_of_an_output_that_is_copied_as_a_whole_do_not_shift_those_of_the_next() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // This index is moved without a muxer, so the packets of the two tracks are not counted.
    let source = fixtures::get("no-faststart.mp4");
    let folder = tempfile::tempdir().unwrap();
    let to = |mut plan: Plan, name: &str| {
        plan.outputs[0].location = folder.path().join(name).into();
        plan
    };
    let mut both = to(plan(&source, "mp4", r#""transcode""#).unwrap(), "whole.mp4");
    assert!(both.outputs[0].moves_index);
    let sound = to(plan(&source, "wav", r#""extractAudio""#).unwrap(), "sound.wav");
    both.outputs.extend(sound.outputs);
    let mut last = 0;
    let options = RunOptions::default().observe(|progress| {
        last = progress.frames;
        ControlFlow::Continue(())
    });
    let report = Engine::default().run(&both, options).unwrap();
    assert_eq!(last, 0, "packets of sound are no frames");
    assert_eq!(report.warnings, []);
    assert!((seconds_of_sound(&folder.path().join("sound.wav")) - 4.0).abs() < 0.03);
}

#[test]
fn sound_of_real_clips_is_copied_as_long_as_it_is() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let natural = |codec: &str| match codec {
        "vorbis" => Some("ogg"),
        "opus" | "mp3" | "aac" | "flac" => {
            copied_codecs().find(|copied| copied.extension == codec).map(|copied| copied.extension)
        }
        _ => None,
    };
    let (mut turn, mut compared) = (0, 0);
    for clip in fixtures::media_clips!() {
        // Jobs that are refused are tested elsewhere.
        let Ok(plan) = plan(&clip, "m4a", r#""extractAudio""#) else { continue };
        let index = plan.tracks().find_map(|track| track.sources().next()).unwrap().stream;
        let probe = judge::probe(&clip);
        let Some(stream) = probe.streams.get(index) else { continue };
        let Some(extension) = natural(&stream.codec) else { continue };
        turn += 1;
        if extension != "ogg" && turn % 5 != 0 && !fixtures::soak() {
            continue;
        }
        let document = document(&clip, extension, r#""extractAudio""#);
        let outcome = match run_document(&document, extension) {
            Ok(outcome) => outcome,
            Err(error) => {
                assert_eq!(error.code(), "INPUT_INVALID", "{}: {error}", clip.display());
                continue;
            }
        };
        let is_first = probe.audio().index == stream.index;
        if *action(&outcome.report.plan) != Action::Copy || !is_first {
            continue;
        }
        let (of_source, of_result) = (Content::of(&clip, false), Content::of(&outcome.path, false));
        let slack = slack(&stream.codec);
        let what = clip.display();
        assert!(of_result.is_near(&of_source, slack), "{what}: {of_result:?} of {of_source:?}");
        compared += 1;
    }
    assert!(compared >= 3, "{compared} compared");
}

/// How many samples the decoded copy may differ from its source. AAC and MP3 begin and end with
/// samples that some containers hide and others do not.
fn slack(codec: &str) -> usize {
    match codec {
        "aac" | "mp3" => 2 * 1152,
        "ac3" | "eac3" => 256,
        _ => 0,
    }
}

/// The decoded content of the first stream of a kind.
#[derive(Debug, PartialEq)]
enum Content {
    /// A hash of each frame.
    Frames(Vec<String>),
    /// The number of samples of all channels.
    Samples(usize),
}

impl Content {
    fn of(path: &Path, is_video: bool) -> Self {
        if is_video {
            return Self::Frames(judge::frame_hashes(path, "v:0"));
        }
        Self::Samples(judge::audio_samples(path).data.len())
    }

    fn is_near(&self, other: &Self, slack: usize) -> bool {
        match (self, other) {
            (Self::Samples(one), Self::Samples(other)) => one.abs_diff(*other) <= 2 * slack,
            _ => self == other,
        }
    }

    fn twice(&self) -> Self {
        match self {
            Self::Frames(hashes) => Self::Frames([hashes.as_slice(), hashes].concat()),
            Self::Samples(samples) => Self::Samples(2 * samples),
        }
    }
}

#[test]
fn every_codec_is_copied_whole_into_every_container_that_holds_it() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let mut turn = 0;
    let mut wrong = Vec::new();
    for copied in fixtures::sample(copied_codecs(), 7) {
        let prefix = format!("copy-{}.", copied.codec);
        let sources: Vec<_> = fixtures::copies().filter(|name| name.starts_with(&prefix)).collect();
        assert!(!sources.is_empty(), "no fixture of {}", copied.codec);
        let mut copies = 0;
        for recipe in recipes(&copied) {
            // Each recipe gets one source by turns, and `concat` every second codec, or all of them
            // with `AVOCET_SOAK`.
            turn += 1;
            if !fixtures::soak() && recipe == "concat" && turn % 2 == 0 {
                continue;
            }
            let chosen = |place: &usize| fixtures::soak() || *place == turn % sources.len();
            for place in (0..sources.len()).filter(chosen) {
                let what = format!("{} into {} by {recipe}", sources[place], copied.extension);
                let found = copy(&copied, recipe, &fixtures::get(sources[place]));
                match found {
                    Ok(is_copy) => copies += usize::from(is_copy),
                    Err(error) => wrong.push(format!("{what}: {error}")),
                }
            }
        }
        if copies == 0 {
            wrong.push(format!("{} is never copied into {}", copied.codec, copied.extension));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The recipes that can copy a codec into a container.
fn recipes(copied: &Copied) -> Vec<&'static str> {
    let is_audio = Format::from_extension(copied.extension).is_some_and(Format::is_audio);
    let all = [
        ("transcode", copied.by_all),
        ("trim", true),
        // The header of FLAC counts the samples of one stream.
        ("concat", copied.extension != "flac"),
        ("extractAudio", copied.by_all && is_audio),
    ];
    all.into_iter().filter_map(|(recipe, copies)| copies.then_some(recipe)).collect()
}

/// Copies a source into a container. Returns whether it was a stream copy; the error is what is
/// wrong with the result.
fn copy(copied: &Copied, recipe: &str, source: &Path) -> Result<bool, String> {
    let extension = copied.extension;
    let joins = recipe == "concat";
    let document = if joins {
        joining(&[source.to_owned(), source.to_owned()], extension)
    } else {
        document(source, extension, &format!("\"{recipe}\""))
    };
    let outcome = run_document(&document, extension).map_err(|error| error.to_string())?;
    let kind = if copied.is_video { TrackKind::Video } else { TrackKind::Audio };
    let track = outcome.report.plan.tracks().find(|track| track.kind == kind).unwrap();
    if track.action != Action::Copy {
        let why = track.because[0].code.as_str();
        // These reasons are due to the source, not to the codec.
        let of_source =
            ["HIDDEN_BY_EDIT_LIST", "INPUTS_DIFFER", "PRIMING_AT_JOIN", "TIMES_MISSING"];
        let is_known = of_source.contains(&why);
        return if is_known { Ok(false) } else { Err(format!("encoded, since {why}")) };
    }
    let content = Content::of(source, copied.is_video);
    let expected = if joins { content.twice() } else { content };
    let found = Content::of(&outcome.path, copied.is_video);
    if !found.is_near(&expected, slack(copied.codec)) {
        return Err(format!("{found:?} instead of {expected:?}"));
    }
    let errors = judge::decode_errors(&outcome.path);
    if errors.is_empty() { Ok(true) } else { Err(format!("{errors:?}")) }
}
