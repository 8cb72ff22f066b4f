//! `avocet capabilities`: what the linked libav can do on this machine.

use std::collections::BTreeSet;

use avocet::engine::Capabilities;
use serde::Serialize;

use super::{Answer, Context, terminal};

/// Encoders that recipes use, and some of newer builds that custom arguments may use.
const ENCODERS: [&str; 14] = [
    "libx264",
    "libx265",
    "libsvtav1",
    "libvpx-vp9",
    "aac",
    "libopus",
    "libvorbis",
    "flac",
    "libmp3lame",
    "pcm_s16le",
    "mjpeg",
    "png",
    "libwebp",
    "libwebp_anim",
];

/// Decoders that not every build has.
const DECODERS: [&str; 6] = ["h264", "hevc", "vvc", "vp9", "libdav1d", "prores"];

/// Filters that recipes use and that some builds lack, and filters that measure quality.
const FILTERS: [&str; 10] = [
    "scale",
    "bwdif",
    "zscale",
    "tonemap",
    "colormatrix",
    "aresample",
    "psnr",
    "ssim",
    "xpsnr",
    "libvmaf",
];

#[derive(Serialize)]
struct Described<'a> {
    avocet: &'a str,
    #[serde(flatten)]
    libav: &'a Capabilities,
}

pub(super) fn answer(context: &Context) -> Answer {
    let libav = context.engine.capabilities_of_machine();
    let described = Described { avocet: env!("CARGO_PKG_VERSION"), libav: &libav };
    Answer::new(if context.json { terminal::json(&described) } else { to_text(&described) })
}

fn to_text(Described { avocet, libav }: &Described<'_>) -> String {
    let devices: Vec<_> = libav.devices.iter().map(String::as_str).collect();
    let devices = if devices.is_empty() { "none".to_owned() } else { devices.join(" ") };
    let lines = [
        format!("avocet    {avocet}"),
        format!("libav     {} ({})", libav.version, libav.license),
        format!("assembly  {}", if libav.assembly { "on" } else { "off" }),
        format!("encoders  {}", present(&ENCODERS, &libav.encoders)),
        format!("decoders  {}", present(&DECODERS, &libav.decoders)),
        format!("filters   {}", present(&FILTERS, &libav.filters)),
        format!("devices   {devices}"),
        format!("program   {}", program(libav)),
    ];
    lines.join("\n")
}

/// The path of the `ffmpeg` program, its release as against libav's, and whether it is confined.
fn program(libav: &Capabilities) -> String {
    let Some(program) = &libav.program else {
        return "no ffmpeg beside this program or on the path; install it to run custom arguments"
            .to_owned();
    };
    let release = match &program.version {
        Some(version) if *version == libav.version => "the release of libav".to_owned(),
        Some(version) => format!("{version}, another release than libav"),
        None => "unknown release".to_owned(),
    };
    let sandbox = program.unprotected.as_deref().unwrap_or("confined");
    format!("{} ({release}; {sandbox})", program.path.display())
}

/// The available names, and then in parentheses the missing ones.
fn present(names: &[&str], there: &BTreeSet<String>) -> String {
    let (there, absent): (Vec<&str>, Vec<&str>) =
        names.iter().partition(|name| there.contains(**name));
    let there = there.join(" ");
    if absent.is_empty() { there } else { format!("{there} (absent: {})", absent.join(" ")) }
}
