//! What this libav, on this machine, can do.

use std::{collections::BTreeSet, path::PathBuf};

use serde::{Deserialize, Serialize};

/// What this libav, on this machine, can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Release of FFmpeg that libav comes from, as in `5.1.9-0+deb12u1`.
    pub version: String,
    /// Its license, as in `GPL version 2 or later`: linking a GPL build makes the program GPL.
    pub license: String,
    /// Whether hand-written assembly for this processor is on.
    pub assembly: bool,
    /// Names of encoders.
    pub encoders: BTreeSet<String>,
    /// Names of decoders.
    pub decoders: BTreeSet<String>,
    /// Names of filters.
    pub filters: BTreeSet<String>,
    /// Names of muxers.
    pub muxers: BTreeSet<String>,
    /// Hardware devices, as in `cuda`: those that could be opened.
    pub devices: BTreeSet<String>,
    /// The `ffmpeg` program, which runs custom arguments; `None` where there is none, or nobody
    /// looked for it.
    #[serde(default)]
    pub program: Option<Program>,
}

impl Capabilities {
    /// Whether there is an encoder of this name.
    pub fn has_encoder(&self, name: &str) -> bool {
        self.encoders.contains(name)
    }

    /// Whether there is a filter of this name.
    pub fn has_filter(&self, name: &str) -> bool {
        self.filters.contains(name)
    }
}

/// The `ffmpeg` program that was found, and how well it is confined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Program {
    /// The path of the program.
    pub path: PathBuf,
    /// Its release, as in `5.1.9-0+deb12u1`; `None` when it does not answer.
    pub version: Option<String>,
    /// Which part of the sandbox this kernel does not enforce, in words; `None` when all of it is
    /// enforced.
    pub unprotected: Option<String>,
}
