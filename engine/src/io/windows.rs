//! File system calls of Windows, which differ on Linux and macOS.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io,
    os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use tempfile::Builder;

/// Tells files apart by their canonical paths. A hard link counts as another file.
pub(super) type FileId = PathBuf;

/// Which file a name means.
pub(super) fn file_id(path: &Path) -> io::Result<FileId> {
    fs::canonicalize(path)
}

/// When the content of a file changed last, and when it was made, in 100 nanoseconds.
pub(super) fn changed(metadata: &Metadata) -> [i128; 2] {
    [metadata.last_write_time().into(), metadata.creation_time().into()]
}

/// The permissions of a file: whether it is read-only.
pub(super) fn permissions(metadata: &Metadata) -> Permissions {
    metadata.permissions()
}

/// Gives a temporary file the permissions of every new file, which come from its folder.
pub(super) const fn as_usual<'a, 'b>(builder: &'a mut Builder<'b, 'b>) -> &'a mut Builder<'b, 'b> {
    builder
}

/// Opens what is at a name for reading. With `follows`, a link is followed; without it, the link
/// itself is opened, which is no regular file.
pub(super) fn open(path: &Path, follows: bool) -> io::Result<File> {
    // `FILE_FLAG_OPEN_REPARSE_POINT` of CreateFile.
    const OPEN_LINK: u32 = 0x0020_0000;
    let flags = if follows { 0 } else { OPEN_LINK };
    #[expect(clippy::disallowed_methods, reason = "`open_at_once` looks at what it opened")]
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Reads a file from position `at`, in bytes.
pub(super) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    file.seek_read(buffer, at)
}

/// Always fails as unsupported, so that the caller makes a hard link: a rename on Windows replaces
/// what is there.
pub(super) fn rename_new(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether an error says that the file system lacks a call.
pub(super) fn is_lacking(error: &io::Error) -> bool {
    // ERROR_INVALID_FUNCTION and ERROR_NOT_SUPPORTED.
    matches!(error.raw_os_error(), Some(1 | 50)) || error.kind() == io::ErrorKind::Unsupported
}

/// The error of a chain of links that is too long.
pub(super) fn too_many_links() -> io::Error {
    // ERROR_CANT_RESOLVE_FILENAME.
    io::Error::from_raw_os_error(1921)
}
