//! What this libav, on this machine, can do.

use std::{collections::BTreeSet, path::PathBuf};

use serde::{Deserialize, Serialize};

/// What this libav, on this machine, can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Release of FFmpeg that libav comes from, as in `5.1.9-0+deb12u1`.
    pub version: String,
    /// Its licence, as in `GPL version 2 or later`: linking a GPL build makes the program GPL.
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
    /// Hardware devices, as in `cuda`; only ever those that opened.
    pub devices: BTreeSet<String>,
    /// The `ffmpeg` program, which custom arguments are run by; `None` where there is none, or
    /// nobody looked for it.
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

/// The `ffmpeg` program, as far as it is there, and what holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Its release, as in `5.1.9-0+deb12u1`; `None` when it does not answer.
    pub version: Option<String>,
    /// What of the sandbox this kernel does not enforce, in words; `None` when all is enforced.
    pub unprotected: Option<String>,
}
