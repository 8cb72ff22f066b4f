//! Media that was refused for bad reasons, or that failed without a good one.

use std::{
    path::{Path, PathBuf},
    sync::Barrier,
    thread,
};

use avocet::{
    CancelToken, Engine, Error, Job, Plan, Policy, Report, Source,
    engine::{Error as EngineError, ProbeOptions, RunOptions, Settings},
    media::Kind,
    recipes::FrameQuery,
};
use fixtures::judge;

use crate::{
    support::{alone, job, join, joining, plan, planned, release, run, run_document},
    traps_picture::{assert_near, made},
};

/// The code and the message of a job that must fail.
fn refusal(clip: &Path, format: &str, recipe: &str) -> (&'static str, String) {
    match run(clip, format, recipe) {
        Ok(_) => panic!("{} in {format} by {recipe} was done", clip.display()),
        Err(error) => (error.code(), error.to_string()),
    }
}

/// Runs a storyboard into a new folder.
fn storyboard(engine: &Engine, clip: &Path, format: &str) -> Result<Report, Error> {
    let folder = tempfile::tempdir().unwrap();
    let job = job(clip, format, r#""storyboard""#);
    avocet::job(job).output(folder.path()).engine(engine).run()
}

/// Runs a plan on an engine with these settings.
fn run_within(settings: Settings, plan: &Plan) -> Result<Report, EngineError> {
    Engine::new(settings).run(plan, RunOptions::default())
}

#[test]
fn a_seek_that_fails_is_read_from_the_start() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let Some(clip) = fixtures::case!("Sony-00001.mp4") else { return };
    for seconds in [0.0, 0.05, 0.1] {
        let outcome = made(&clip, "png", &format!(r#""thumbnail","seekSeconds":{seconds}"#));
        let expected = judge::rgb(&clip, seconds, "");
        let found = judge::picture(&outcome.path);
        for (column, row) in [(1, 1), (5, 3), (9, 6)] {
            let (at, all) =
                (found.cell((column, 12), (row, 8)), expected.cell((column, 12), (row, 8)));
            for (found, expected) in at.into_iter().zip(all) {
                assert_near(found, expected, 6.0, &format!("cell {column}, {row} at {seconds} s"));
            }
        }
    }
}

#[test]
fn media_without_a_frame_is_told_as_that() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, told) in [
        ("no-keyframe.webm", "no frame of stream 0 could be decoded"),
        ("no-samples.mp4", "stream 0 has no packets"),
    ] {
        let clip = fixtures::get(name);
        for recipe in [r#""thumbnail""#, r#""thumbnail","seekSeconds":1.5"#] {
            let (code, message) = refusal(&clip, "png", recipe);
            assert_eq!(code, "INPUT_INVALID", "{name}: {message}");
            assert!(message.contains(told), "{name}: {message}");
        }
        let error = storyboard(&Engine::default(), &clip, "jpg").unwrap_err();
        assert!(error.to_string().contains(told), "{name}: {error}");
    }
    let (code, message) = refusal(&fixtures::get("no-samples.mp4"), "mp4", r#""webReady""#);
    assert_eq!(code, "INPUT_INVALID", "{message}");
    assert!(message.contains("video stream 0:0 has no packets"), "{message}");
}

/// Eight threads open and free AV1 encoders repeatedly. If SVT-AV1 is not guarded, the process
/// crashes about once in five runs.
#[test]
fn av1_is_encoded_by_many_jobs_of_one_process() {
    const THREADS: usize = 8;
    if !fixtures::has_ffmpeg!() || !alone(fixtures::test_name!()) {
        return;
    }
    let clip = fixtures::get("small.mp4");
    let begin = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                begin.wait();
                for _ in 0..3 {
                    let recipe = r#""transcode","codec":"av1","preset":13"#;
                    let outcome = made(&clip, "mp4", recipe);
                    assert_eq!(judge::decode_errors(&outcome.path), [""; 0]);
                    assert_eq!(judge::frames(&outcome.path).len(), 4);
                }
            });
        }
    });
}

#[test]
fn pictures_with_odd_sides_are_mapped_to_standard() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let recipes = [
        ("png", r#""thumbnail""#),
        ("jpg", r#""thumbnail""#),
        ("webp", r#""thumbnail","width":100"#),
        ("mp4", r#""webReady""#),
        ("mp4", r#""proxy""#),
        ("mp4", r#""compress""#),
        ("mp4", r#""transcode","codec":"h264","preset":"veryfast""#),
        ("mov", r#""resize","width":99"#),
        ("mp4", r#""transcode","codec":"hevc","preset":"ultrafast""#),
        ("webm", r#""trim","startSeconds":0.1"#),
    ];
    for (name, format, recipe) in ["odd-pq.webm", "odd-hlg.webm", "odd-wide.webm"]
        .into_iter()
        .flat_map(|name| recipes.map(|(format, recipe)| (name, format, recipe)))
    {
        let outcome = made(&fixtures::get(name), format, recipe);
        assert_eq!(judge::decode_errors(&outcome.path), [""; 0], "{name} in {format} by {recipe}");
    }
    for name in ["odd-pq.webm", "odd-hlg.webm", "odd-wide.webm"] {
        storyboard(&Engine::default(), &fixtures::get(name), "jpg").unwrap();
    }
    // With 4:4:4 chroma odd sides need no adjustment, so the result must be the same.
    for (odd, even) in [("odd-pq.webm", "odd-pq-444.mkv"), ("odd-wide.webm", "odd-wide-444.mkv")] {
        for (format, recipe) in [("png", r#""thumbnail""#), ("mp4", r#""webReady","crf":4"#)] {
            let found = judge::picture(&made(&fixtures::get(odd), format, recipe).path);
            let expected = judge::picture(&made(&fixtures::get(even), format, recipe).path);
            assert_eq!((found.width, found.height), (expected.width, expected.height));
            for bar in 0..fixtures::BARS.len() {
                let cell = |picture: &judge::Picture| picture.cell((bar, 8), (0, 1));
                for (found, expected) in cell(&found).into_iter().zip(cell(&expected)) {
                    assert_near(found, expected, 4.0, &format!("bar {bar} of {odd} in {format}"));
                }
            }
        }
    }
    let joined = [fixtures::get("odd-pq.webm"), fixtures::get("small.mp4")];
    assert_eq!(judge::decode_errors(&join(&joined, "mp4").unwrap().path), [""; 0]);
}

#[test]
fn channels_without_a_layout_are_mixed_down() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("ten-channels.wav");
    let section = r#","startSeconds":0,"durationSeconds":0.9999"#;
    for (format, section) in
        ["mp3", "aac", "m4a"].map(|format| (format, "")).into_iter().chain([("m4a", section)])
    {
        let outcome = made(&clip, format, &format!(r#""extractAudio"{section}"#));
        let track = outcome.plan.tracks().next().unwrap();
        assert!(track.because.iter().any(|reason| reason.code == "CHANNELS_MIXED"), "{format}");
        let levels = judge::tone_levels(&outcome.path);
        assert_eq!(levels.len(), 1, "{format}");
        for (tone, level) in fixtures::TONES.into_iter().zip(levels[0]) {
            assert_near(level, 0.08, 0.02, &format!("{tone} Hz in {format}"));
        }
    }
    // WAV stores the channels without a layout.
    let recipe = r#""trim","startSeconds":0.25,"durationSeconds":0.5"#;
    let outcome = made(&clip, "wav", recipe);
    assert_eq!(judge::tones(&outcome.path), judge::tones(&clip));
    // Another input of the join may have a layout.
    let spoken = fixtures::get("tones-51.wav");
    for inputs in [[clip.clone(), spoken.clone()], [spoken, clip]] {
        for format in ["mp3", "m4a", "wav"] {
            let outcome = join(&inputs, format).unwrap();
            assert_eq!(judge::decode_errors(&outcome.path), [""; 0], "{inputs:?} in {format}");
        }
    }
}

#[test]
fn a_side_that_an_encoder_does_not_take_is_refused_by_the_plan_or_fitted() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let wide = fixtures::get("20000x64.mkv");
    let high = fixtures::get("64x20000.mkv");
    // Recipes that keep the size report the largest one that is possible.
    for (clip, format, recipe, told) in [
        (&wide, "mp4", r#""transcode""#, "at most 16384x16384 pixels for h264"),
        (&high, "mp4", r#""transcode""#, "at most 16384x16384 pixels for h264"),
        (&wide, "webm", r#""transcode""#, "at most 16384x16384 pixels for vp9"),
        (&wide, "mp4", r#""transcode","codec":"av1""#, "at most 16384x8704 pixels for av1"),
        (&high, "webm", r#""transcode","codec":"av1""#, "at most 16384x8704 pixels for av1"),
        (&wide, "mov", r#""trim","startSeconds":0"#, "at most 16384x16384 pixels for h264"),
    ] {
        let error = plan(clip, format, recipe).unwrap_err();
        assert_eq!(error.code(), "INPUT_INVALID", "{recipe}: {error}");
        assert!(error.to_string().contains(told), "{recipe}: {error}");
    }
    // Recipes that may scale down do so.
    let table = [
        (&wide, "webp", r#""thumbnail""#, (16_383, 52)),
        (&high, "webp", r#""thumbnail""#, (52, 16_383)),
        (&wide, "jpg", r#""thumbnail""#, (20_000, 64)),
        (&wide, "png", r#""thumbnail""#, (20_000, 64)),
        (&wide, "mp4", r#""proxy""#, (16_384, 52)),
        (&wide, "mp4", r#""transcode","codec":"hevc","preset":"ultrafast""#, (20_000, 64)),
    ];
    for (clip, format, recipe, size) in fixtures::sample(table, 2) {
        let outcome = made(clip, format, recipe);
        let video = judge::probe(&outcome.path).video().clone();
        assert_eq!((video.width, video.height), size, "{format} by {recipe}");
        let track = outcome.plan.tracks().next().unwrap();
        let is_told = track.because.iter().any(|reason| reason.code == "SCALED_DOWN");
        assert_eq!(is_told, video.width != 20_000, "{format} by {recipe}");
    }
    for format in fixtures::sample(["webp", "jpg", "png"], 3) {
        storyboard(&Engine::default(), &high, format).unwrap();
    }
}

#[test]
fn a_size_that_libav_does_not_take_is_refused_by_the_plan() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("small.mp4");
    for (format, codec) in [("mp4", "h264"), ("webm", "vp9")] {
        let recipe = r#""resize","width":16384,"height":16384"#;
        let error = plan(&clip, format, recipe).unwrap_err();
        assert_eq!(error.code(), "VALIDATION_ERROR", "{error}");
        assert!(error.to_string().contains(&format!("{codec} takes fewer than 268435456 pixels")));
    }
    let picture = fixtures::get("huge.png");
    for (format, recipe) in [("jpg", r#""thumbnail""#), ("mp4", r#""transcode""#)] {
        let (code, message) = refusal(&picture, format, recipe);
        assert_eq!(code, "LIMIT_EXCEEDED", "{message}");
        assert!(message.contains("65535x65535"), "{message}");
    }
    assert_eq!(
        storyboard(&Engine::default(), &picture, "jpg").unwrap_err().code(),
        "LIMIT_EXCEEDED"
    );
}

#[test]
fn an_animation_made_by_the_ffmpeg_program_has_its_size() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let url = serde_json::to_string(fixtures::get("small.mp4").to_str().unwrap()).unwrap();
    let document = format!(
        r#"{{"mode":"ffmpeg","input_files":{{"in_1":{url}}},"output_files":{{"out_1":"a.webp"}},
           "ffmpeg":{{"args":["-i","{{{{in_1}}}}","-c:v","libwebp_anim","{{{{out_1}}}}"]}}}}"#
    );
    let job = Job::from_json(&document, Policy::Program).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let report = avocet::job(job).output(folder.path()).run().unwrap();
    let media = &report.outputs[0].media;
    let sizes: Vec<_> = media.videos().map(|(_, video)| (video.width, video.height)).collect();
    assert_eq!(sizes, [(64, 64)]);
}

#[test]
fn a_message_names_what_is_the_matter() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let thumbnail = |name: &str| refusal(&fixtures::get(name), "jpg", r#""thumbnail""#);
    let (code, message) = thumbnail("sizeless.png");
    assert_eq!(code, "INPUT_INVALID");
    assert!(
        message.ends_with(
            "has video (png) of unknown size; the job needs a video stream of known size"
        ),
        "{message}"
    );

    let unknown = fixtures::get("unknown-codec.mp4");
    for (format, recipe) in
        [("jpg", r#""thumbnail""#), ("mp4", r#""transcode""#), ("mp4", r#""webReady""#)]
    {
        let (code, message) = refusal(&unknown, format, recipe);
        assert_eq!(code, "CONFIG_ERROR", "{message}");
        assert!(message.starts_with("there is no decoder `zzz1`"), "{message}");
    }
    let error = storyboard(&Engine::default(), &unknown, "jpg").unwrap_err();
    assert!(error.to_string().starts_with("there is no decoder `zzz1`"), "{error}");

    let inputs = ["small.mp4", "turned.mp4"].map(fixtures::get);
    let outcome = run_document(&joining(&inputs, "mp4"), "mp4").unwrap();
    let because = &outcome.plan.tracks().next().unwrap().because;
    let told: Vec<_> = because.iter().map(|reason| reason.message.as_str()).collect();
    assert!(told.contains(&"input 1 is rotated in another way than the first"), "{told:?}");

    let outcome = made(&fixtures::get("two-sizes.mkv"), "mp4", r#""transcode""#);
    let dropped: Vec<_> =
        outcome.plan.dropped.iter().map(|it| it.because.message.as_str()).collect();
    assert_eq!(dropped, ["stream 1, which is larger, is used"]);
}

#[test]
fn dolby_vision_in_colors_of_its_own_is_never_decoded_as_if_it_were_not() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("dolby-5.mp4");
    let recipes = [
        ("png", r#""thumbnail""#),
        ("mp4", r#""webReady""#),
        ("mp4", r#""proxy""#),
        ("mp4", r#""compress""#),
        ("mp4", r#""resize","width":64"#),
        ("webm", r#""transcode""#),
        // libavformat writes no Dolby Vision configuration into QuickTime.
        ("mov", r#""transcode""#),
        ("mp4", r#""transcode","reencode":true"#),
        ("mp4", r#""trim","startSeconds":0.5"#),
    ];
    for (format, recipe) in recipes {
        let (code, message) = refusal(&clip, format, recipe);
        assert_eq!(code, "CONFIG_ERROR", "{format} by {recipe}: {message}");
        assert!(message.contains("Dolby Vision profile 5"), "{message}");
        // With a base layer that other decoders understand, the job is done.
        made(&fixtures::get("dolby-8.mp4"), format, recipe);
    }
    assert_eq!(storyboard(&Engine::default(), &clip, "jpg").unwrap_err().code(), "CONFIG_ERROR");
    let engine = Engine::default();
    let looked = avocet::frames(&clip).engine(&engine).iter();
    assert_eq!(looked.err().map(|error| error.code()), Some("CONFIG_ERROR"));
    let joined = [clip.clone(), fixtures::get("small.mp4")];
    assert_eq!(join(&joined, "mp4").err().map(|error| error.code()), Some("CONFIG_ERROR"));
}

#[test]
fn copies_keep_dolby_vision() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, profile, compatibility) in [("dolby-5.mp4", 5, 0), ("dolby-8.mp4", 8, 1)] {
        let clip = fixtures::get(name);
        for (format, recipe) in [
            ("mp4", r#""transcode""#),
            ("mp4", r#""trim","startSeconds":0.4,"accuracy":"keyframe""#),
        ] {
            let outcome = made(&clip, format, recipe);
            let media = &outcome.report.outputs[0].media;
            let (stream, video) = media.videos().next().unwrap();
            let said = video.dolby_vision.map(|it| (it.profile, it.compatibility));
            assert_eq!(said, Some((profile, compatibility)), "{name} in {format} by {recipe}");
            assert_eq!(stream.tag.as_deref(), Some("hvc1"), "{name} in {format} by {recipe}");
        }
        let outcome = made(&clip, "mp4", r#""transcode""#);
        let hashes = |path: &Path| judge::packet_hashes(path, "v:0");
        assert_eq!(hashes(&outcome.path), hashes(&clip), "{name}");
    }
}

#[test]
fn a_picture_made_of_tiles_is_whole_or_refused() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, told) in [("grid.heic", "(grid)"), ("grid.avif", "(grid)"), ("one.heic", "(hvc1)")] {
        let clip = fixtures::get(name);
        for (format, recipe) in [("png", r#""thumbnail""#), ("mp4", r#""transcode""#)] {
            let (code, message) = refusal(&clip, format, recipe);
            // Releases that read HEIC find no picture in the boxes of this file.
            if name == "one.heic" && release() >= 7 {
                assert_eq!(code, "INPUT_INVALID", "{name}: {message}");
                assert!(message.contains("of unknown size"), "{name}: {message}");
                continue;
            }
            assert_eq!(code, "CONFIG_ERROR", "{name}: {message}");
            assert!(message.contains(told), "{name}: {message}");
        }
    }
}

/// Settings with limits on the pixels and on the seconds of inputs.
fn limited(max_pixels: u64, max_media_seconds: f64) -> Settings {
    Settings { max_pixels, max_media_seconds, ..Settings::default() }
}

#[test]
fn limits_hold_in_the_run_of_a_stored_plan() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // The clip has 320 by 180 pixels and lasts four seconds.
    let clip = fixtures::get("counter-h264-aac.mp4");
    for (format, recipe) in [
        ("mp4", r#""webReady""#),
        ("mov", r#""transcode""#),
        ("mp4", r#""transcode""#),
        ("mp4", r#""proxy""#),
        ("mp4", r#""trim","startSeconds":0.5"#),
        ("png", r#""thumbnail""#),
        ("mp3", r#""extractAudio""#),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let plan = planned(&clip, format, recipe, folder.path());
        for settings in [limited(50_000, f64::INFINITY), limited(u64::MAX, 3.0)] {
            let error = run_within(settings, &plan).unwrap_err();
            assert_eq!(error.code(), "LIMIT_EXCEEDED", "{recipe}: {error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        run_within(limited(57_600, 5.0), &plan).unwrap();
    }
    let engine = Engine::new(limited(50_000, f64::INFINITY));
    let (source, cancel) = (Source::path(&clip), CancelToken::new());
    let request = FrameQuery::default();
    let media = Engine::default().probe(&source, ProbeOptions::default()).unwrap();
    let request = request.request(&media, engine.capabilities()).unwrap();
    assert_eq!(engine.frames(&source, request, &cancel).err().unwrap().code(), "LIMIT_EXCEEDED");
    let index = engine.index(&source, &(0.0..1.0), &cancel);
    assert_eq!(index.err().unwrap().code(), "LIMIT_EXCEEDED");
    let error = storyboard(&engine, &clip, "jpg").unwrap_err();
    assert_eq!(error.code(), "LIMIT_EXCEEDED");
}

#[test]
fn a_picture_that_grows_in_mid_stream_passes_no_limit() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clips: Vec<PathBuf> = GROWING.map(fixtures::get).into();
    for clip in clips {
        let engine = Engine::new(limited(20_000, f64::INFINITY));
        let (source, cancel) = (Source::path(&clip), CancelToken::new());
        let media = engine.probe(&source, ProbeOptions::default()).unwrap();
        let Kind::Video(video) = &media.streams[0].kind else { panic!("no video") };
        assert_eq!((video.width, video.height), (160, 90), "{}", clip.display());
        let folder = tempfile::tempdir().unwrap();
        for (format, recipe) in [
            ("mp4", r#""transcode","reencode":true,"preset":"ultrafast""#),
            ("png", r#""thumbnail","seekSeconds":1.5"#),
        ] {
            let plan = planned(&clip, format, recipe, folder.path());
            let error = run_within(limited(20_000, f64::INFINITY), &plan).unwrap_err();
            let name = format!("{} by {recipe}: {error}", clip.display());
            assert_eq!(error.code(), "LIMIT_EXCEEDED", "{name}");
            assert!(error.to_string().contains("it has pictures of"), "{name}");
            run_within(limited(640 * 368, f64::INFINITY), &plan).unwrap();
        }
        let request = FrameQuery::default().request(&media, engine.capabilities()).unwrap();
        let mut frames = engine.frames(&source, request, &cancel).unwrap();
        let error = frames.find_map(Result::err).unwrap();
        assert_eq!(error.code(), "LIMIT_EXCEEDED", "{}", clip.display());
    }
}

/// Clips whose frames grow from 160x90 to 640x360 after a second.
const GROWING: [&str; 3] = ["grows-h264.ts", "grows-hevc.ts", "grows-mpeg2.ts"];

#[test]
fn media_without_a_duration_passes_no_limit() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("recorded.webm");
    let folder = tempfile::tempdir().unwrap();
    let plan = planned(&clip, "mp4", r#""transcode""#, folder.path());
    let error = run_within(limited(u64::MAX, 1.0), &plan).unwrap_err();
    assert_eq!(error.code(), "LIMIT_EXCEEDED", "{error}");
    run_within(limited(u64::MAX, 3.0), &plan).unwrap();
    let engine = Engine::new(limited(u64::MAX, 1.0));
    let (source, cancel) = (Source::path(&clip), CancelToken::new());
    let index = engine.index(&source, &(0.0..1.0), &cancel);
    assert_eq!(index.err().unwrap().code(), "LIMIT_EXCEEDED");
}
