//! Checks what is inside `recipe`: its name, its parameters, and how they go together.

use super::{
    Asked, names_of, note_fields,
    spot::{Problems, Spot},
};
use crate::{
    recipe::{RecipeName, storyboard::LONGEST_SIDE},
    words::{
        codec::VideoCodec,
        format::Format,
        nearest::allowed_words,
        parameter::{Kind, Parameter, one_of},
        tree::Tree,
    },
};

/// The parameters of `transcode` for video, which an audio format does not take.
const OF_VIDEO: [&str; 4] = ["codec", "crf", "bitrateKbps", "preset"];

/// Which recipe is asked for.
pub(super) fn name(problems: &mut Problems, recipe: &Spot<'_>) -> Asked {
    if !recipe.is_object() {
        problems.add(recipe, "an object with `name` and the parameters of that recipe");
        return Asked::UnknownRecipe;
    }
    let name = recipe.field("name");
    if let Some(name) = name.text().and_then(RecipeName::from_name) {
        return Asked::Recipe(name);
    }
    problems.add(&name, allowed_words(&RecipeName::ALL.map(RecipeName::name), name.text()));
    Asked::UnknownRecipe
}

/// Checks the parameters of a recipe; the format is `None` when the document has no valid one.
pub(super) fn parameters(
    problems: &mut Problems,
    recipe: &Spot<'_>,
    name: RecipeName,
    format: Option<Format>,
) {
    let parameters = name.parameters();
    let names: Vec<&str> =
        std::iter::once("name").chain(parameters.iter().map(|each| each.name)).collect();
    note_fields(problems, recipe, &names, "an object");

    let codecs = codecs(recipe, name, format);
    for parameter in parameters {
        let spot = recipe.field(parameter.name);
        let Some(value) = spot.value else { continue };
        if let Some(format) = format.filter(|format| format.is_audio())
            && OF_VIDEO.contains(&parameter.name)
        {
            problems.add(&spot, format!("nothing, as {} holds no video", format.name()));
        } else if !parameter.kind.accepts(value, &codecs) {
            problems.add(&spot, allowed(parameter, &spot, &codecs));
        } else if parameter.name == "codec" {
            note_pair(problems, &spot, format);
        } else if parameter.kind == Kind::Ranges {
            note_ranges(problems, recipe, &spot);
        }
    }
    if name == RecipeName::Storyboard {
        note_storyboard(problems, recipe);
    }
    if name == RecipeName::Resize {
        let width = recipe.field("width");
        if !width.is_given() && !recipe.field("height").is_given() {
            problems.add(&width, "`width`, `height` or both");
        }
    }
}

/// The codecs that the document may mean: one when codec and format are valid, else all that are
/// possible, so that only values which none of them takes count as wrong.
fn codecs(recipe: &Spot<'_>, name: RecipeName, format: Option<Format>) -> Vec<VideoCodec> {
    let codec = recipe.field("codec");
    match codec.text().and_then(VideoCodec::from_name) {
        Some(codec) => vec![codec],
        None if codec.is_given() => VideoCodec::ALL.to_vec(),
        None => {
            let formats = format.as_slice();
            let formats = if formats.is_empty() { name.formats() } else { formats };
            let mut codecs = Vec::new();
            for codec in formats.iter().filter_map(|&format| VideoCodec::of_format(format)) {
                if !codecs.contains(&codec) {
                    codecs.push(codec);
                }
            }
            codecs
        }
    }
}

fn allowed(parameter: &Parameter, spot: &Spot<'_>, codecs: &[VideoCodec]) -> String {
    match parameter.kind {
        Kind::Choice(names) => allowed_words(names, spot.text()),
        kind => kind.allowed_for(codecs),
    }
}

/// Adds a problem for a codec that the format does not hold.
fn note_pair(problems: &mut Problems, codec: &Spot<'_>, format: Option<Format>) {
    let Some(format) = format else { return };
    let held = VideoCodec::ALL.into_iter().filter(|codec| codec.formats().contains(&format));
    let held: Vec<&str> = held.map(VideoCodec::name).collect();
    if !codec.text().is_some_and(|codec| held.contains(&codec)) {
        let held = one_of(&held);
        problems.add(codec, format!("a codec that {} holds, {held}", format.name()));
    }
}

/// Checks parameters of a storyboard that exclude or limit each other.
fn note_storyboard(problems: &mut Problems, recipe: &Spot<'_>) {
    let every = recipe.field("everySeconds");
    if every.is_given() && recipe.field("count").is_given() {
        problems.add(&every, "`count` or `everySeconds`, not both");
    }
    let columns = recipe.field("columns");
    let number = |spot: &Spot<'_>, usual: u64| match spot.value {
        Some(Tree::Number(number)) => number.as_u64(),
        Some(_) => None,
        None => Some(usual),
    };
    let sides = number(&columns, 10).zip(number(&recipe.field("width"), 160));
    let longest = u64::from(LONGEST_SIDE);
    if sides.is_some_and(|(columns, width)| columns.saturating_mul(width + width % 2) > longest) {
        let allowed = format!("columns times width, made even, of at most {longest} pixels");
        problems.add(&columns, allowed);
    }
}

/// Checks each of `ranges`, and the parameters that may not stand beside them.
fn note_ranges(problems: &mut Problems, recipe: &Spot<'_>, ranges: &Spot<'_>) {
    for name in ["startSeconds", "durationSeconds"] {
        let beside = recipe.field(name);
        if beside.is_given() {
            problems.add(&beside, "nothing, as `ranges` is given");
        }
    }
    let accuracy = recipe.field("accuracy");
    if accuracy.text() == Some("keyframe") {
        problems.add(&accuracy, "`exact`, as `ranges` is given");
    }
    let mut end = 0.0;
    for range in ranges.items() {
        if !note_fields(problems, &range, &["startSeconds", "durationSeconds"], "an object") {
            continue;
        }
        let mut number = |name: &str, kind: Kind| {
            let spot = range.field(name);
            let value = spot.value.filter(|value| kind.accepts(value, &[]));
            if value.is_none() {
                problems.add(&spot, kind.allowed());
            }
            match value {
                Some(Tree::Number(number)) => number.as_f64(),
                _ => None,
            }
        };
        let start = number("startSeconds", Kind::Seconds);
        let duration = number("durationSeconds", Kind::PositiveSeconds);
        if let Some((start, duration)) = start.zip(duration) {
            // Sums of decimal fractions have rounding errors.
            if start < end - 1e-9 {
                let allowed = format!("{end} or more, where the section before it ends");
                problems.add(&range.field("startSeconds"), allowed);
            }
            end = start + duration;
        }
    }
}

/// The formats that a recipe may be asked for.
pub(super) fn format_names(name: RecipeName) -> Vec<&'static str> {
    match name {
        // `extractAudio` takes any format. One that is not an audio format means mp3.
        RecipeName::ExtractAudio => names_of(&Format::ALL),
        _ => names_of(name.formats()),
    }
}

#[cfg(test)]
mod tests {
    use crate::read::check::tests::check_recipe;

    const BOX: &str = "an integer 1 to 16384";
    const NOT_NEGATIVE: &str = "a finite number of seconds, 0 or more";
    const POSITIVE: &str = "a finite number of seconds, more than 0";
    const X264: &str = "an integer 0 to 51 (h264)";
    const PRESETS: &str = "one of `ultrafast`, `superfast`, `veryfast`, `faster`, `fast`, \
                           `medium`, `slow`, `slower`, `veryslow`, `placebo`";

    #[test]
    fn times() {
        check_recipe("mp4", r#""trim","startSeconds":0,"durationSeconds":0.001"#, &[]);
        check_recipe("mp4", r#""trim","startSeconds":1e300"#, &[]);
        check_recipe(
            "mp4",
            r#""trim","startSeconds":-0.5,"durationSeconds":0"#,
            &[
                &format!("recipe.startSeconds | -0.5 | {NOT_NEGATIVE}"),
                &format!("recipe.durationSeconds | 0 | {POSITIVE}"),
            ],
        );
        check_recipe(
            "jpg",
            r#""thumbnail","seekSeconds":"1""#,
            &[&format!("recipe.seekSeconds | \"1\" | {NOT_NEGATIVE}")],
        );
        check_recipe(
            "mp3",
            r#""extractAudio","startSeconds":null,"durationSeconds":-3"#,
            &[
                &format!("recipe.startSeconds | null | {NOT_NEGATIVE}"),
                &format!("recipe.durationSeconds | -3 | {POSITIVE}"),
            ],
        );
    }

    #[test]
    fn ranges() {
        let range = |start: &str, duration: &str| {
            format!(r#"{{"startSeconds":{start},"durationSeconds":{duration}}}"#)
        };
        let trim = |ranges: &[String]| format!(r#""trim","ranges":[{}]"#, ranges.join(","));
        let sound = [range("0", "0.1"), range("0.1", "0.2"), range("0.3", "1"), range("9", "2")];
        check_recipe("mp4", &trim(&sound), &[]);
        let kind = "an array of 1 to 1000 objects with `startSeconds` and `durationSeconds`, ascending and \
                    without overlap";
        check_recipe("mp4", &trim(&[]), &[&format!("recipe.ranges | [] | {kind}")]);
        check_recipe(
            "mp4",
            r#""trim","ranges":"1+2""#,
            &[&format!("recipe.ranges | \"1+2\" | {kind}")],
        );
        check_recipe(
            "mp4",
            &trim(&[range("5", "2"), range("6", "1"), range("-1", "0"), "7".to_owned()]),
            &[
                "recipe.ranges[1].startSeconds | 6 | 7 or more, where the section before it ends",
                &format!("recipe.ranges[2].startSeconds | -1 | {NOT_NEGATIVE}"),
                &format!("recipe.ranges[2].durationSeconds | 0 | {POSITIVE}"),
                "recipe.ranges[3] | 7 | an object",
            ],
        );
        check_recipe(
            "mp4",
            r#""trim","startSeconds":1,"accuracy":"keyframe","ranges":[{"start":1}]"#,
            &[
                "recipe.startSeconds | 1 | nothing, as `ranges` is given",
                "recipe.accuracy | \"keyframe\" | `exact`, as `ranges` is given",
                "recipe.ranges[0].start | 1 | a known field: one of `startSeconds`, \
                 `durationSeconds` (nearest: `startSeconds`)",
                &format!("recipe.ranges[0].startSeconds | nothing | {NOT_NEGATIVE}"),
                &format!("recipe.ranges[0].durationSeconds | nothing | {POSITIVE}"),
            ],
        );
    }

    #[test]
    fn storyboards() {
        check_recipe(
            "jpg",
            r#""storyboard","count":3,"columns":100,"width":163"#,
            &["recipe.columns | 100 | columns times width, made even, of at most 16383 pixels"],
        );
        check_recipe("webp", r#""storyboard","everySeconds":0.5,"width":320"#, &[]);
        check_recipe(
            "mp4",
            r#""storyboard","count":0,"everySeconds":1"#,
            &[
                "output.format | \"mp4\" | one of `jpg`, `png`, `webp`",
                "recipe.count | 0 | an integer 1 to 10000",
                "recipe.everySeconds | 1 | `count` or `everySeconds`, not both",
            ],
        );
    }

    #[test]
    fn sizes() {
        check_recipe("mp4", r#""resize","width":16384,"height":1"#, &[]);
        check_recipe("mp4", r#""resize","width":1280.0"#, &[]);
        check_recipe("mp4", r#""resize""#, &["recipe.width | nothing | `width`, `height` or both"]);
        for wrong in ["0", "16385", "-2", "1.5", "\"640\"", "true", "1e30"] {
            let shown = if wrong == "1e30" { "1e+30" } else { wrong };
            let expected = format!("recipe.height | {shown} | {BOX}");
            check_recipe("mp4", &format!(r#""resize","height":{wrong}"#), &[&expected]);
        }
        check_recipe(
            "mp4",
            r#""proxy","width":0,"height":20000,"scaleDown":1"#,
            &[
                "recipe.scaleDown | 1 | true or false",
                &format!("recipe.width | 0 | {BOX}"),
                &format!("recipe.height | 20000 | {BOX}"),
            ],
        );
    }

    #[test]
    fn rates_and_qualities() {
        check_recipe("mp4", r#""webReady","crf":0,"bitrateKbps":1000000"#, &[]);
        check_recipe("mp4", r#""webReady","crf":52"#, &["recipe.crf | 52 | an integer 0 to 51"]);
        check_recipe(
            "mp4",
            r#""webReady","crf":22.5"#,
            &["recipe.crf | 22.5 | an integer 0 to 51"],
        );
        check_recipe("mp4", r#""webReady","crf":23.0"#, &[]);
        check_recipe(
            "mp4",
            r#""compress","bitrateKbps":0,"audioBitrateKbps":2000"#,
            &[
                "recipe.bitrateKbps | 0 | an integer 1 to 1000000",
                "recipe.audioBitrateKbps | 2000 | an integer 1 to 1024",
            ],
        );
        check_recipe(
            "jpg",
            r#""thumbnail","quality":0"#,
            &["recipe.quality | 0 | an integer 1 to 100"],
        );
        check_recipe("webp", r#""thumbnail","quality":100"#, &[]);
    }

    #[test]
    fn crf_follows_the_codec() {
        let vp9 = "an integer 0 to 63 (vp9)";
        for sound in [r#""crf":51"#, r#""crf":51,"codec":"hevc""#, r#""crf":63,"codec":"av1""#] {
            check_recipe("mp4", &format!(r#""transcode",{sound}"#), &[]);
            check_recipe("mp4", &format!(r#""compress",{sound}"#), &[]);
        }
        check_recipe("webm", r#""transcode","crf":63"#, &[]);
        check_recipe("mp4", r#""transcode","crf":52"#, &[&format!("recipe.crf | 52 | {X264}")]);
        check_recipe("mov", r#""compress","crf":-1"#, &[&format!("recipe.crf | -1 | {X264}")]);
        check_recipe("webm", r#""compress","crf":64"#, &[&format!("recipe.crf | 64 | {vp9}")]);
        check_recipe(
            "mp4",
            r#""compress","crf":60,"codec":"hevc""#,
            &["recipe.crf | 60 | an integer 0 to 51 (hevc)"],
        );
        check_recipe(
            "gif",
            r#""compress","crf":64"#,
            &[
                "output.format | \"gif\" | one of `mp4`, `webm`, `mov`, `mkv`",
                "recipe.crf | 64 | an integer 0 to 51 (h264), or an integer 0 to 63 (vp9)",
            ],
        );
    }

    #[test]
    fn presets_follow_the_codec() {
        check_recipe("mp4", r#""transcode","preset":"placebo""#, &[]);
        check_recipe("mov", r#""compress","preset":"ultrafast","codec":"hevc""#, &[]);
        check_recipe("webm", r#""transcode","preset":8"#, &[]);
        check_recipe("mp4", r#""transcode","preset":13,"codec":"av1""#, &[]);
        check_recipe(
            "mp4",
            r#""transcode","preset":4"#,
            &[&format!("recipe.preset | 4 | {PRESETS} (h264)")],
        );
        check_recipe(
            "mp4",
            r#""transcode","preset":"best","codec":"hevc""#,
            &[&format!("recipe.preset | \"best\" | {PRESETS} (hevc)")],
        );
        check_recipe(
            "webm",
            r#""compress","preset":"slow""#,
            &["recipe.preset | \"slow\" | an integer 0 to 8 (vp9)"],
        );
        check_recipe(
            "webm",
            r#""compress","preset":14,"codec":"av1""#,
            &["recipe.preset | 14 | an integer 0 to 13 (av1)"],
        );
        check_recipe(
            "webm",
            r#""compress","preset":-1"#,
            &["recipe.preset | -1 | an integer 0 to 8 (vp9)"],
        );
    }

    #[test]
    fn codecs_fit_their_formats() {
        let pairs = [
            ("mp4", "h264 hevc av1"),
            ("mov", "h264 hevc"),
            ("webm", "av1 vp9"),
            ("mkv", "h264 hevc av1 vp9"),
        ];
        for (format, held) in pairs {
            let held: Vec<&str> = held.split(' ').collect();
            for codec in crate::VideoCodec::NAMES {
                let recipe = format!(r#""transcode","codec":"{codec}""#);
                if held.contains(&codec) {
                    check_recipe(format, &recipe, &[]);
                } else {
                    let held = crate::words::parameter::one_of(&held);
                    let problem =
                        format!("recipe.codec | \"{codec}\" | a codec that {format} holds, {held}");
                    check_recipe(format, &recipe, &[&problem]);
                }
            }
        }
        check_recipe(
            "mp4",
            r#""compress","codec":"h265""#,
            &["recipe.codec | \"h265\" | one of `h264`, `hevc`, `av1`, `vp9` (nearest: `h264`)"],
        );
    }

    #[test]
    fn audio_formats_have_no_video_settings() {
        check_recipe("mp3", r#""transcode","reencode":true,"tracks":"all","lenient":true"#, &[]);
        check_recipe(
            "m4a",
            r#""transcode","codec":"h264","crf":99,"bitrateKbps":1,"preset":"fast""#,
            &[
                "recipe.codec | \"h264\" | nothing, as m4a holds no video",
                "recipe.crf | 99 | nothing, as m4a holds no video",
                "recipe.bitrateKbps | 1 | nothing, as m4a holds no video",
                "recipe.preset | \"fast\" | nothing, as m4a holds no video",
            ],
        );
    }

    #[test]
    fn choices() {
        check_recipe("mp4", r#""proxy","gop":"all_intra""#, &[]);
        check_recipe(
            "mp4",
            r#""proxy","gop":"allIntra""#,
            &["recipe.gop | \"allIntra\" | one of `per_second`, `all_intra` (nearest: \
                 `all_intra`)"],
        );
        check_recipe(
            "mp4",
            r#""resize","width":2,"fit":"fill""#,
            &["recipe.fit | \"fill\" | one of `stretch`, `contain`, `cover`"],
        );
        check_recipe(
            "mp4",
            r#""trim","accuracy":"keyframes","tracks":["all"],"lenient":"true""#,
            &[
                "recipe.accuracy | \"keyframes\" | one of `exact`, `keyframe` (nearest: \
                 `keyframe`)",
                "recipe.tracks | [\"all\"] | one of `best`, `all`",
                "recipe.lenient | \"true\" | true or false",
            ],
        );
    }
}
