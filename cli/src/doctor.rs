//! `avocet doctor`: what this machine can do, what it lacks, and the command that installs it.

use std::{env, fs, path::Path};

use avocet::engine::Capabilities;
use serde::Serialize;
use serde_json::json;

use super::{Answer, Context, terminal};

/// One thing that was looked at.
#[derive(Serialize)]
struct Check {
    /// What it is good for.
    name: &'static str,
    /// Whether it is there.
    ok: bool,
    /// What was found, or what is missing.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// What recipes need of libav: what it is for, the names of which one suffices, and the library that
/// FFmpeg must have been built with.
const NEEDS: [(&str, &[&str], &str); 12] = [
    ("H.264 video", &["libx264", "libopenh264"], "x264"),
    ("HEVC video", &["libx265"], "x265"),
    ("VP9 video", &["libvpx-vp9"], "libvpx"),
    ("AV1 video", &["libsvtav1"], "SVT-AV1"),
    ("AAC audio", &["aac"], "FFmpeg's own"),
    ("Opus audio", &["libopus"], "libopus"),
    ("Vorbis audio", &["libvorbis"], "libvorbis"),
    ("FLAC audio", &["flac"], "FFmpeg's own"),
    ("MP3 audio", &["libmp3lame"], "LAME"),
    ("JPEG pictures", &["mjpeg"], "FFmpeg's own"),
    ("PNG pictures", &["png"], "FFmpeg's own"),
    ("WebP pictures", &["libwebp", "libwebp_anim"], "libwebp"),
];

/// Filters that recipes need: what each is for, its name, and the library that it takes.
const FILTERS: [(&str, &str, &str); 4] = [
    ("scaling", "scale", "FFmpeg's own"),
    ("deinterlacing", "bwdif", "FFmpeg's own"),
    ("high dynamic range", "zscale", "zimg"),
    ("tone mapping", "tonemap", "FFmpeg's own"),
];

pub(super) fn answer(context: &Context) -> Answer {
    let capabilities = context.engine.capabilities_of_machine();
    let checks = checks(&capabilities);
    if context.json {
        return Answer::new(json!({ "checks": checks }).to_string());
    }
    let lines = checks.iter().map(|check| {
        let mark = if check.ok { "ok     " } else { "missing" };
        let advice = check.advice.as_ref().map(|advice| format!("\n           {advice}"));
        format!("{mark} {}: {}{}", check.name, check.found, advice.unwrap_or_default())
    });
    Answer::new(lines.collect::<Vec<_>>().join("\n"))
}

fn checks(libav: &Capabilities) -> Vec<Check> {
    let mut checks = vec![Check {
        name: "libav",
        ok: true,
        found: format!("FFmpeg {} ({})", libav.version, libav.license),
        advice: (!libav.assembly).then(|| {
            "It runs without assembly for this processor, which is slow; install another build of \
             FFmpeg."
                .to_owned()
        }),
    }];
    for (name, encoders, library) in NEEDS {
        let found = encoders.iter().find(|encoder| libav.has_encoder(encoder));
        checks.push(Check {
            name,
            ok: found.is_some(),
            found: found.map_or_else(
                || format!("no encoder {}", encoders.join(" or ")),
                |encoder| format!("encoder {encoder}"),
            ),
            advice: found.is_none().then(|| rebuilt(library)),
        });
    }
    for (name, filter, library) in FILTERS {
        let ok = libav.has_filter(filter);
        let found = if ok { format!("filter {filter}") } else { format!("no filter {filter}") };
        checks.push(Check { name, ok, found, advice: (!ok).then(|| rebuilt(library)) });
    }
    checks.push(program(libav));
    checks.push(temporary_folder());
    checks.push(Check {
        name: "hardware devices",
        ok: true,
        found: match libav.devices.len() {
            0 => "none; all work is done by processors".to_owned(),
            _ => libav.devices.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
        },
        advice: None,
    });
    checks
}

/// What to do about a part of FFmpeg that is missing.
fn rebuilt(library: &str) -> String {
    format!(
        "This FFmpeg was built without {library}. {}",
        install("libavcodec-extra", "ffmpeg-free or ffmpeg of RPM Fusion", "ffmpeg")
    )
}

/// The command that installs a package, by the system that this is.
fn install(debian: &str, fedora: &str, other: &str) -> String {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let is = |name: &str| {
        system.lines().any(|line| {
            (line.starts_with("ID=") || line.starts_with("ID_LIKE=")) && line.contains(name)
        })
    };
    match () {
        () if is("debian") || is("ubuntu") => format!("Run: sudo apt-get install {debian}"),
        () if is("fedora") || is("rhel") => format!("Install {fedora} with dnf."),
        () if cfg!(target_os = "macos") => format!("Run: brew install {other}"),
        () => format!("Install {other} with the package manager of this system."),
    }
}

/// The `ffmpeg` program, and what confines it.
fn program(libav: &Capabilities) -> Check {
    let name = "custom arguments";
    let Some(program) = &libav.program else {
        let advice = Some(install("ffmpeg", "ffmpeg-free", "ffmpeg"));
        let found = "no ffmpeg program on the path".to_owned();
        return Check { name, ok: false, found, advice };
    };
    let version = program.version.as_deref().unwrap_or("a version that it does not tell");
    let found = format!("{}, {version}", program.path.display());
    let advice = program.unprotected.as_ref().map(|lacks| {
        format!("It is confined but for this: {lacks}. A newer kernel confines it in full.")
    });
    Check { name, ok: true, found, advice }
}

/// The folder of temporary files: whether it can be written.
fn temporary_folder() -> Check {
    let folder = env::temp_dir();
    let tried = tempfile::tempfile_in(&folder);
    let advice = tried.is_err().then(|| "Set TMPDIR to a folder that can be written.".to_owned());
    let found = match &tried {
        Ok(_) => format!("{}{}", folder.display(), space(&folder)),
        Err(error) => format!("{}: {error}", folder.display()),
    };
    Check { name: "temporary files", ok: tried.is_ok(), found, advice }
}

/// How much space a folder has left, for people.
fn space(folder: &Path) -> String {
    let Ok(facts) = rustix::fs::statvfs(folder) else { return String::new() };
    let bytes = facts.f_bavail.saturating_mul(facts.f_frsize);
    format!(", {} free", terminal::size(bytes))
}
