//! libav's I/O contexts over Rust readers and writers.

use std::{
    ffi::{c_int, c_void},
    io::{self, Read, Seek, SeekFrom, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    slice,
};

use ffmpeg_sys_next as ffi;

use avocet_model::{
    format::seek::{ReadSeek, WriteSeek},
    progress::CancelToken,
};

use super::{AvResult, out_of_memory};

/// Size of libav's I/O buffer, and of ours, in bytes.
const BUFFER: usize = 64 << 10;

/// libav's I/O context over a reader or writer of ours.
#[derive(Debug)]
pub(super) struct Io {
    context: NonNull<ffi::AVIOContext>,
    /// Allocated in a box, so that the address that libav holds stays valid.
    state: NonNull<State>,
}

// SAFETY: the context is used by one thread at a time, and everything in the state is `Send`.
unsafe impl Send for Io {}

struct State {
    stream: Stream,
    cancel: CancelToken,
    /// The buffer that readers fill, kept between calls.
    room: Vec<u8>,
    /// The first error of the reader or writer; libav itself keeps an error code only.
    failure: Option<io::Error>,
}

enum Stream {
    Reader(Box<dyn ReadSeek>),
    Writer(Box<dyn WriteSeek>),
}

impl Io {
    /// I/O that reads from `reader` until `cancel` is set.
    pub(super) fn reader(reader: Box<dyn ReadSeek>, cancel: CancelToken) -> AvResult<Self> {
        Self::new(Stream::Reader(reader), cancel)
    }

    /// I/O that writes to `writer` until `cancel` is set.
    pub(super) fn writer(writer: Box<dyn WriteSeek>, cancel: CancelToken) -> AvResult<Self> {
        Self::new(Stream::Writer(writer), cancel)
    }

    fn new(stream: Stream, cancel: CancelToken) -> AvResult<Self> {
        let writes = matches!(stream, Stream::Writer(_));
        let state =
            Box::into_raw(Box::new(State { stream, cancel, room: Vec::new(), failure: None }));
        // SAFETY: the buffer is allocated by libav, as its I/O asks; the callbacks get the state,
        // which lives until `drop`. On failure what was made is taken back.
        unsafe {
            let buffer = ffi::av_malloc(BUFFER).cast();
            let context = ffi::avio_alloc_context(
                buffer,
                c_int::try_from(BUFFER).unwrap_or(c_int::MAX),
                c_int::from(writes),
                state.cast(),
                if writes { None } else { Some(read) },
                if writes { Some(write) } else { None },
                Some(seek),
            );
            match (NonNull::new(context), NonNull::new(state)) {
                (Some(context), Some(state)) if !buffer.is_null() => {
                    // Muxers mark each packet as a point to flush, which would cost a system call
                    // each.
                    (*context.as_ptr()).min_packet_size = c_int::try_from(BUFFER).unwrap_or(0);
                    Ok(Self { context, state })
                }
                _ => {
                    ffi::av_free(buffer.cast());
                    drop(Box::from_raw(state));
                    Err(out_of_memory())
                }
            }
        }
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVIOContext {
        self.context.as_ptr()
    }

    /// Takes the first error of the reader or writer itself, if there was one.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        // SAFETY: the state is live, and libav is not in a callback while we hold `&mut self`.
        unsafe { self.state.as_mut() }.failure.take()
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        // SAFETY: context, its buffer (which libav may have replaced) and state are ours, and
        // whoever used the context is closed before its `Io` is dropped.
        unsafe {
            let mut context = self.context.as_ptr();
            if (*context).write_flag != 0 {
                ffi::avio_flush(context);
            }
            ffi::av_freep((&raw mut (*context).buffer).cast());
            ffi::avio_context_free(&raw mut context);
            drop(Box::from_raw(self.state.as_ptr()));
        }
    }
}

impl State {
    /// Runs one operation on the stream, unless cancelled. It catches panics, and keeps the first
    /// error.
    fn run(&mut self, operation: impl FnOnce(&mut Stream) -> io::Result<i64>) -> i64 {
        if self.cancel.is_cancelled() {
            return i64::from(ffi::AVERROR_EXIT);
        }
        let stream = &mut self.stream;
        // A panic may leave the stream half changed. It is not used again, since libav stops.
        let result = catch_unwind(AssertUnwindSafe(|| operation(stream))).unwrap_or_else(|panic| {
            Err(io::Error::other(format!(
                "panicked: {}",
                avocet_model::panics::panic_text(&*panic)
            )))
        });
        result.unwrap_or_else(|error| {
            if self.cancel.is_cancelled() {
                return i64::from(ffi::AVERROR_EXIT);
            }
            self.failure.get_or_insert(error);
            i64::from(ffi::AVERROR(ffi::EIO))
        })
    }
}

unsafe extern "C" fn read(opaque: *mut c_void, buffer: *mut u8, size: c_int) -> c_int {
    // SAFETY: `opaque` is the state that `new` gave, and libav is in one callback at a time.
    let state = unsafe { &mut *opaque.cast::<State>() };
    // The reader gets a buffer of ours. That of libav may not be initialized, and must stay as it
    // is when there is nothing to read.
    let mut room = std::mem::take(&mut state.room);
    room.resize(BUFFER, 0);
    let wanted = usize::try_from(size).unwrap_or(0).min(room.len());
    let read = state.run(|stream| {
        let Stream::Reader(reader) = stream else { return Err(io::ErrorKind::Unsupported.into()) };
        loop {
            match reader.read(&mut room[..wanted]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A faulty reader may claim more bytes than fit.
                Ok(length) => return Ok(i64::try_from(length.min(wanted)).unwrap_or(0)),
                Err(error) => return Err(error),
            }
        }
    });
    if let Ok(length) = usize::try_from(read) {
        // SAFETY: the buffer of libav holds `size` bytes, and `length` is no more.
        unsafe { room.as_ptr().copy_to_nonoverlapping(buffer, length) };
    }
    state.room = room;
    match c_int::try_from(read) {
        Ok(0) => ffi::AVERROR_EOF,
        Ok(read) => read,
        Err(_) => ffi::AVERROR(ffi::EIO),
    }
}

/// The buffer of the write callback, which is `const` since FFmpeg 7.0.
#[cfg(ffmpeg_7_0)]
type Written = *const u8;
#[cfg(not(ffmpeg_7_0))]
type Written = *mut u8;

unsafe extern "C" fn write(opaque: *mut c_void, buffer: Written, size: c_int) -> c_int {
    // SAFETY: as in `read`; the buffer is only read.
    let (state, buffer) = unsafe {
        let size = usize::try_from(size).unwrap_or(0);
        (&mut *opaque.cast::<State>(), slice::from_raw_parts::<u8>(buffer, size))
    };
    let written = state.run(|stream| match stream {
        Stream::Writer(writer) => writer.write_all(buffer).map(|()| i64::from(size)),
        Stream::Reader(_) => Err(io::ErrorKind::Unsupported.into()),
    });
    c_int::try_from(written).unwrap_or(ffi::AVERROR(ffi::EIO))
}

unsafe extern "C" fn seek(opaque: *mut c_void, offset: i64, whence: c_int) -> i64 {
    // SAFETY: as in `read`.
    let state = unsafe { &mut *opaque.cast::<State>() };
    state.run(|stream| {
        let stream: &mut dyn Seek = match stream {
            Stream::Reader(reader) => reader,
            Stream::Writer(writer) => writer,
        };
        let target = match whence & !ffi::AVSEEK_FORCE {
            ffi::SEEK_SET => {
                SeekFrom::Start(u64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?)
            }
            ffi::SEEK_CUR => SeekFrom::Current(offset),
            ffi::SEEK_END => SeekFrom::End(offset),
            ffi::AVSEEK_SIZE => {
                let here = stream.stream_position()?;
                let length = stream.seek(SeekFrom::End(0))?;
                stream.seek(SeekFrom::Start(here))?;
                return i64::try_from(length).map_err(io::Error::other);
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        i64::try_from(stream.seek(target)?).map_err(io::Error::other)
    })
}
