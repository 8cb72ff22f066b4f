//! Plans over a table of probe results, compared with snapshots: without media and libav.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at files from outside"
)]

mod probes;

use std::{env, fs, path::Path, sync::Arc};

use avocet_model::{
    capabilities::Capabilities,
    index::RandomAccess,
    location::Location,
    media::movie::Edit,
    media::{Kind, Orientation, Scan},
    plan::Plan,
    time::Timestamp,
};
use avocet_recipes::{CompileContext, Job, Policy, Probed};
use probes::*;

/// Capabilities with everything that recipes use.
fn capable() -> Capabilities {
    let set = |names: &str| names.split(' ').map(str::to_owned).collect();
    Capabilities {
        encoders: set(
            "libx264 libx265 libsvtav1 libvpx-vp9 aac libopus libmp3lame libvorbis flac pcm_s16le \
                       pcm_s24le pcm_s32le pcm_f32le pcm_f64le pcm_u8 mjpeg png libwebp",
        ),
        filters: set("bwdif zscale tonemap"),
        ..Capabilities::default()
    }
}

/// The snapshots of one recipe.
struct Snapshots {
    recipe: &'static str,
    /// The plans or errors of the cases, each after its headline.
    text: String,
    capabilities: Capabilities,
    /// The output as a user would name it; by default, it follows the format.
    output: Option<&'static str>,
}

impl Snapshots {
    fn of(recipe: &'static str) -> Self {
        Self { recipe, text: String::new(), capabilities: capable(), output: None }
    }

    /// Plans one job. `parameters` are those of the document, without the name.
    fn case(&mut self, name: &str, format: &str, parameters: &str, input: &Probed) {
        self.join(name, format, parameters, std::slice::from_ref(input));
    }

    fn join(&mut self, name: &str, format: &str, parameters: &str, inputs: &[Probed]) {
        let comma = if parameters.is_empty() { "" } else { "," };
        let recipe = format!(r#"{{"name":"{}"{comma}{parameters}}}"#, self.recipe);
        let planned = self.plan(format, &recipe, inputs).unwrap_or_else(|error| error + "\n");
        self.text += &format!("== {name}\n{format} {recipe}\n{planned}\n");
    }

    fn plan(&self, format: &str, recipe: &str, inputs: &[Probed]) -> Result<String, String> {
        let input = if self.recipe == "concat" {
            let files = (1..=inputs.len()).map(|number| format!(r#""in_{number}":"in.mp4""#));
            format!(r#""input_files":{{{}}}"#, files.collect::<Vec<_>>().join(","))
        } else {
            r#""input":{"url":"in.mp4"}"#.to_owned()
        };
        let document = format!(
            r#"{{"mode":"recipe",{input},"output":{{"format":"{format}"}},"recipe":{recipe}}}"#
        );
        let job = Job::from_json(&document, Policy::Program)
            .map_err(|error| format!("{}: {error}", error.code()))?;
        // As in a run, there is an index only if the job asks for one.
        let inputs = inputs.iter().cloned().map(|probed| {
            let index = probed.index.filter(|_| job.needs_index(&probed.media));
            Probed { index, ..probed }
        });
        let plan = job.compile(&CompileContext {
            inputs: &inputs.collect::<Vec<_>>(),
            output: self
                .output
                .map_or_else(|| Location::Path(format!("out.{format}").into()), Location::from),
            named: self.output.is_some(),
            replace: true,
            has_gaps: false,
            capabilities: &self.capabilities,
        });
        let plan = plan.map_err(|error| format!("{}: {error}", error.code()))?;
        plan.check().unwrap();
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan, "it comes back from JSON");
        Ok(plan.to_string())
    }

    /// Compares all cases with the recipe's file, or writes the file with `AVOCET_BLESS`.
    fn check(self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
        let file = folder.join(format!("{}.txt", self.recipe));
        let text = self.text.trim_end().to_owned() + "\n";
        if env::var_os("AVOCET_BLESS").is_some() {
            fs::create_dir_all(folder).unwrap();
            fs::write(&file, &text).unwrap();
        }
        let known = fs::read_to_string(&file).unwrap_or_default();
        let cases = |text: &str| text.split("== ").map(str::to_owned).collect::<Vec<_>>();
        let (known, found) = (cases(&known), cases(&text));
        let gone =
            known.iter().filter(|case| !found.contains(case)).map(|case| format!("- {case}"));
        let come =
            found.iter().filter(|case| !known.contains(case)).map(|case| format!("+ {case}"));
        let changes: String = gone.chain(come).collect();
        assert!(
            known == found,
            "plans of {} changed:\n{changes}\nread them, and renew the snapshots with\n  \
             AVOCET_BLESS=1 cargo test -p avocet-recipes --test plans",
            self.recipe
        );
    }
}

#[test]
fn web_ready() {
    let mut made = Snapshots::of("webReady");
    let aac = || aac_in_movie(128);
    made.case("everyday", "mp4", "", &everyday());
    made.case("index at the end", "mp4", "", &boxes(everyday(), |movie| movie.moov_first = false));
    made.case("in fragments", "mp4", "", &fragmented(vec![h264(MOVIE, 4000), aac()]));
    made.case("encrypted", "mp4", "", &boxes(everyday(), |movie| movie.encrypted = true));
    made.case(
        "tables name what is absent",
        "mp4",
        "",
        &boxes(everyday(), |movie| movie.tables_inside = false),
    );
    made.case(
        "many edits",
        "mp4",
        "",
        &boxes(everyday(), |movie| {
            let edit = Edit { duration: 1, media_time: Some(1), rate: 1 << 16 };
            movie.tracks[0].edits = vec![edit; 3];
        }),
    );
    made.case(
        "a matrix that scales",
        "mp4",
        "",
        &boxes(everyday(), |movie| movie.tracks[0].matrix[0] = 2 << 16),
    );
    made.case(
        "a second sound in ac3",
        "mp4",
        "",
        &mp4(vec![
            h264(MOVIE, 4000),
            aac(),
            sound("ac3", 48_000, ("5.1(side)", 6), 1536, 448).quiet("deu"),
        ]),
    );
    made.case("quicktime", "mp4", "", &mov(vec![h264(MOVIE, 4000), aac()]));
    made.case(
        "tagged avc3",
        "mp4",
        "",
        &beside_aac(h264(MOVIE, 4000).profiled("High", 40, "avc3")),
    );
    made.case("matroska", "mp4", "", &matroska());
    made.case("10 bits", "mp4", "", &ten_bit());
    made.case(
        "4:4:4",
        "mp4",
        "",
        &beside_aac(
            h264(MOVIE, 4000)
                .profiled("High 4:4:4 Predictive", 40, "avc1")
                .video(|video| video.pixel_format = Some(pixels("yuv444p"))),
        ),
    );
    made.case("hdr10", "mp4", "", &beside_aac(hdr10("hvc1")));
    made.case(
        "hlg",
        "mp4",
        "",
        &beside_aac(pictures("hevc", MOVIE, (1920, 1080), 25, 8000).hdr("arib-std-b67")),
    );
    made.case("av1 and opus", "mp4", "", &webm(vec![av1(), opus()]));
    made.case("vp9 and opus", "mp4", "", &webm(vec![vp9(), opus()]));
    made.case("interlaced broadcast", "mp4", "", &broadcast());
    made.case(
        "interlaced h264",
        "mp4",
        "",
        &beside_aac(h264(MOVIE, 4000).video(|video| video.scan = Scan::Interlaced)),
    );
    made.case(
        "scan unknown",
        "mp4",
        "",
        &beside_aac(h264(MOVIE, 4000).video(|video| video.scan = Scan::Unknown)),
    );
    made.case(
        "extended profile",
        "mp4",
        "",
        &beside_aac(h264(MOVIE, 4000).profiled("Baseline", 40, "avc1")),
    );
    made.case("anamorphic", "mp4", "", &anamorphic());
    made.case("phone", "mp4", "", &phone());
    made.case(
        "mirrored",
        "mp4",
        "",
        &beside_aac(
            h264(MOVIE, 4000).video(|video| video.orientation = Orientation::FlipLeftRight),
        ),
    );
    made.case("odd sides", "mp4", "", &odd());
    made.case("odd sides, encoded", "mp4", r#""crf":20"#, &odd());
    made.case("8K at 50", "mp4", "", &huge());
    made.case(
        "level 6.1 in a small picture",
        "mp4",
        "",
        &beside_aac(h264(MOVIE, 4000).profiled("High", 61, "avc1")),
    );
    made.case("high bit rate", "mp4", "", &beside_aac(h264(MOVIE, 60_000)));
    made.case("bit rate at the cap", "mp4", "", &beside_aac(h264(MOVIE, 9331)));
    made.case("bit rate over the cap", "mp4", "", &beside_aac(h264(MOVIE, 9333)));
    made.case("cover art first", "mp4", "", &cover_first());
    made.case("sound is ac3", "mp4", "", &surround());
    made.case(
        "sound is mp3",
        "mp4",
        "",
        &mp4(vec![h264(MOVIE, 4000), sound("mp3", 48_000, ("stereo", 2), 1152, 192)]),
    );
    made.case(
        "aac of eight channels",
        "mp4",
        "",
        &mp4(vec![h264(MOVIE, 4000), sound("aac", 48_000, ("7.1", 8), 1024, 512)]),
    );
    made.case("no sound", "mp4", "", &silent());
    made.case("sound only", "mp4", "", &m4a());
    made.case("data beside", "mp4", "", &mp4(vec![h264(MOVIE, 4000), aac(), data()]));
    made.case("many tracks", "mp4", "", &many_tracks());
    made.case("many tracks, all", "mp4", r#""tracks":"all""#, &many_tracks());
    made.case(
        "two sounds in a movie, best",
        "mp4",
        "",
        &mp4(vec![h264(MOVIE, 4000), aac(), aac().quiet("deu")]),
    );
    made.case("scaled down", "mp4", r#""scaleDown":true"#, &everyday());
    made.case("scaled down, phone", "mp4", r#""scaleDown":true"#, &phone());
    made.case("scaleDown false", "mp4", r#""scaleDown":false"#, &everyday());
    made.case("a box larger than the picture", "mp4", r#""width":4000"#, &everyday());
    made.case("a box, odd", "mp4", r#""width":333"#, &everyday());
    made.case("bit rate asked for", "mp4", r#""bitrateKbps":3000,"crf":20"#, &everyday());
    made.case("bit rate asked for over the cap", "mp4", r#""bitrateKbps":50000"#, &everyday());
    made.case("cut at keyframes", "mp4", r#""startSeconds":2,"durationSeconds":3"#, &everyday());
    made.case("cut off keyframes", "mp4", r#""startSeconds":2.5,"durationSeconds":3"#, &everyday());
    made.case("start past the end", "mp4", r#""startSeconds":12"#, &everyday());
    made.capabilities.encoders.remove("libx264");
    made.case("without x264, nothing to encode", "mp4", "", &everyday());
    made.case("without x264", "mp4", "", &ten_bit());
    made.capabilities.encoders.insert("libopenh264".to_owned());
    made.case("with openh264 instead", "mp4", "", &ten_bit());
    made.case("with openh264, bit rate asked for", "mp4", r#""bitrateKbps":3000"#, &ten_bit());
    made.check();
}

#[test]
fn proxy() {
    let mut made = Snapshots::of("proxy");
    made.case("everyday", "mp4", "", &everyday());
    made.case("every frame a keyframe", "mp4", r#""gop":"all_intra""#, &everyday());
    made.case("scaled down", "mp4", r#""scaleDown":true"#, &everyday());
    made.case("a box beats scaleDown", "mp4", r#""scaleDown":true,"height":360"#, &everyday());
    made.case("scaled down, phone", "mp4", r#""scaleDown":true"#, &phone());
    made.case("broadcast", "mp4", "", &broadcast());
    made.case("anamorphic", "mp4", "", &anamorphic());
    made.case("odd sides", "mp4", "", &odd());
    made.case("hdr10", "mp4", r#""bitrateKbps":2000"#, &beside_aac(hdr10("hvc1")));
    made.case("8K at 50", "mp4", "", &huge());
    made.case("a part", "mp4", r#""startSeconds":2.5,"durationSeconds":3"#, &everyday());
    made.case("no sound", "mp4", "", &silent());
    made.case("sound only", "mp4", "", &mp3());
    made.case("many tracks, all", "mp4", r#""tracks":"all""#, &many_tracks());
    made.capabilities.encoders.remove("libx264");
    made.capabilities.encoders.insert("libopenh264".to_owned());
    made.case("with openh264, every frame a keyframe", "mp4", r#""gop":"all_intra""#, &everyday());
    made.check();
}

#[test]
fn compress() {
    let mut made = Snapshots::of("compress");
    made.case("everyday", "mp4", "", &everyday());
    made.case("small sound", "mp4", "", &mp4(vec![h264(MOVIE, 4000), aac_in_movie(96)]));
    made.case("small sound, larger limit", "mp4", r#""audioBitrateKbps":192"#, &everyday());
    made.case("large sound", "mp4", "", &mp4(vec![h264(MOVIE, 4000), aac_in_movie(320)]));
    made.case(
        "mp3 beside",
        "mp4",
        "",
        &mp4(vec![h264(MOVIE, 4000), sound("mp3", 48_000, ("stereo", 2), 1152, 96)]),
    );
    made.case("quicktime to mp4", "mp4", "", &mov(vec![h264(MOVIE, 4000), aac_in_movie(128)]));
    made.case(
        "quicktime to quicktime",
        "mov",
        "",
        &mov(vec![h264(MOVIE, 4000), aac_in_movie(128)]),
    );
    made.case("matroska to mp4", "mp4", "", &matroska());
    made.case("settings", "mp4", r#""crf":30,"preset":"slow","bitrateKbps":900"#, &everyday());
    made.case(
        "hevc to h264 by default",
        "mp4",
        "",
        &beside_aac(pictures("hevc", MOVIE, (1920, 1080), 25, 4000)),
    );
    made.case("h264 to hevc", "mp4", r#""codec":"hevc""#, &everyday());
    made.case(
        "hevc to hevc",
        "mp4",
        r#""codec":"hevc""#,
        &beside_aac(pictures("hevc", MOVIE, (1920, 1080), 25, 4000)),
    );
    made.case("h264 to av1", "mp4", r#""codec":"av1""#, &everyday());
    made.case("vp9 to webm", "webm", "", &webm(vec![vp9(), opus()]));
    made.case("av1 to webm by default", "webm", "", &webm(vec![av1(), opus()]));
    made.case("h264 to webm", "webm", "", &everyday());
    made.case("hdr10 to h264", "mp4", "", &beside_aac(hdr10("hvc1")));
    made.case("hdr10 to hevc", "mp4", r#""codec":"hevc""#, &beside_aac(hdr10("hvc1")));
    made.case("hdr10 to webm", "webm", "", &beside_aac(hdr10("hvc1")));
    made.case("10 bits", "mp4", "", &ten_bit());
    made.case("broadcast", "mp4", "", &broadcast());
    made.case("cover art first", "mp4", "", &cover_first());
    made.case("many tracks, all", "mp4", r#""tracks":"all""#, &many_tracks());
    made.case("sound only", "mp4", "", &m4a());
    made.case(
        "av1 of a small picture",
        "mp4",
        r#""codec":"av1""#,
        &beside_aac(pictures("h264", MOVIE, (48, 48), 25, 100)),
    );
    made.case("vp9 in mp4", "mp4", r#""codec":"vp9""#, &everyday());
    made.capabilities.encoders.remove("libx265");
    made.case("without x265", "mp4", r#""codec":"hevc""#, &everyday());
    made.check();
}

#[test]
fn transcode() {
    let mut made = Snapshots::of("transcode");
    for format in ["mp4", "webm", "mov", "mp3", "aac", "wav", "m4a"] {
        made.case("everyday", format, "", &everyday());
    }
    made.case("everything anew", "mp4", r#""reencode":true"#, &everyday());
    made.case("a setting", "mp4", r#""crf":20"#, &everyday());
    made.case("codec of the source", "mp4", r#""codec":"h264""#, &everyday());
    made.case(
        "codec of the source, with a setting",
        "mp4",
        r#""codec":"h264","preset":"slow""#,
        &everyday(),
    );
    made.case("another codec", "mp4", r#""codec":"hevc","bitrateKbps":2000"#, &everyday());
    made.case("matroska", "mp4", "", &matroska());
    made.case("matroska", "mp3", "", &matroska());
    made.case("10 bits", "mp4", "", &ten_bit());
    made.case("10 bits to hevc", "mp4", r#""codec":"hevc""#, &ten_bit());
    made.case("10 bits to vp9", "webm", "", &ten_bit());
    made.case("hdr10, tagged hev1", "mp4", "", &beside_aac(hdr10("hev1")));
    made.case("interlaced by its container", "mp4", "", &interlaced_by_container());
    made.case("cropped by its container", "mp4", "", &cropped());
    made.case("turned by its pictures", "mp4", "", &turned_by_pictures());
    let skewed = || {
        let mut probed = silent();
        let Kind::Video(video) = &mut probed.media.streams[0].kind else { unreachable!() };
        video.orientation = Orientation::Skewed;
        probed
    };
    made.case("skewed", "mp4", "", &skewed());
    made.case("skewed, encoded", "mp4", r#""reencode":true"#, &skewed());
    made.case("skewed", "mkv", "", &skewed());
    made.case("transparent", "webm", "", &transparent());
    made.case("transparent anew", "webm", r#""reencode":true"#, &transparent());
    made.case("transparent to h264", "mp4", "", &transparent());
    made.case("two programs", "mp4", r#""tracks":"all""#, &two_programs());
    made.case(
        "hdr10 anew in hevc",
        "mp4",
        r#""codec":"hevc","reencode":true"#,
        &beside_aac(hdr10("hvc1")),
    );
    made.case("hdr10 to h264", "mp4", r#""codec":"h264""#, &beside_aac(hdr10("hvc1")));
    made.case("hdr10 to webm", "webm", "", &beside_aac(hdr10("hvc1")));
    made.case("av1 and opus", "mp4", "", &webm(vec![av1(), opus()]));
    made.case("av1 and opus", "mov", "", &webm(vec![av1(), opus()]));
    made.case("av1 and opus", "webm", "", &webm(vec![av1(), opus()]));
    made.case("vp9 and opus", "mp4", "", &webm(vec![vp9(), opus()]));
    made.case("vp9 and opus", "webm", "", &webm(vec![vp9(), opus()]));
    made.case("broadcast", "mp4", "", &broadcast());
    made.case("broadcast", "webm", "", &broadcast());
    made.case("anamorphic, copied", "mp4", "", &anamorphic());
    made.case("anamorphic, encoded", "mp4", r#""reencode":true"#, &anamorphic());
    made.case("phone, copied", "mp4", "", &phone());
    made.case("phone, encoded", "mp4", r#""reencode":true"#, &phone());
    made.case("odd sides", "mp4", r#""reencode":true"#, &odd());
    made.case("8K at 50", "mp4", r#""reencode":true"#, &huge());
    made.case("cover art first", "mp4", "", &cover_first());
    made.case("cover art first", "m4a", "", &cover_first());
    for format in ["mp3", "m4a", "wav", "mp4", "aac"] {
        made.case("flac with cover art", format, "", &with_cover("flac", "flac"));
    }
    for format in ["mp3", "m4a", "mp4", "webm", "mov", "aac"] {
        made.case("mp3 with cover art", format, "", &with_cover("mp3", "mp3"));
    }
    for format in ["wav", "mov", "mp4"] {
        made.case("24-bit pcm", format, "", &wav());
    }
    for codec in ["pcm_s64le", "pcm_f64be"] {
        made.case(codec, "mkv", "", &plain("nut", vec![pcm(codec, 24)]));
        made.case(codec, "mp3", "", &plain("nut", vec![pcm(codec, 24)]));
    }
    made.case("prores with big-endian pcm", "mov", "", &prores());
    made.case("prores with big-endian pcm", "mp4", "", &prores());
    made.case("av1 in ivf", "mp4", "", &plain("ivf", vec![av1()]));
    made.case(
        "without times",
        "mp4",
        "",
        &plain("avi", vec![h264(MOVIE, 4000), sound("mp3", 48_000, ("stereo", 2), 1152, 192)]),
    );
    for format in ["mp4", "webm", "mov", "mp3", "m4a"] {
        made.case("many tracks", format, "", &many_tracks());
        made.case("many tracks, all", format, r#""tracks":"all""#, &many_tracks());
    }
    made.case("no sound", "mp4", "", &silent());
    made.case("no sound", "mp3", "", &silent());
    made.case("data beside", "mov", "", &mp4(vec![h264(MOVIE, 4000), aac_in_movie(128), data()]));
    made.case("hidden by edits before", "mp4", "", &{
        let mut probed = everyday();
        probed.media.streams[0].hidden_before = 12;
        probed
    });
    made.case("hidden by edits after", "mp4", "", &{
        let mut probed = everyday();
        probed.media.streams[0].hidden_after = 12;
        probed
    });
    made.case(
        "mono of 8 kHz",
        "mp4",
        r#""reencode":true"#,
        &mp4(vec![with_sound(("mono", 1), 8000)]),
    );
    made.case("5.1 of 96 kHz", "mp3", "", &mp4(vec![with_sound(("5.1", 6), 96_000)]));
    made.case("7.1", "webm", "", &mp4(vec![with_sound(("7.1", 8), 44_100)]));
    made.case(
        "hevc of a tiny picture",
        "mp4",
        r#""codec":"hevc""#,
        &beside_aac(pictures("h264", MOVIE, (14, 14), 25, 10)),
    );
    made.case("a preset of another codec", "mp4", r#""codec":"av1","preset":"slow""#, &everyday());
    made.capabilities.encoders.remove("libx265");
    made.case("without x265, copied", "mp4", "", &beside_aac(hdr10("hvc1")));
    made.case("without x265", "mp4", r#""codec":"hevc""#, &everyday());
    made.check();
}

#[test]
fn resize() {
    let mut made = Snapshots::of("resize");
    made.case("both sides", "mp4", r#""width":640,"height":480"#, &everyday());
    made.case("padded", "mp4", r#""width":640,"height":480,"fit":"contain""#, &everyday());
    made.case("cropped", "mp4", r#""width":640,"height":480,"fit":"cover""#, &everyday());
    made.case("one side", "mp4", r#""width":640"#, &everyday());
    made.case("one side, odd", "mp4", r#""width":641"#, &everyday());
    made.case("the least", "mp4", r#""width":1,"height":1"#, &everyday());
    made.case("larger", "mp4", r#""height":2160"#, &everyday());
    made.case("anamorphic", "mp4", r#""height":288"#, &anamorphic());
    made.case("phone", "mp4", r#""width":540"#, &phone());
    made.case("phone, padded", "mp4", r#""width":640,"height":640,"fit":"contain""#, &phone());
    made.case("broadcast", "mp4", r#""width":512"#, &broadcast());
    made.case("hevc stays", "mp4", r#""width":1280"#, &beside_aac(hdr10("hvc1")));
    made.case("hevc to webm", "webm", r#""width":1280"#, &beside_aac(hdr10("hvc1")));
    made.case("10 bits", "mp4", r#""width":1280"#, &ten_bit());
    made.case("vp9 stays", "webm", r#""width":640"#, &webm(vec![vp9(), opus()]));
    made.case("av1 stays", "mp4", r#""width":640"#, &webm(vec![av1(), opus()]));
    made.case("av1 to quicktime", "mov", r#""width":640"#, &webm(vec![av1(), opus()]));
    made.case("hevc too small", "mp4", r#""width":12"#, &beside_aac(hdr10("hvc1")));
    made.case("the other side is odd", "mp4", r#""width":854"#, &everyday());
    made.case("no side", "mp4", "", &everyday());
    made.case("sound only", "mp4", r#""width":640"#, &m4a());
    made.case("many tracks, all", "webm", r#""width":640,"tracks":"all""#, &many_tracks());
    made.capabilities.encoders.remove("libx265");
    made.case("without x265", "mp4", r#""width":1280"#, &beside_aac(hdr10("hvc1")));
    made.check();
}

#[test]
fn trim() {
    let mut made = Snapshots::of("trim");
    made.case("all of it", "mp4", "", &everyday());
    made.case("the first seconds", "mp4", r#""durationSeconds":3"#, &everyday());
    made.case("between keyframes", "mp4", r#""startSeconds":2,"durationSeconds":3"#, &everyday());
    made.case("from a keyframe on", "mp4", r#""startSeconds":2"#, &everyday());
    made.case(
        "start off a keyframe",
        "mp4",
        r#""startSeconds":2.5,"durationSeconds":3"#,
        &everyday(),
    );
    made.case(
        "end within a group",
        "mp4",
        r#""startSeconds":2,"durationSeconds":2.52"#,
        &everyday(),
    );
    made.case(
        "end where pictures are reordered",
        "mp4",
        r#""startSeconds":2,"durationSeconds":2.44"#,
        &everyday(),
    );
    made.case(
        "open groups",
        "mp4",
        r#""startSeconds":2,"durationSeconds":3"#,
        &open_groups(everyday()),
    );
    let keyframe = |times: &str| format!(r#"{times},"accuracy":"keyframe""#);
    made.case(
        "to a keyframe",
        "mp4",
        &keyframe(r#""startSeconds":2.5,"durationSeconds":3"#),
        &everyday(),
    );
    made.case(
        "to a keyframe, open groups",
        "mp4",
        &keyframe(r#""startSeconds":2.5"#),
        &open_groups(everyday()),
    );
    made.case("past the end", "mp4", r#""startSeconds":10"#, &everyday());
    made.case("clipped", "mp4", r#""startSeconds":8,"durationSeconds":5"#, &everyday());
    made.case("to the very end", "mp4", r#""startSeconds":8,"durationSeconds":2"#, &everyday());
    made.case("to quicktime", "mov", r#""startSeconds":2"#, &everyday());
    made.case("to webm", "webm", r#""startSeconds":2"#, &everyday());
    for format in ["mp3", "aac", "wav", "m4a"] {
        made.case(
            "sound of a movie",
            format,
            r#""startSeconds":2.01,"durationSeconds":3"#,
            &everyday(),
        );
    }
    made.case("matroska", "mp4", r#""startSeconds":2.1"#, &matroska());
    made.case(
        "vp9 and opus at a keyframe",
        "webm",
        r#""startSeconds":2"#,
        &webm(vec![vp9(), opus()]),
    );
    made.case("vp9 and opus", "webm", r#""startSeconds":2.5"#, &webm(vec![vp9(), opus()]));
    made.case("vp9 to mp4", "mp4", "", &webm(vec![vp9(), opus()]));
    made.case("10 bits at a keyframe", "mp4", r#""startSeconds":2"#, &ten_bit());
    made.case("10 bits", "mp4", r#""startSeconds":2.5"#, &ten_bit());
    made.case("hdr10", "mp4", r#""startSeconds":2.5"#, &beside_aac(hdr10("hvc1")));
    made.case("broadcast at a keyframe", "mp4", r#""startSeconds":2"#, &broadcast());
    made.case("broadcast", "mp4", r#""startSeconds":2.5"#, &broadcast());
    made.case("broadcast", "webm", r#""startSeconds":2.5"#, &broadcast());
    made.case("phone", "mov", r#""startSeconds":2.5"#, &phone());
    made.case("anamorphic", "mp4", r#""startSeconds":2.5"#, &anamorphic());
    made.case("24-bit pcm", "wav", r#""startSeconds":2.013"#, &wav());
    made.case("24-bit pcm", "mov", r#""startSeconds":2.013"#, &wav());
    made.case("mp3", "mp3", r#""startSeconds":2.013,"durationSeconds":3"#, &mp3());
    made.case("mp3, whole", "mp3", "", &mp3());
    made.case("prores with big-endian pcm", "mov", r#""startSeconds":2.02"#, &prores());
    made.case("a picture that lasts", "mp4", r#""startSeconds":3,"durationSeconds":2"#, &slides());
    made.case("many tracks, all", "mp4", r#""startSeconds":2.5,"tracks":"all""#, &many_tracks());
    made.case("no sound", "mp4", r#""startSeconds":2.5"#, &silent());
    made.case("to a keyframe, to webm", "webm", &keyframe(r#""startSeconds":2.5"#), &everyday());
    made.case("sound ends before", "mp4", r#""startSeconds":9"#, &{
        let mut probed = everyday();
        let sound = &mut probed.media.streams[1];
        sound.duration = Some(Timestamp::new(8 * 48_000, sound.time_base));
        probed
    });
    made.case(
        "flac in matroska",
        "mp4",
        "",
        &mkv(vec![h264(MATROSKA, 4000), sound("flac", MATROSKA, ("stereo", 2), 960, 700)]),
    );
    made.case("no sound", "m4a", r#""startSeconds":2.5"#, &silent());
    made.capabilities.encoders.remove("libx265");
    made.case("without x265", "mp4", r#""startSeconds":2.5"#, &beside_aac(hdr10("hvc1")));
    made.check();
}

#[test]
fn extract_audio() {
    let mut made = Snapshots::of("extractAudio");
    for format in ["mp3", "aac", "wav", "m4a", "mp4"] {
        made.case("everyday", format, "", &everyday());
    }
    made.case("opus", "mp3", "", &webm(vec![vp9(), opus()]));
    made.case(
        "vorbis",
        "mp3",
        "",
        &webm(vec![vp9(), sound("vorbis", MATROSKA, ("stereo", 2), 960, 128)]),
    );
    made.case("flac with cover art", "mp3", "", &with_cover("flac", "flac"));
    made.case("mp3 with cover art", "wav", "", &with_cover("mp3", "mp3"));
    made.case("24-bit pcm", "mp3", "", &wav());
    made.case("big-endian pcm", "mp3", "", &prores());
    made.case("ac3", "mp3", "", &surround());
    made.case("ac3", "m4a", "", &surround());
    made.case("ac3", "wav", "", &surround());
    made.case("the first, not the default", "aac", "", &many_tracks());
    made.case("aac that adts does not hold", "aac", "", &{
        let mut probed = everyday();
        // Audio object type 42 is xHE-AAC.
        probed.media.streams[1].extradata = vec![0xf9, 0x40];
        probed
    });
    made.case("a part", "aac", r#""startSeconds":2.01,"durationSeconds":3"#, &everyday());
    made.case("a part", "m4a", r#""startSeconds":2.01,"durationSeconds":3"#, &everyday());
    made.case("a part of mp3", "mp3", r#""startSeconds":2.01"#, &mp3());
    made.case("a part of opus", "mp3", r#""startSeconds":2.01"#, &webm(vec![vp9(), opus()]));
    made.case("a part of pcm", "wav", r#""startSeconds":2.013"#, &wav());
    made.case("a part of flac", "mp3", r#""startSeconds":2.016"#, &with_cover("flac", "flac"));
    for codec in ["pcm_s24le_planar", "pcm_u24le", "pcm_s64le", "pcm_alaw"] {
        made.case(codec, "wav", "", &plain("nut", vec![pcm(codec, 24)]));
    }
    made.case("no sound", "mp3", "", &silent());
    made.case("past the end", "mp3", r#""startSeconds":11"#, &everyday());
    for output in ["named.mp3", "named.m4a", "named.opus", "named.mp4", "named"] {
        made.output = Some(output);
        made.case(&format!("everyday into {output}"), "mp3", "", &everyday());
        made.case(&format!("opus into {output}"), "mp3", "", &webm(vec![vp9(), opus()]));
    }
    made.check();
}

#[test]
fn thumbnail() {
    let mut made = Snapshots::of("thumbnail");
    for format in ["jpg", "png", "webp"] {
        made.case("everyday", format, "", &everyday());
    }
    made.case("a time", "jpg", r#""seekSeconds":2.51"#, &everyday());
    made.case("a time past the end", "jpg", r#""seekSeconds":20"#, &everyday());
    made.case("at a keyframe", "jpg", r#""seekSeconds":2.5,"accuracy":"keyframe""#, &everyday());
    made.case("quality", "jpg", r#""quality":1"#, &everyday());
    made.case("quality", "webp", r#""quality":100"#, &everyday());
    made.case("quality", "png", r#""quality":50"#, &everyday());
    made.case("a box", "jpg", r#""width":333,"height":333"#, &everyday());
    made.case("a box larger than the picture", "jpg", r#""width":4000"#, &everyday());
    made.case("hdr10", "jpg", "", &beside_aac(hdr10("hvc1")));
    made.case("hdr10", "webp", "", &beside_aac(hdr10("hvc1")));
    made.case("phone", "jpg", "", &phone());
    made.case("anamorphic", "jpg", "", &anamorphic());
    made.case("odd sides", "jpg", "", &odd());
    made.case("broadcast", "jpg", r#""seekSeconds":1"#, &broadcast());
    made.case("cover art first", "jpg", "", &cover_first());
    made.case("only cover art", "jpg", "", &with_cover("flac", "flac"));
    made.case(
        "full range",
        "jpg",
        "",
        &beside_aac(h264(MOVIE, 4000).video(|video| video.color.range = Some("pc".to_owned()))),
    );
    made.case(
        "sd without tags",
        "jpg",
        "",
        &beside_aac(pictures("h264", MOVIE, (640, 480), 25, 1000)),
    );
    made.capabilities.filters.remove("zscale");
    made.case("hdr10 without zscale", "jpg", "", &beside_aac(hdr10("hvc1")));
    made.check();
}

#[test]
fn concat() {
    let mut made = Snapshots::of("concat");
    let pcm_movie = || mov(vec![h264(MOVIE, 4000), pcm("pcm_s16le", 16)]);
    made.join("two alike", "mp4", "", &[everyday(), everyday()]);
    made.join("two alike, with pcm", "mov", "", &[pcm_movie(), pcm_movie()]);
    made.join("two alike without sound", "mp4", "", &[silent(), silent()]);
    made.join("two alike to webm", "webm", "", &[everyday(), everyday()]);
    made.join("two alike to mp3", "mp3", "", &[everyday(), everyday()]);
    made.join("open groups", "mp4", "", &[silent(), open_groups(silent())]);
    made.join(
        "begins with no keyframe",
        "mp4",
        "",
        &[silent(), {
            let mut probed = silent();
            Arc::make_mut(probed.index.as_mut().unwrap()).streams[0].packets[0].entry =
                RandomAccess::OpenGop;
            probed
        }],
    );
    made.join(
        "other parameter sets",
        "mp4",
        "",
        &[silent(), {
            let mut probed = silent();
            probed.media.streams[0].extradata = vec![1, 2, 3];
            probed
        }],
    );
    made.join("unlike", "mp4", "", &[everyday(), anamorphic(), webm(vec![vp9(), opus()])]);
    made.join("the first is upright", "mp4", "", &[phone(), everyday()]);
    made.join("odd sides first", "mp4", "", &[odd(), everyday()]);
    made.join("broadcast", "mp4", "", &[broadcast(), everyday()]);
    made.join("one without sound", "mp4", "", &[everyday(), silent()]);
    made.join("the first without sound", "mp4", "", &[silent(), everyday()]);
    made.join("one with sound only", "mp4", "", &[everyday(), m4a()]);
    made.join("the first with sound only", "mp4", "", &[m4a(), everyday()]);
    made.join("sound only", "mp4", "", &[m4a(), m4a()]);
    made.join("sound only", "m4a", "", &[m4a(), mp3()]);
    made.join("mp3", "mp3", "", &[mp3(), mp3()]);
    made.join("24-bit pcm", "wav", "", &[wav(), wav()]);
    made.join(
        "24-bit pcm behind 16",
        "mov",
        "",
        &[pcm_movie(), mov(vec![h264(MOVIE, 4000), pcm("pcm_s24le", 24)])],
    );
    made.join(
        "flac with cover art",
        "m4a",
        "",
        &[with_cover("flac", "flac"), with_cover("flac", "flac")],
    );
    made.join("no sound at all", "mp3", "", &[silent(), silent()]);
    made.join("one without sound", "mp3", "", &[everyday(), silent()]);
    made.join("hevc first", "mp4", "", &[beside_aac(hdr10("hvc1")), everyday()]);
    made.join("hdr10 twice", "mp4", "", &[beside_aac(hdr10("hvc1")), beside_aac(hdr10("hvc1"))]);
    made.join(
        "hdr10 twice to webm",
        "webm",
        "",
        &[beside_aac(hdr10("hvc1")), beside_aac(hdr10("hvc1"))],
    );
    let hlg = || beside_aac(pictures("hevc", MOVIE, (3840, 2160), 25, 20_000).hdr("arib-std-b67"));
    made.join("hdr10, then hlg", "mp4", "", &[beside_aac(hdr10("hvc1")), hlg()]);
    made.join("hdr10 later", "mp4", "", &[everyday(), beside_aac(hdr10("hvc1"))]);
    made.join(
        "sound is shorter",
        "mov",
        "",
        &[pcm_movie(), {
            let mut probed = pcm_movie();
            let sound = &mut probed.media.streams[1];
            sound.duration = Some(Timestamp::new(9 * 48_000, sound.time_base));
            probed
        }],
    );
    made.join("all tracks", "mp4", r#""tracks":"all""#, &[many_tracks(), many_tracks()]);
    made.join("one input", "mp4", "", &[everyday()]);
    made.capabilities.encoders.remove("libx265");
    made.join(
        "without x265, copied",
        "mp4",
        "",
        &[beside_aac(hdr10("hvc1")), beside_aac(hdr10("hvc1"))],
    );
    made.join("without x265", "mp4", "", &[beside_aac(hdr10("hvc1")), everyday()]);
    made.check();
}
