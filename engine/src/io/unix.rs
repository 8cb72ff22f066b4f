//! File system calls of Linux and macOS, which differ on Windows.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::Builder;

/// Tells files apart, whatever their names: by device and inode.
pub(super) type FileId = (u64, u64);

/// Which file a name means.
pub(super) fn file_id(path: &Path) -> io::Result<FileId> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// When the content of a file changed last, and when anything did, in nanoseconds.
pub(super) fn changed(metadata: &Metadata) -> [i128; 2] {
    let at = |seconds: i64, nanoseconds: i64| {
        i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
    };
    [at(metadata.mtime(), metadata.mtime_nsec()), at(metadata.ctime(), metadata.ctime_nsec())]
}

/// The permissions of a file, without the set-user-ID, set-group-ID and sticky bits.
pub(super) fn permissions(metadata: &Metadata) -> Permissions {
    Permissions::from_mode(metadata.mode() & 0o777)
}

/// Gives a temporary file the permissions of every new file: 0666 without the bits of the process'
/// umask.
pub(super) fn as_usual<'a, 'b>(builder: &'a mut Builder<'b, 'b>) -> &'a mut Builder<'b, 'b> {
    builder.permissions(Permissions::from_mode(0o666))
}

/// Opens what is at a name for reading, without waiting for the other end of a pipe. With
/// `follows`, a link is followed; without it, it is an error.
pub(super) fn open(path: &Path, follows: bool) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | if follows { 0 } else { libc::O_NOFOLLOW };
    #[expect(clippy::disallowed_methods, reason = "`open_at_once` looks at what it opened")]
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Reads a file from position `at`, in bytes, which does not move the position of the file itself.
pub(super) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    file.read_at(buffer, at)
}

/// Renames a file, and fails where the new name is taken.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// Whether an error says that the file system, or the kernel, lacks a call.
pub(super) fn is_lacking(error: &io::Error) -> bool {
    // The last two are one number on Linux, and two on macOS.
    const LACKING: [i32; 5] =
        [libc::EPERM, libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOTSUP];
    error.raw_os_error().is_some_and(|code| LACKING.contains(&code))
}

/// The error of a chain of links that is too long.
pub(super) fn too_many_links() -> io::Error {
    io::Error::from_raw_os_error(libc::ELOOP)
}
