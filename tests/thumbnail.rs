//! Thumbnails: the frame that a player shows, upright, with the right shape and colors.

use std::{fs, path::Path};

use avocet::{Engine, Source, engine::ProbeOptions};
use fixtures::judge;

use crate::support::{run, source_frames};

/// Checks that the thumbnail at `seconds` looks like the frame that the ffmpeg program shows then
/// after a full decode, through the same filters, and is no more like its neighbors.
pub(crate) fn check_against_full_decode(clip: &Path, seconds: f64, recipe: &str, format: &str) {
    let outcome = run(clip, format, &format!(r#""thumbnail","seekSeconds":{seconds}{recipe}"#))
        .unwrap_or_else(|error| panic!("{}: {error}", clip.display()));
    let made = judge::probe(&outcome.path);
    let (made, source) = (made.video(), judge::probe(clip));
    let video = source.video();
    let start = source.start.unwrap_or(0.0).max(0.0);
    let frames = source_frames(clip);
    // The time has a precision of 1 ms, and containers round frame times to ticks.
    let time = start + seconds + f64::min(video.tick / 2.0, 0.000_5);
    let shown = frames.iter().filter(|frame| frame.pts <= time).count();
    let index = shown.max(1) - 1;

    let is_hd = video.width >= 1280 || video.height >= 720;
    // FFmpeg 9 reports the container's colors even if frames are decoded with other ones.
    let first = judge::first_frame(clip);
    let color = |name: &str| first[name].as_str().unwrap_or_default().to_owned();
    let (transfer, space) = (color("color_transfer"), color("color_space"));
    let matrix = match space.as_str() {
        "bt709" => "bt709",
        "bt470bg" | "smpte170m" => "bt601",
        "bt2020nc" => "bt2020",
        _ if is_hd => "bt709",
        _ => "bt601",
    };
    let interlaced = !matches!(video.field_order.as_str(), "progressive" | "");
    let mut filters = Vec::new();
    if interlaced {
        filters.push("bwdif=mode=send_frame:deint=interlaced".to_owned());
    }
    let first = index.saturating_sub(2);
    filters.push(format!("select=between(n\\,{first}\\,{})", index + 2));
    let mut matrix = format!(":in_color_matrix={matrix}");
    if transfer == "smpte2084" || transfer == "arib-std-b67" {
        let peak = peak(clip) / 203.0;
        filters.push(format!(
            "zscale=tin={transfer}:min=2020_ncl:pin=2020:rin=tv:t=linear:npl=203,format=gbrpf32le,\
             zscale=p=bt709,tonemap=tonemap=mobius:desat=0:peak={peak:.3},\
             format=gbrp16le,zscale=t=bt709:m=bt709:p=bt709:r=tv,format=yuv420p"
        ));
        matrix = String::from(":in_color_matrix=bt709");
    }
    if video.pix_fmt.starts_with("bgr") || video.pix_fmt.starts_with("rgb") {
        matrix.clear();
    }
    filters.push(format!(
        "scale={}:{}:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp{matrix},format=rgb24",
        made.width, made.height
    ));
    let likeness = judge::ssim_of_each(&outcome.path, clip, &filters.join(","));
    let (shown, most) = (likeness[index - first], likeness.iter().copied().fold(0.0, f64::max));
    assert!(shown >= 0.98, "{} at {seconds} s: SSIM {shown}", clip.display());
    // Neighbors may be equal, and lossy compression blurs the difference.
    assert!(shown >= most - 2e-4, "{} at {seconds} s: {likeness:?}", clip.display());
}

/// The peak luminance that a clip declares, in cd/m², limited to 400 to 4000; 1000 by default.
fn peak(clip: &Path) -> f64 {
    let frame = judge::first_frame(clip);
    let side = |kind: &str| {
        frame["side_data_list"]
            .as_array()?
            .iter()
            .find(|side| side["side_data_type"] == kind)
            .cloned()
    };
    let light = side("Content light level metadata")
        .and_then(|light| light["max_content"].as_f64())
        .filter(|peak| *peak > 0.0);
    let mastering = || {
        let text = side("Mastering display metadata")?["max_luminance"].as_str()?.to_owned();
        let (num, den) = text.split_once('/')?;
        Some(num.parse::<f64>().ok()? / den.parse::<f64>().ok()?)
    };
    light.or_else(mastering).filter(|peak| *peak > 0.0).unwrap_or(1000.0).clamp(400.0, 4000.0)
}

#[test]
fn a_thumbnail_is_the_frame_that_a_full_decode_shows_on_real_clips() {
    let cases = ["png", "png", "jpg", "png", "webp"].into_iter().enumerate();
    let clips = fixtures::media_clips!();
    let table = clips.iter().flat_map(|clip| cases.clone().map(move |case| (clip, case)));
    for (clip, (place, format)) in fixtures::sample(table, 13) {
        let source = judge::probe(clip);
        if source.of_kind("video").all(|stream| stream.is("attached_pic")) {
            let made = run(clip, "jpg", r#""thumbnail""#);
            let code = match &made {
                Ok(outcome) => outcome.report.warnings[0].code.as_str(),
                Err(error) => error.code(),
            };
            let has_cover = source.of_kind("video").next().is_some();
            assert_eq!(code, if has_cover { "COVER_SHOWN" } else { "INPUT_INVALID" });
            continue;
        }
        let end = source.duration.unwrap_or(0.0);
        // At the second time, a seek in `640x480_seg0.ts` ends within a packet.
        let seconds = [0.0, 0.83478, 1.0, end * 0.5, end * 0.97][place];
        check_against_full_decode(clip, seconds, "", format);
    }
}

#[test]
fn thumbnails_of_made_clips_show_the_right_frame() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let check = |name: &str, seconds: f64, expected: u16| {
        let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
        let outcome = run(&fixtures::get(name), "png", &recipe).unwrap();
        assert_eq!(judge::counters(&outcome.path), [Some(expected)], "{name} at {seconds} s");
    };
    for name in
        ["counter-h264-aac.mp4", "h264-open-gop.mp4", "hevc-open-gop.mp4", "h264-intra-refresh.mp4"]
    {
        check(name, 0.0, 0);
        check(name, 0.039, 0);
        check(name, 0.04, 1);
        check(name, 1.0, 25);
        check(name, 1.99, 49);
    }
    check("vp9-opus.webm", 1.0, 25);
    check("counter-h264-aac.mov", 2.5, 62);
    check("counter-60s.mp4", 59.96, 1499);
}

#[test]
fn past_the_end_is_the_last_frame_and_a_warning() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["counter-h264-aac.mp4", "counter-h264-aac.mkv", "counter-h264-aac.ts"] {
        let outcome =
            run(&fixtures::get(name), "png", r#""thumbnail","seekSeconds":1000"#).unwrap();
        assert_eq!(judge::counters(&outcome.path), [Some(99)], "{name}");
        assert!(outcome.report.warnings.iter().any(|warning| warning.code == "SEEK_PAST_END"));
    }
}

#[test]
fn a_thumbnail_stands_upright() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["rot90.mp4", "rot180.mp4", "rot270.mp4", "mirrored.mp4", "mirrored-rot90.mp4"] {
        let outcome = run(&fixtures::get(name), "png", r#""thumbnail""#).unwrap();
        assert_eq!(judge::picture(&outcome.path).corners(), judge::UPRIGHT, "{name}");
    }
}

#[test]
fn a_thumbnail_has_the_shape_that_is_shown() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let check = |name: &str, recipe: &str, expected: (u32, u32)| {
        let outcome = run(&fixtures::get(name), "jpg", &format!(r#""thumbnail"{recipe}"#)).unwrap();
        let made = judge::probe(&outcome.path);
        assert_eq!((made.video().width, made.video().height), expected, "{name} {recipe}");
        assert!(matches!(made.video().sar.as_str(), "" | "1:1" | "0:1"), "{}", made.video().sar);
    };
    check("sar-16-15.mp4", "", (768, 576));
    check("sar-64-45.mp4", "", (1024, 576));
    check("sar-64-45.mp4", r#","width":512"#, (512, 288));
    check("odd-405x720.mp4", "", (405, 720));
    check("odd-161x121.webm", "", (161, 121));
    check("tiny-1x1.mkv", "", (1, 1));
    check("tiny-3x2.mkv", "", (3, 2));
    check("hd-720p.mp4", r#","width":320,"height":320"#, (320, 180));
    check("counter-h264-aac.mp4", r#","width":4000"#, (320, 180));
}

#[test]
fn a_small_file_that_was_read_to_its_end_can_be_read_again() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // The whole file fits into libav's buffer, which a read at the end must not change.
    for seconds in [0.1, 0.5, 1000.0] {
        let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
        run(&fixtures::get("animated.gif"), "png", &recipe).unwrap();
    }
}

#[test]
fn frames_of_a_stream_without_times_are_counted() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (raw, whole) = (fixtures::get("raw.h264"), fixtures::get("counter-h264-aac.mp4"));
    for seconds in ["0", "1", "2.52", "100"] {
        let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
        let [counted, timed] =
            [&raw, &whole].map(|clip| fs::read(run(clip, "png", &recipe).unwrap().path).unwrap());
        assert!(counted == timed, "another frame at {seconds} s");
    }
}

/// A quick probe reads from parameter sets what a decoded frame would tell.
#[test]
fn a_glance_sees_what_a_close_look_does() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let broken: Vec<_> = fixtures::broken().collect();
    let made = fixtures::all().filter(|name| !broken.contains(name) && *name != "three-hours.mkv");
    for clip in made.map(fixtures::get).chain(fixtures::media_clips()) {
        let (engine, source) = (Engine::default(), Source::path(&clip));
        let close = engine.probe(&source, ProbeOptions::default());
        let glance = engine.probe(&source, ProbeOptions::default().pictures_only(true));
        let (Ok(close), Ok(glance)) = (close, glance) else { continue };
        let looks = |media: &avocet::media::MediaInfo| {
            let videos = media.videos().map(|(stream, video)| {
                let avocet::media::VideoInfo { frame_rate: _, nominal_frame_rate: _, .. } = video;
                let video = avocet::media::VideoInfo {
                    frame_rate: None,
                    nominal_frame_rate: None,
                    ..video.clone()
                };
                (stream.index, stream.start, video)
            });
            (media.start, videos.collect::<Vec<_>>())
        };
        assert_eq!(looks(&close), looks(&glance), "{}", clip.display());
    }
}
