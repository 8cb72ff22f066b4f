//! The demuxer: opens a container and reads its packets.

mod colors;
mod end;
mod padding;
mod parameters;

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_int, c_void},
    io, ptr,
    ptr::NonNull,
};

use ffmpeg_sys_next as ffi;

use avocet_model::{
    error::{Error, LibavError},
    format::{movie::Ends, seek::ReadSeek},
    location::Location,
    media::MediaInfo,
    progress::CancelToken,
    time::{Rational, TimeBase, Timestamp},
};

use colors::{restore_colors, take_colors};
pub(crate) use parameters::{Parameters, Table};

use super::{
    AvResult, Options, Packet, allocated, check, describe, error, io::Io, limits::Limits, rational,
    refused, samples, text, ticks,
};

/// The only protocol on libav's whitelist. None has this name, so libav opens nothing by itself.
const NO_PROTOCOL: &CStr = c"none";

/// Input is read sparsely when the bit rate of all streams is more than this many times that of the
/// streams that are kept.
const SPARSE: i64 = 8;

/// The farthest accepted time from zero, in seconds: some 3000 years, since clocks count from years
/// 1, 1601, 1900, 1904 and 1970. An `f64` resolves 15 µs there.
const FARTHEST: f64 = 1e11;

/// The longest accepted input, in seconds: some ten years. One that states more is damaged.
const LONGEST: f64 = 10.0 * 366.0 * 86_400.0;

/// The name that libav gets for every input. No format is to be guessed from a name, but some
/// demuxers need one.
const NAME: &CStr = c"input";

/// An open input.
#[derive(Debug)]
pub(crate) struct Demuxer {
    context: NonNull<ffi::AVFormatContext>,
    io: Io,
    /// The token that libav's interrupt callback reads; boxed, so that its address does not change.
    cancel: Box<CancelToken>,
    /// How closely its streams were probed.
    depth: Depth,
    /// Whether `avformat_find_stream_info` was called for this context.
    has_looked: bool,
    /// Limits on picture size and duration.
    pub(crate) limits: Limits,
    /// Picture size that libav refused while it probed the streams: width and height, in pixels.
    pub(crate) refused: Option<(u32, u32)>,
    /// The duration that the header states, where libav computes one from the size of the file.
    pub(crate) stated: Option<Timestamp>,
    /// Ends of edit lists by track ID; filled only where libav overstates a duration.
    pub(crate) ends: Ends,
    /// Number of packets of each stream that were left out, since the input ends within them.
    torn: BTreeMap<usize, u64>,
    /// Number of packets of each stream that the index lists behind the end of the input.
    absent: BTreeMap<usize, u64>,
    /// Number of those packets that were skipped since the last seek.
    skipped: u64,
    /// Time of the first packet that was read, in seconds: its DTS, or its PTS where it has none.
    first_seconds: Option<f64>,
    /// Whether it is an MXF file without its footer; `None` until that was checked.
    is_cut: Option<bool>,
    /// Position of the last packet, in bytes, where the demuxer states it; in FLV, that of its tag.
    last_at: Option<u64>,
    /// The number of the stream of the last packet.
    last_stream: Option<usize>,
    /// Whether another file, which is not read, follows where libav saw the end.
    pub(crate) is_followed: bool,
}

// SAFETY: a format context has no thread affinity, and one thread at a time uses it.
unsafe impl Send for Demuxer {}

/// How closely the streams of an input are probed when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The header alone, in containers where it suffices to decode.
    Header,
    /// All that libav finds out, for which it may decode a frame of each stream.
    Streams,
}

/// Why an input or output stopped working.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The cancel token was set.
    Cancelled,
    /// The reader or writer itself failed.
    Io(io::Error),
    /// libav failed.
    Libav(LibavError),
    /// A packet has this time, in seconds, which is too far from zero or from the first packet.
    FarTime(f64),
}

impl Fault {
    /// The fault of an input, as an error of the run.
    pub(crate) fn of_input(self, location: &Location) -> Error {
        match self {
            Self::Cancelled => Error::Cancelled,
            Self::Io(source) => Error::Read { location: location.clone(), source },
            Self::Libav(error) => {
                Error::NotMedia { location: location.clone(), reason: error.to_string() }
            }
            Self::FarTime(seconds) => Error::Lacking {
                location: location.clone(),
                found: format!("a packet at {seconds:.0} s"),
                needed:
                    "packet times within ten years of the first packet and within 3000 years of 0"
                        .to_owned(),
            },
        }
    }

    /// The cause behind an error of libav: cancellation, a failed read or write, or libav itself.
    pub(super) fn new(error: LibavError, io: &mut Io, cancel: &CancelToken) -> Self {
        match io.take_failure() {
            _ if cancel.is_cancelled() => Self::Cancelled,
            Some(failure) => Self::Io(failure),
            None => Self::Libav(error),
        }
    }
}

/// The interrupt callback that stops libav once `cancel` is set. The token must outlive the
/// context, and must not move.
pub(super) fn interrupted_by(cancel: &CancelToken) -> ffi::AVIOInterruptCB {
    let opaque = ptr::from_ref(cancel).cast_mut().cast();
    ffi::AVIOInterruptCB { callback: Some(interrupt), opaque }
}

unsafe extern "C" fn interrupt(opaque: *mut c_void) -> c_int {
    // SAFETY: `opaque` is the token of `interrupted_by`, which outlives the context.
    c_int::from(unsafe { &*opaque.cast::<CancelToken>() }.is_cancelled())
}

/// Refuses every further file or address that a container names.
pub(super) unsafe extern "C" fn refuse_open(
    _: *mut ffi::AVFormatContext,
    _: *mut *mut ffi::AVIOContext,
    _: *const std::ffi::c_char,
    _: c_int,
    _: *mut *mut ffi::AVDictionary,
) -> c_int {
    ffi::AVERROR(ffi::EPERM)
}

impl Demuxer {
    /// Opens the container that `reader` reads, and probes its streams as closely as `depth` asks.
    pub(crate) fn open(
        reader: Box<dyn ReadSeek>,
        depth: Depth,
        limits: Limits,
        cancel: &CancelToken,
    ) -> Result<Self, Fault> {
        super::start();
        let cancel = Box::new(cancel.clone());
        let mut io = Io::reader(reader, (*cancel).clone()).map_err(Fault::Libav)?;
        // SAFETY: the token and the I/O are kept beside the context.
        let opened = unsafe { open_context(&io, &cancel) };
        let context = opened.map_err(|error| Fault::new(error, &mut io, &cancel))?;
        let mut demuxer = Self {
            context,
            io,
            cancel,
            depth: Depth::Header,
            has_looked: false,
            limits,
            refused: None,
            stated: None,
            ends: Ends::new(),
            torn: BTreeMap::new(),
            absent: BTreeMap::new(),
            skipped: 0,
            first_seconds: None,
            is_cut: None,
            last_at: None,
            last_stream: None,
            is_followed: false,
        };
        if depth == Depth::Streams || !demuxer.has_full_header() {
            demuxer.look_closely()?;
        }
        if demuxer.cancel.is_cancelled() {
            return Err(Fault::Cancelled);
        }
        demuxer.all_was_read()?;
        Ok(demuxer)
    }

    /// Fails when a read failed in the meantime, since libav takes a failed read for the end.
    fn all_was_read(&mut self) -> Result<(), Fault> {
        match self.io.take_failure() {
            // Seeks to positions that do not exist fail with this kind, and libav tries some.
            Some(failure) if failure.kind() != io::ErrorKind::InvalidInput => {
                Err(Fault::Io(failure))
            }
            _ => Ok(()),
        }
    }

    /// Probes the streams by their first packets (`avformat_find_stream_info`). This is done once
    /// per context, since libav does not survive a second call.
    pub(crate) fn look_closely(&mut self) -> Result<(), Fault> {
        if std::mem::replace(&mut self.has_looked, true) {
            return Ok(());
        }
        self.depth = Depth::Streams;
        // The option limits the streams that are known by now. Those that show later are checked
        // against the limit afterwards.
        let most = ("max_pixels".to_owned(), self.limits.max_pixels.to_string());
        let most = i64::try_from(self.limits.max_pixels).map_or(Vec::new(), |_| vec![most]);
        let options = self.streams().map(|_| Options::new(&most)).collect::<AvResult<Vec<_>>>();
        let mut options = options.map_err(Fault::Libav)?;
        let mut pointers: Vec<_> = options.iter().map(|options| options.0).collect();
        refused::take_last();
        // SAFETY: the streams belong to the open context, which only we use.
        let stated: Vec<_> = self.streams().map(|stream| unsafe { take_colors(stream) }).collect();
        // SAFETY: the context is open, and there is a dictionary, or null, for each of its streams;
        // libav leaves in their places what it did not read of them.
        let found =
            unsafe { ffi::avformat_find_stream_info(self.context.as_ptr(), pointers.as_mut_ptr()) };
        options.iter_mut().zip(pointers).for_each(|(options, left)| options.0 = left);
        for (stream, colors) in self.streams().zip(stated) {
            // SAFETY: as above; libav adds streams behind those that there were.
            unsafe { restore_colors(stream, colors) };
        }
        self.refused = refused::take_last();
        check(found).map_err(|error| self.fault(error))?;
        self.all_was_read()
    }

    /// Whether the container's header alone says how its streams are coded.
    pub(crate) fn has_full_header(&self) -> bool {
        self.is_format("mov") || self.is_format("matroska")
    }

    /// Whether libav states a longer duration of any stream than its edit list does.
    pub(crate) fn overstates(&self) -> bool {
        let context = self.context.as_ptr();
        // SAFETY: the context is open, and the streams are its own.
        self.streams().any(|stream| unsafe { describe::overstates(context, stream) })
    }

    /// Whether the container states presentation times (PTS), not only decoding times (DTS).
    fn states_presentation(&self) -> bool {
        avocet_model::media::STATES_PRESENTATION.iter().any(|name| self.is_format(name))
    }

    /// What probing found, with durations corrected by `ends` and `stated`.
    pub(crate) fn media(&self) -> MediaInfo {
        // SAFETY: the context is open, and its streams were looked at.
        let media = unsafe { describe::media(self.context.as_ptr(), &self.ends) };
        MediaInfo {
            duration: media.duration.max(self.stated),
            duration_is_estimate: media.duration_is_estimate && self.stated.is_none(),
            ..media
        }
    }

    /// Whether `name` is one of libav's names for the container.
    pub(crate) fn is_format(&self, name: &str) -> bool {
        // SAFETY: the context is open, and its format static.
        unsafe { text((*(*self.context.as_ptr()).iformat).name) }.split(',').any(|one| one == name)
    }

    /// Reads the next packet; `None` at the end. A packet within which the input ends is left out,
    /// and counted as torn.
    pub(crate) fn read(&mut self) -> Result<Option<Packet>, Fault> {
        let code = loop {
            let mut packet = Packet::new().map_err(Fault::Libav)?;
            // SAFETY: the context is open; the packet is fresh, so that nothing in it can leak.
            let code = unsafe { ffi::av_read_frame(self.context.as_ptr(), packet.as_ptr()) };
            if code == ffi::AVERROR_EOF && self.begin_next_flv()? {
                continue;
            }
            let may_be_absent = code == ffi::AVERROR_EOF || code == ffi::AVERROR_INVALIDDATA;
            if may_be_absent && self.skips_absent() {
                continue;
            }
            if code < 0 {
                break code;
            }
            self.check_time(&packet)?;
            self.last_at = packet.position().and_then(|at| at.try_into().ok());
            self.last_stream = Some(packet.stream());
            if self.is_torn(&packet) {
                *self.torn.entry(packet.stream()).or_default() += 1;
                continue;
            }
            self.begin_sound(&mut packet).map_err(Fault::Libav)?;
            self.end_sound(&mut packet);
            // APNG draws each picture onto those before it, so only the first is a keyframe,
            // whatever libav flags.
            if self.is_format("apng") && packet.pts() > Some(0) {
                packet.set_key(false);
            }
            return Ok(Some(packet));
        };
        match self.fault(error(code)) {
            Fault::Libav(error) if error.code == ffi::AVERROR_EOF => {
                if let Some((at, stream)) = self.last_at.zip(self.last_stream) {
                    self.is_followed |= self.stops_before_matroska(at)?;
                    if self.ends_within_page(at)? {
                        *self.torn.entry(stream).or_default() += 1;
                    }
                }
                // A further read at the end must not count these again.
                self.last_at = None;
                Ok(None)
            }
            fault => Err(fault),
        }
    }

    /// Fails when a time of a packet is farther than [`FARTHEST`] from zero, where seconds are too
    /// coarse for samples, or than [`LONGEST`] from the first packet, since to fill such a gap
    /// would take too long.
    fn check_time(&mut self, packet: &Packet) -> Result<(), Fault> {
        let Some(base) = self.time_base_of(packet) else { return Ok(()) };
        for ticks in packet.stated_times() {
            let seconds = Timestamp::new(ticks, base).seconds();
            let first = *self.first_seconds.get_or_insert(seconds);
            if seconds.abs() > FARTHEST || (seconds - first).abs() > LONGEST {
                return Err(Fault::FarTime(seconds));
            }
        }
        Ok(())
    }

    fn time_base_of(&self, packet: &Packet) -> Option<TimeBase> {
        // SAFETY: the context is open; libav numbers the streams of its packets rightly.
        unsafe { rational((**(*self.context.as_ptr()).streams.add(packet.stream())).time_base) }
    }

    /// The first bytes of a stream's first packet: at most `most` in a movie, the whole packet in
    /// other containers. No packet may have been read before; reading then begins at the first
    /// packet.
    pub(crate) fn first_bytes(&mut self, stream: usize, most: usize) -> Result<Vec<u8>, Fault> {
        let listed = self.is_format("mov").then(|| self.listed_at(stream, 0)).flatten();
        if let Some(first) = listed {
            let size = usize::try_from(first.bytes).unwrap_or(most).min(most);
            return self.peek(first.at, size);
        }
        let bytes = loop {
            match self.read()? {
                Some(packet) if packet.stream() == stream => break packet.data().to_vec(),
                Some(_) => {}
                None => break Vec::new(),
            }
        };
        self.rewind()?;
        Ok(bytes)
    }

    /// Reads up to `size` bytes at the position `at`, and restores the position of libav.
    fn peek(&mut self, at: u64, size: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; size];
        let length = c_int::try_from(size).unwrap_or(0);
        // SAFETY: the I/O context is live, and libav is not in it; the buffer is as long as is
        // said.
        let read = unsafe {
            let io = self.io.as_ptr();
            let here = ffi::avio_seek(io, 0, ffi::SEEK_CUR);
            ffi::avio_seek(io, i64::try_from(at).unwrap_or(i64::MAX), ffi::SEEK_SET);
            let read = ffi::avio_read(io, bytes.as_mut_ptr(), length);
            ffi::avio_seek(io, here, ffi::SEEK_SET);
            read
        };
        self.all_was_read()?;
        bytes.truncate(usize::try_from(read).unwrap_or(0));
        Ok(bytes)
    }

    /// Seeks to a keyframe at or before `ticks` of a stream, as far as the container knows. APNG
    /// and MXF without a footer are rewound instead.
    pub(crate) fn seek(&mut self, stream: usize, ticks: i64) -> Result<(), Fault> {
        (self.last_at, self.skipped) = (None, 0);
        if self.is_format("apng") || self.is_cut_mxf()? {
            return self.rewind();
        }
        let index = c_int::try_from(stream).unwrap_or(-1);
        // SAFETY: the context is open; an index that is not there is refused by libav.
        let code = unsafe {
            ffi::avformat_seek_file(self.context.as_ptr(), index, i64::MIN, ticks, ticks, 0)
        };
        check(code).map(drop).map_err(|error| self.fault(error))
    }

    /// Goes back to the first packet.
    pub(crate) fn rewind(&mut self) -> Result<(), Fault> {
        (self.last_at, self.skipped) = (None, 0);
        // Packets of an appended file may have replaced those of the first one in libav's index.
        if self.is_format("flv") || self.is_format("matroska") {
            return self.reopen();
        }
        // SAFETY: the context is open, and its format static.
        let code = unsafe {
            let context = self.context.as_ptr();
            // These formats have no index of their own, and a seek by time may miss the first
            // keyframe.
            let flags = (*(*context).iformat).flags;
            let by_bytes = flags & (ffi::AVFMT_TS_DISCONT | ffi::AVFMT_GENERIC_INDEX) != 0
                && flags & ffi::AVFMT_NO_BYTE_SEEK == 0;
            if by_bytes {
                let flags = ffi::AVSEEK_FLAG_BYTE;
                ffi::avformat_seek_file(context, -1, i64::MIN, 0, i64::MAX, flags)
            } else {
                ffi::avformat_seek_file(context, -1, i64::MIN, i64::MIN, i64::MAX, 0)
            }
        };
        match check(code).map_err(|error| self.fault(error)) {
            Ok(_) => Ok(()),
            Err(Fault::Libav(_)) => self.reopen(),
            Err(fault) => Err(fault),
        }
    }

    /// Reopens the container at its first packet, and probes the streams fully.
    pub(crate) fn look_anew(&mut self) -> Result<(), Fault> {
        self.depth = Depth::Streams;
        self.reopen()
    }

    /// Reopens the container, which leads to the first packet even where a seek does not. The same
    /// streams stay discarded.
    fn reopen(&mut self) -> Result<(), Fault> {
        let discards: Vec<_> =
            // SAFETY: the streams belong to the open context.
            self.streams().map(|stream| unsafe { (*stream).discard }).collect();
        // SAFETY: the I/O context is live, and libav is not in it.
        let code = unsafe { ffi::avio_seek(self.io.as_ptr(), 0, ffi::SEEK_SET) };
        let code = c_int::try_from(code.min(0)).unwrap_or(ffi::AVERROR(ffi::EIO));
        check(code).map_err(|error| self.fault(error))?;
        // SAFETY: the token and the I/O are kept beside the context.
        let opened = unsafe { open_context(&self.io, &self.cancel) };
        let opened = opened.map_err(|error| self.fault(error))?;
        let mut old = std::mem::replace(&mut self.context, opened).as_ptr();
        // SAFETY: the old context was ours; its I/O is custom and stays.
        unsafe { ffi::avformat_close_input(&raw mut old) };
        self.has_looked = false;
        if self.depth == Depth::Streams {
            self.look_closely()?;
        }
        for (stream, discard) in self.streams().zip(discards) {
            // SAFETY: the stream belongs to the open context, which only we use.
            unsafe { (*stream).discard = discard };
        }
        self.all_was_read()
    }

    /// Discards the packets of all streams but those that are wanted.
    ///
    /// In a movie whose sample tables list the wanted packets, and where these are few, libav's
    /// buffered reading is turned off, so that nothing between or ahead of them is read.
    pub(crate) fn keep_only(&mut self, wanted: impl Fn(usize) -> bool) {
        let (mut kept, mut all) = (0, 0);
        let mut is_listed = true;
        for (number, stream) in self.streams().enumerate() {
            let is_wanted = wanted(number);
            let discard = if is_wanted {
                ffi::AVDiscard::AVDISCARD_DEFAULT
            } else {
                ffi::AVDiscard::AVDISCARD_ALL
            };
            // SAFETY: the stream belongs to the open context, which only we use.
            unsafe {
                (*stream).discard = discard;
                let rate = (*(*stream).codecpar).bit_rate.max(0);
                all = rate.saturating_add(all);
                kept = if is_wanted { rate.saturating_add(kept) } else { kept };
                is_listed &= !is_wanted || (*stream).nb_frames > 0;
            }
        }
        let is_sparse = self.is_format("mov") && is_listed && kept.saturating_mul(SPARSE) < all;
        // SAFETY: the I/O context is live, and libav is not in it.
        unsafe { (*self.io.as_ptr()).direct = c_int::from(is_sparse) };
    }

    /// Codec parameters of a stream, with what the container states; `None` when there is no such
    /// stream.
    pub(crate) fn parameters(&self, stream: usize) -> Option<AvResult<Parameters>> {
        let stream = self.streams().nth(stream)?;
        // SAFETY: the stream belongs to the open context, and what is copied does not point to it.
        Some(unsafe {
            Parameters::copy((*stream).codecpar, rational((*stream).time_base)).map(|mut copy| {
                let context = self.context.as_ptr();
                let aspect = ffi::av_guess_sample_aspect_ratio(context, stream, ptr::null_mut());
                (*copy.as_ptr()).sample_aspect_ratio = aspect;
                (*copy.as_ptr()).format = describe::format_of(stream);
                copy.decoder = describe::alpha_decoder(stream);
                copy.frame_rate = rational((*stream).avg_frame_rate);
                copy.goes_back = self.is_format("mov") && describe::goes_back(stream);
                copy.start = ticks((*stream).start_time);
                copy.table = describe::table(context, stream, &self.ends);
                copy.states_presentation = self.states_presentation();
                copy.side_data = describe::all_side_data(stream);
                copy.limits = self.limits;
                copy
            })
        })
    }

    /// The time of the last entry of the container's own index for a stream; `None` without one.
    pub(crate) fn last_indexed(&self, stream: usize) -> Option<Timestamp> {
        let stream = self.streams().nth(stream)?;
        // SAFETY: the stream belongs to the open context, and the entry to its index.
        unsafe {
            let count = ffi::avformat_index_get_entries_count(stream);
            let entry = ffi::avformat_index_get_entry(stream, count - 1);
            if entry.is_null() {
                return None;
            }
            Some(Timestamp::new(ticks((*entry).timestamp)?, rational((*stream).time_base)?))
        }
    }

    /// The packets of a stream in decoding order, as the container's own index lists them.
    pub(crate) fn listed(&self, stream: usize) -> Vec<Listed> {
        let Some(pointer) = self.streams().nth(stream) else { return Vec::new() };
        // SAFETY: the stream belongs to the open context.
        let count = unsafe { ffi::avformat_index_get_entries_count(pointer) };
        (0..count).map_while(|number| self.listed_at(stream, number)).collect()
    }

    /// Entry `number`, from 0, of the container's own index.
    fn listed_at(&self, stream: usize, number: c_int) -> Option<Listed> {
        let stream = self.streams().nth(stream)?;
        // SAFETY: the stream belongs to the open context; an entry that is not there is null.
        let entry = unsafe { ffi::avformat_index_get_entry(stream, number).as_ref() }?;
        Some(Listed {
            at: u64::try_from(entry.pos).ok()?,
            dts: ticks(entry.timestamp)?,
            bytes: u32::try_from(entry.size()).ok()?,
            is_key: entry.flags() & ffi::AVINDEX_KEYFRAME != 0,
            is_hidden: entry.flags() & ffi::AVINDEX_DISCARD_FRAME != 0,
        })
    }

    fn streams(&self) -> impl Iterator<Item = *mut ffi::AVStream> + use<'_> {
        // SAFETY: the context is open, and holds as many streams as it says.
        unsafe { describe::streams(self.context.as_ptr()) }
    }

    fn fault(&mut self, error: LibavError) -> Fault {
        Fault::new(error, &mut self.io, &self.cancel)
    }
}

impl Drop for Demuxer {
    fn drop(&mut self) {
        let mut context = self.context.as_ptr();
        // SAFETY: the context is ours; its I/O is custom and therefore left to `Io`.
        unsafe { ffi::avformat_close_input(&raw mut context) };
    }
}

/// Opens the container that `io` reads, from its current position on.
///
/// # Safety
/// `io` and `cancel` outlive the context.
unsafe fn open_context(io: &Io, cancel: &CancelToken) -> AvResult<NonNull<ffi::AVFormatContext>> {
    // SAFETY: allocates only; null is caught.
    let context = allocated(unsafe { ffi::avformat_alloc_context() })?;
    let mut raw = context.as_ptr();
    // SAFETY: the context is live and ours; the caller vouches for the token and the I/O, and the
    // callbacks are static. `avformat_open_input` frees the context when it fails.
    let opened = unsafe {
        (*raw).pb = io.as_ptr();
        (*raw).interrupt_callback = interrupted_by(cancel);
        (*raw).io_open = Some(refuse_open);
        (*raw).protocol_whitelist = ffi::av_strdup(NO_PROTOCOL.as_ptr());
        ffi::avformat_open_input(&raw mut raw, NAME.as_ptr(), ptr::null(), ptr::null_mut())
    };
    check(opened).map(|_| context)
}

/// A packet in a container's own index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    /// Position in the input, in bytes from its beginning.
    pub(crate) at: u64,
    /// Decoding time (DTS), in ticks of the stream's time base.
    pub(crate) dts: i64,
    /// Size, in bytes.
    pub(crate) bytes: u32,
    /// Whether the index flags it as a keyframe.
    pub(crate) is_key: bool,
    /// Whether an edit list hides it.
    pub(crate) is_hidden: bool,
}
