//! Worker processes of a service, which decode strangers' files: they start confined.
//!
//! A worker has no network, no capabilities, no environment but what its service gives it, and no
//! files but libraries, fonts and its own folder. It may make the system calls of a list, and start
//! no program, or the `ffmpeg` program only. A service gives it an order and inputs over two sockets
//! ([`ProxiedInputs`](crate::ProxiedInputs)), and takes finished files from its folder.

#[cfg(target_os = "linux")]
use std::{collections::BTreeSet, env, fs, sync::OnceLock};
use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

#[cfg(target_os = "linux")]
use super::{
    calls::Class,
    sandbox::{self, Allowed, Layers},
};

/// What is enforced on workers; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Sandbox {
    #[cfg(target_os = "linux")]
    layers: Layers,
}

/// What a worker may do beside decoding, filtering and encoding in its own process.
#[derive(Clone, Copy, Debug)]
pub struct Duty<'a> {
    /// The worker's own program.
    pub program: &'a Path,
    /// The folder of the worker, and what is in it that it may write to: files, and no folders.
    pub folder: &'a Path,
    /// The folders in which it may make, write and remove files.
    pub writable: &'a [&'a Path],
    /// The `ffmpeg` program, where the worker may start that one.
    pub ffmpeg: Option<&'a Path>,
}

#[cfg(target_os = "linux")]
impl Sandbox {
    /// All that this kernel can enforce.
    pub fn of_this_kernel() -> Self {
        Self { layers: Layers::of_this_kernel() }
    }

    /// Neither files nor system calls are confined.
    pub const fn none() -> Self {
        Self { layers: Layers::NONE }
    }

    /// What is not enforced, in words; `None` when all is.
    pub fn missing(self) -> Option<String> {
        self.layers.missing()
    }

    /// The same with no Landlock ABI newer than this one, as on an older kernel. Of 1, 2, 3, 4, 5
    /// and 6; other numbers mean the newest that is known.
    #[cfg(feature = "door")]
    #[must_use]
    pub fn up_to_landlock(self, abi: i32) -> Self {
        use landlock::ABI;
        let newest = match abi {
            1 => ABI::V1,
            2 => ABI::V2,
            3 => ABI::V3,
            4 => ABI::V4,
            5 => ABI::V5,
            _ => sandbox::NEWEST,
        };
        Self { layers: Layers { newest, ..self.layers } }
    }

    /// Makes a command start as a confined worker. It must be started by a thread that lives as long
    /// as the worker, since the kernel kills the worker when that thread ends.
    ///
    /// # Errors
    /// That of the system, when the rules can not be made.
    pub fn confine(self, command: &mut Command, duty: Duty<'_>) -> io::Result<()> {
        let programs: Vec<&Path> = [duty.program].into_iter().chain(duty.ffmpeg).collect();
        let class = if duty.ffmpeg.is_some() { Class::Starter } else { Class::Worker };
        let allowed = Allowed {
            class,
            programs: &programs,
            readable: &own_libraries(duty.folder),
            inputs: &[],
            folders: duty.writable,
            // A service looks at the sizes of files itself.
            largest_file: u64::MAX,
        };
        sandbox::confine(command, &allowed, self.layers)
    }
}

/// The folders of the libraries of this process, wherever they are installed; but none that a folder
/// lies in.
#[cfg(target_os = "linux")]
fn own_libraries(but: &Path) -> Vec<PathBuf> {
    static FOLDERS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let all = FOLDERS.get_or_init(|| {
        // Each line has the rights of a mapping, as in `r-xp`, and ends with the path of its file
        // (proc(5)).
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let code = maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(is_code));
        let mapped = code.filter_map(|line| line.find('/').and_then(|at| line.get(at..)));
        let libraries = mapped.map(Path::new).filter(|path| is_library(path));
        let folders = libraries.filter_map(|path| path.parent());
        let linked = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let linked = env::split_paths(&linked).filter(|folder| folder.is_absolute());
        let linked = linked.map(|folder| folder.canonicalize().unwrap_or(folder));
        let all: BTreeSet<PathBuf> = folders.map(Path::to_owned).chain(linked).collect();
        all.into_iter().collect()
    });
    all.iter().filter(|folder| !but.starts_with(folder)).cloned().collect()
}

/// Whether the rights of a mapping are those of code.
#[cfg(target_os = "linux")]
fn is_code(rights: &str) -> bool {
    rights.contains('x')
}

/// Whether a file is named like a shared library, as in `libavutil.so.57`.
#[cfg(target_os = "linux")]
fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".so") || name.contains(".so.")
}

/// The `ffmpeg` program that is run where the settings name none, by its path with links resolved; `None`
/// where there is none.
pub fn find_ffmpeg() -> Option<PathBuf> {
    super::program::find(None).ok()
}

/// Keeps other processes of the same user from reading the memory of this one.
///
/// # Errors
/// That of the system, when it refuses.
#[cfg(target_os = "linux")]
pub fn hide_memory() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(not(target_os = "linux"))]
impl Sandbox {
    /// Nothing: only Linux confines processes in this way.
    pub const fn of_this_kernel() -> Self {
        Self {}
    }

    /// Neither files nor system calls are confined.
    pub const fn none() -> Self {
        Self {}
    }

    /// What is not enforced, in words.
    pub fn missing(self) -> Option<String> {
        Some("Landlock and seccomp, which confine workers, exist on Linux only".to_owned())
    }

    /// Leaves the command as it is.
    ///
    /// # Errors
    /// None.
    pub fn confine(self, _: &mut Command, _: Duty<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// Does nothing here.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn hide_memory() -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_are_taken_for_such_and_no_folder_of_the_worker() {
        let names = ["libavutil.so", "libavutil.so.57.28", "avocet.db-shm", "a.sonar", "so"];
        let found = names.map(|name| is_library(&Path::new("/www.sonar.example").join(name)));
        assert_eq!(found, [true, true, false, false, false]);
        let all = own_libraries(Path::new("/nowhere"));
        assert!(!all.is_empty(), "this test has no libraries");
        for folder in &all {
            assert!(!own_libraries(&folder.join("data/work")).contains(folder));
        }
    }
}
