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
    /// Path of the copy.
    pub(in crate::io) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.unfinished.forget(&self.path);
    }
}

/// Copies an input into a temporary file, and tells `observe` how many bytes it has so far.
pub(super) fn stage(
    origin: &Arc<Origin>,
    facts: &Facts,
    unfinished: &Unfinished,
    cancel: &CancelToken,
    observe: &mut dyn FnMut(Fetched),
) -> io::Result<Staged> {
    let mut builder = tempfile::Builder::new();
    let folder = unfinished.temporary_folder();
    let file = builder.prefix(".avocet-").suffix(".input").tempfile_in(folder);
    // Only the kind is kept: the error itself names the temporary file, which callers do not know.
    let (file, path) = file.map_err(|error| io::Error::from(error.kind()))?.into_parts();
    unfinished.add(&path);
    let staged = Staged { path, unfinished: unfinished.clone() };
    download(origin, facts, file, 0, cancel, observe)?;
    Ok(staged)
}

/// Copies an input to `target`, and goes on with the partial file of an earlier try, where that was
/// of the same version.
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
        let what = "another copy to the same file is running";
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, what));
    }
    let mut there = file.seek(io::SeekFrom::End(0))?;
    // Without a version it is not known what the bytes are of; without ranges nothing can be
    // resumed.
    if facts.version.is_none() || !facts.has_ranges || facts.length.is_none_or(|all| there > all) {
        file.set_len(0)?;
        there = 0;
    }
    match download(origin, facts, file, there, cancel, observe) {
        Ok(()) => fs::rename(part, target),
        Err(error) => {
            let may_go_on = facts.version.is_some() && facts.has_ranges;
            if !may_go_on || RemoteError::of(&error).is_some_and(|error| !error.retryable()) {
                // A partial file that can not be resumed is removed.
                let _ = fs::remove_file(part);
            }
            Err(error)
        }
    }
}

/// The path of the partial file, which is another one for each version.
fn part_of(target: &Path, facts: &Facts) -> PathBuf {
    let told = format!("{:?} {:?}", facts.version, facts.length);
    // FNV-1a, 64 bits: it has to be the same on any machine, and need not be secure.
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
    let most = origin.limits.max_bytes;
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
