//! A whole copy of an input on this machine.

use std::{
    fs,
    io::{self, Seek, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tempfile::TempPath;

use avocet_model::{
    progress::{CancelToken, Fetched},
    remote::RemoteError,
};

use super::{
    client::wait,
    origin::{Facts, Origin},
    transfer::{Stop, transfer},
};
use crate::io::Unfinished;

/// A copy that is removed with its last owner.
#[derive(Debug)]
pub(in crate::io) struct Staged {
    path: TempPath,
    unfinished: Unfinished,
}

impl Staged {
    /// Where it is.
    pub(in crate::io) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.unfinished.forget(&self.path);
    }
}

/// Copies an input into a temporary file of a folder, and tells of it as it grows.
pub(super) fn stage(
    origin: &Arc<Origin>,
    facts: &Facts,
    unfinished: &Unfinished,
    cancel: &CancelToken,
    observe: &mut dyn FnMut(Fetched),
) -> io::Result<Staged> {
    let mut builder = tempfile::Builder::new();
    let file = builder.prefix(".avocet-").suffix(".input").tempfile();
    // The error of the temporary file names it, which is nobody's business.
    let (file, path) = file.map_err(|error| io::Error::from(error.kind()))?.into_parts();
    unfinished.add(&path);
    let staged = Staged { path, unfinished: unfinished.clone() };
    download(origin, facts, file, 0, cancel, observe)?;
    Ok(staged)
}

/// Copies an input to a name, and goes on with what an earlier try left, if that was of the same
/// version.
pub(super) fn fetch(
    origin: &Arc<Origin>,
    facts: &Facts,
    target: &Path,
    cancel: &CancelToken,
    observe: &mut dyn FnMut(Fetched),
) -> io::Result<()> {
    let part = part_of(target, facts);
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true).read(true);
    #[expect(clippy::disallowed_methods, reason = "this is the module that the rule points to")]
    let mut file = options.open(&part)?;
    if file.try_lock().is_err() {
        let what = "somebody else is copying it to the same place";
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, what));
    }
    let mut there = file.seek(io::SeekFrom::End(0))?;
    // Without a version nobody knows what the bytes are of.
    if facts.version.is_none() || !facts.has_ranges || facts.length.is_none_or(|all| there > all) {
        file.set_len(0)?;
        there = 0;
    }
    match download(origin, facts, file, there, cancel, observe) {
        Ok(()) => fs::rename(part, target),
        Err(error) => {
            let may_go_on = facts.version.is_some() && facts.has_ranges;
            if !may_go_on || RemoteError::of(&error).is_some_and(|error| !error.retryable()) {
                // What can not be gone on with is in nobody's way.
                let _ = fs::remove_file(part);
            }
            Err(error)
        }
    }
}

/// The name of what is not complete yet: another one for each version.
fn part_of(target: &Path, facts: &Facts) -> PathBuf {
    let told = format!("{:?} {:?}", facts.version, facts.length);
    // FNV-1a, 64 bits: it only has to differ, on any machine in the same way.
    let hash = told.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{hash:016x}.part"));
    target.with_file_name(name)
}

fn download(
    origin: &Arc<Origin>,
    facts: &Facts,
    file: fs::File,
    there: u64,
    cancel: &CancelToken,
    observe: &mut dyn FnMut(Fetched),
) -> io::Result<()> {
    let most = origin.client.settings.max_bytes;
    let too_large = move |bytes| RemoteError::TooLarge { bytes, most };
    if let Some(length) = facts.length.filter(|length| *length > most) {
        return Err(too_large(length).into());
    }
    let got = Arc::new(AtomicU64::new(there));
    let (counter, total) = (Arc::clone(&got), facts.length);
    let (origin, facts) = (Arc::clone(origin), facts.clone());
    let work = async move {
        let mut file = file;
        let take = |bytes: Option<Bytes>| {
            let Some(bytes) = bytes else {
                counter.store(0, Ordering::Relaxed);
                return file.set_len(0).and_then(|()| file.rewind()).map_err(Stop::Local);
            };
            file.write_all(&bytes).map_err(Stop::Local)?;
            let now = counter.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
            if now > most { Err(too_large(now).into()) } else { Ok(()) }
        };
        transfer(&origin, &facts, there, facts.length, take).await
    };
    let mut tick = || observe(Fetched { bytes: got.load(Ordering::Relaxed), total });
    wait(work, cancel, &mut tick)?;
    tick();
    Ok(())
}
