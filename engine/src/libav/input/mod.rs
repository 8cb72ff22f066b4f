//! Demuxers: containers opened, packets read.

mod end;
mod padding;

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_int, c_void},
    io, ptr,
    ptr::NonNull,
};

use ffmpeg_sys_next as ffi;

use avocet_model::{
    error::LibavError,
    format::{movie::Ends, nal::avc::Head, seek::ReadSeek},
    media::MediaInfo,
    progress::CancelToken,
    time::{Rational, TimeBase, Timestamp},
};

use super::{
    AvResult, Options, Packet, allocated, check, describe, error, io::Io, limits::Limits, rational,
    refused, samples, text, ticks,
};

/// No protocol has this name, so libav opens nothing by itself.
const NO_PROTOCOL: &CStr = c"none";

/// How many times more the streams that are left out must hold, for those that are kept to be read
/// without what is between them.
const SPARSE: i64 = 8;

/// The farthest time from zero, in seconds, some three thousand years: clocks count from years 1, 1601,
/// 1900, 1904 and 1970. Numbers of 64 bits tell seconds there to 15 µs.
const FARTHEST: f64 = 1e11;

/// The longest input, in seconds, some ten years: what says that it is longer is damaged.
const LONGEST: f64 = 10.0 * 366.0 * 86_400.0;

/// What libav takes every input to be called: nothing follows from names, and some demuxers need one.
const NAME: &CStr = c"input";

/// An open input.
#[derive(Debug)]
pub(crate) struct Demuxer {
    context: NonNull<ffi::AVFormatContext>,
    io: Io,
    /// Where libav asks whether to go on; boxed for its address.
    cancel: Box<CancelToken>,
    /// How closely it was looked at.
    depth: Depth,
    /// Whether that was done.
    has_looked: bool,
    /// What it may hold.
    pub(crate) limits: Limits,
    /// Width and height, in pixels, that libav refused when it looked at the streams.
    pub(crate) refused: Option<(u32, u32)>,
    /// The duration that the header states, where libav takes the length of the file for it.
    pub(crate) stated: Option<Timestamp>,
    /// Where edit lists end, by the number of the track; read where libav overstates a duration.
    pub(crate) ends: Ends,
    /// How many packets of each stream were left out, since the input ends within them.
    torn: BTreeMap<usize, u64>,
    /// How many packets of each stream it lists behind its end.
    absent: BTreeMap<usize, u64>,
    /// How many of them were skipped since the last seek.
    skipped: u64,
    /// Time of the first packet that was read, in seconds.
    first: Option<f64>,
    /// Whether it lacks its end, once that was looked for.
    is_cut: Option<bool>,
    /// Where the last packet stands, in bytes, where the container tells; in FLV, where its tag begins.
    last_at: Option<u64>,
    /// The number of the stream of the last packet.
    last_stream: Option<usize>,
    /// Whether libav saw the end where another file stands, which it does not read.
    pub(crate) is_followed: bool,
}

// SAFETY: a format context has no thread affinity, and one thread at a time uses it.
unsafe impl Send for Demuxer {}

/// How closely an input is looked at when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Enough to decode, where the container's header tells it.
    Header,
    /// All that libav finds out, which may take a decoded frame of each stream.
    Streams,
}

/// Why an input or output stopped working.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The token was set.
    Cancelled,
    /// The reader or writer itself failed.
    Io(io::Error),
    /// libav failed.
    Libav(LibavError),
    /// A packet has this time, in seconds, which is beyond what can be placed.
    FarTime(f64),
}

impl Fault {
    /// The real cause behind an error of libav.
    pub(super) fn new(error: LibavError, io: &mut Io, cancel: &CancelToken) -> Self {
        match io.take_failure() {
            _ if cancel.is_cancelled() => Self::Cancelled,
            Some(failure) => Self::Io(failure),
            None => Self::Libav(error),
        }
    }
}

/// What libav asks whether to go on: a token, which outlives the context at the place where it is.
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
    /// Opens what `reader` gives and looks at its streams.
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
            first: None,
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

    /// Fails when the reader did while libav looked at the streams: it takes that for the end.
    fn all_was_read(&mut self) -> Result<(), Fault> {
        match self.io.take_failure() {
            // It tries places that are not there.
            Some(failure) if failure.kind() != io::ErrorKind::InvalidInput => {
                Err(Fault::Io(failure))
            }
            _ => Ok(()),
        }
    }

    /// Lets libav find out all it can about the streams, from the first packets; once, since libav
    /// does not survive a second time.
    pub(crate) fn look_closely(&mut self) -> Result<(), Fault> {
        if std::mem::replace(&mut self.has_looked, true) {
            return Ok(());
        }
        self.depth = Depth::Streams;
        // Of each stream that there is by now; those that show later are held against the limit
        // when they are known.
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

    /// Whether libav states too long a duration of any stream, which its edit list does not.
    pub(crate) fn overstates(&self) -> bool {
        let context = self.context.as_ptr();
        // SAFETY: the context is open, and the streams are its own.
        self.streams().any(|stream| unsafe { describe::overstates(context, stream) })
    }

    /// Whether the container states presentation times.
    fn states_presentation(&self) -> bool {
        avocet_model::media::STATES_PRESENTATION.iter().any(|name| self.is_format(name))
    }

    /// What was found.
    pub(crate) fn media(&self) -> MediaInfo {
        // SAFETY: the context is open, and its streams were looked at.
        let media = unsafe { describe::media(self.context.as_ptr(), &self.ends) };
        MediaInfo {
            duration: media.duration.max(self.stated),
            duration_is_estimate: media.duration_is_estimate && self.stated.is_none(),
            ..media
        }
    }

    /// Whether libav calls the container so.
    pub(crate) fn is_format(&self, name: &str) -> bool {
        // SAFETY: the context is open, and its format static.
        unsafe { text((*(*self.context.as_ptr()).iformat).name) }.split(',').any(|one| one == name)
    }

    /// The next packet; `None` at the end. One that the input ends within is left out.
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
            // Each picture of APNG is drawn onto those before it, whatever libav says.
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
                // It is told once.
                self.last_at = None;
                Ok(None)
            }
            fault => Err(fault),
        }
    }

    /// Fails when a packet is so far from zero that seconds do not tell its time to the sample, or so
    /// far from the first one that nobody waits until the hole between them is filled.
    fn check_time(&mut self, packet: &Packet) -> Result<(), Fault> {
        let Some(base) = self.time_base_of(packet) else { return Ok(()) };
        for ticks in packet.stated_times() {
            let seconds = Timestamp::new(ticks, base).seconds();
            let first = *self.first.get_or_insert(seconds);
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

    /// The first bytes of the first packet of a stream, from which nothing was read yet; no more than
    /// `most` where the container lists its packets. Reading goes on at the first packet.
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

    /// Bytes of the input at a place, as many as there are up to `size`; libav does not notice.
    fn peek(&mut self, at: u64, size: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; size];
        let length = c_int::try_from(size).unwrap_or(0);
        // SAFETY: the I/O context is live, and libav is not in it; the buffer is as long as is said.
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

    /// Goes to a keyframe at or before `ticks` of a stream, as far as the container knows.
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
        // What was read of a file behind the first one may have taken its place in the index.
        if self.is_format("flv") || self.is_format("matroska") {
            return self.reopen();
        }
        // SAFETY: the context is open, and its format static.
        let code = unsafe {
            let context = self.context.as_ptr();
            // Streams of bytes have no index, and a search by time may miss their first keyframe.
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

    /// Opens the container anew, and lets libav find out all it can about the streams.
    pub(crate) fn look_anew(&mut self) -> Result<(), Fault> {
        self.depth = Depth::Streams;
        self.reopen()
    }

    /// Opens the container anew, which leads to the first packet where a seek does not.
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

    /// Leaves out the packets of all streams but these.
    ///
    /// Where a movie's sample tables tell where those are, and they are few, nothing but them is
    /// read: not what lies between them, and nothing ahead.
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

    /// How a stream is coded; `None` when there is no such stream.
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

    /// The latest instant that the container's own index promises for a stream.
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

    /// The packets of a stream, as the container's own index lists them, in order of decoding.
    pub(crate) fn listed(&self, stream: usize) -> Vec<Listed> {
        let Some(pointer) = self.streams().nth(stream) else { return Vec::new() };
        // SAFETY: the stream belongs to the open context.
        let count = unsafe { ffi::avformat_index_get_entries_count(pointer) };
        (0..count).map_while(|number| self.listed_at(stream, number)).collect()
    }

    /// One entry of the container's own index, counted from 0.
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

/// Opens the container that `io` reads, from where that is.
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
    /// Where it stands, in bytes from the beginning.
    pub(crate) at: u64,
    /// Decoding time, in ticks.
    pub(crate) dts: i64,
    /// Size, in bytes.
    pub(crate) bytes: u32,
    /// Whether decoding can begin here.
    pub(crate) is_key: bool,
    /// Whether an edit list hides it.
    pub(crate) is_hidden: bool,
}

/// Primaries, transfer, matrix and range that a container states, as numbers of libav.
type Colors = [c_int; 4];

/// The fields of codec parameters that say how numbers become colors.
///
/// # Safety
/// `stream` points to a live stream.
unsafe fn color_fields(stream: *mut ffi::AVStream) -> [*mut c_int; 4] {
    // SAFETY: as promised by the caller; enums are as large as the integers they are cast to.
    unsafe {
        let coding = (*stream).codecpar;
        [
            (&raw mut (*coding).color_primaries).cast(),
            (&raw mut (*coding).color_trc).cast(),
            (&raw mut (*coding).color_space).cast(),
            (&raw mut (*coding).color_range).cast(),
        ]
    }
}

/// What libav calls colors of which nothing is said; in the order of [`color_fields`].
const NO_COLORS: Colors = [
    ffi::AVColorPrimaries::AVCOL_PRI_UNSPECIFIED as c_int,
    ffi::AVColorTransferCharacteristic::AVCOL_TRC_UNSPECIFIED as c_int,
    ffi::AVColorSpace::AVCOL_SPC_UNSPECIFIED as c_int,
    ffi::AVColorRange::AVCOL_RANGE_UNSPECIFIED as c_int,
];

/// Takes the colors that the container states out of the parameters of a stream, so that libav looks
/// for those of the coding, which pictures are decoded with. Since FFmpeg 9 it would keep the
/// container's where both are stated.
///
/// # Safety
/// `stream` points to a live stream, which nobody else uses.
unsafe fn take_colors(stream: *mut ffi::AVStream) -> Colors {
    // SAFETY: as promised by the caller.
    let fields = unsafe { color_fields(stream) };
    // SAFETY: as promised by the caller; each field takes the number that libav has for nothing.
    std::array::from_fn(|number| unsafe { fields[number].replace(NO_COLORS[number]) })
}

/// Puts colors of the container back, each where the coding states none: VP9 states a matrix only.
///
/// # Safety
/// `stream` points to a live stream, which nobody else uses.
unsafe fn restore_colors(stream: *mut ffi::AVStream, colors: Colors) {
    // SAFETY: as promised by the caller; the numbers came out of the same fields.
    unsafe {
        for ((field, none), stated) in color_fields(stream).into_iter().zip(NO_COLORS).zip(colors) {
            if *field == none {
                *field = stated;
            }
        }
    }
}

/// The end of a stream, by a complete sample table with its edit list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// Decoding time of the first of the last packets, as many as pictures are reordered over; in
    /// ticks.
    pub(crate) last_from: i64,
    /// Where the stream ends, in ticks.
    pub(crate) end: i64,
}

/// How a stream is coded: a copy that outlives its demuxer.
#[derive(Debug)]
pub(crate) struct Parameters {
    coding: NonNull<ffi::AVCodecParameters>,
    /// Seconds per tick of the stream's packets.
    pub(crate) time_base: TimeBase,
    /// Where the stream begins, in ticks, where the container tells.
    pub(crate) start: Option<i64>,
    /// Whether decoding times of its sample table go back, as where an edit list shows a piece of the
    /// media behind another one.
    pub(crate) goes_back: bool,
    /// Average frames per second, where the container tells.
    pub(crate) frame_rate: Option<Rational>,
    /// What the container's sample table promises.
    pub(crate) table: Option<Table>,
    /// Whether the container states when pictures are shown, and not only when they are decoded.
    pub(crate) states_presentation: bool,
    /// What a decoder that begins in the middle of the stream must know from its first packet.
    pub(crate) head: Option<Head>,
    /// The decoder, where it is not the one that libav takes by itself; static.
    pub(super) decoder: Option<*const ffi::AVCodec>,
    /// What the input may hold.
    pub(super) limits: Limits,
    /// Side data of the stream, such as its display matrix, that are not part of `coding`.
    pub(super) side_data: Vec<(ffi::AVPacketSideDataType, Vec<u8>)>,
}

// SAFETY: codec parameters are plain memory without thread affinity, and decoders are static.
unsafe impl Send for Parameters {}

impl Parameters {
    /// # Safety
    /// `source` points to valid codec parameters.
    pub(super) unsafe fn copy(
        source: *const ffi::AVCodecParameters,
        time_base: Option<TimeBase>,
    ) -> AvResult<Self> {
        // SAFETY: allocates only; null is caught.
        let coding = allocated(unsafe { ffi::avcodec_parameters_alloc() })?;
        let time_base = time_base.unwrap_or(TimeBase::MICROSECONDS);
        let copy = Self {
            coding,
            time_base,
            start: None,
            goes_back: false,
            frame_rate: None,
            table: None,
            states_presentation: true,
            head: None,
            decoder: None,
            limits: Limits::NONE,
            side_data: Vec::new(),
        };
        // SAFETY: both are valid; ours is freed by `drop` when this fails.
        check(unsafe { ffi::avcodec_parameters_copy(copy.as_ptr(), source) })?;
        Ok(copy)
    }

    /// How many packets of sound a second has, where the coding tells.
    pub(crate) fn packets_per_second(&self) -> Option<f64> {
        // SAFETY: the parameters are live.
        let (rate, samples) =
            unsafe { ((*self.as_ptr()).sample_rate, (*self.as_ptr()).frame_size) };
        (rate > 0 && samples > 0).then(|| f64::from(rate) / f64::from(samples))
    }

    /// Whether pictures are decoded in another order than they are shown.
    pub(crate) fn is_reordered(&self) -> bool {
        // SAFETY: the parameters are live.
        unsafe { (*self.as_ptr()).video_delay > 0 }
    }

    /// What the container says of the coding beside, such as parameter sets.
    pub(crate) fn extradata(&self) -> &[u8] {
        // SAFETY: the parameters are live, and hold as many bytes as they say.
        unsafe { describe::extradata(self.as_ptr()) }
    }

    /// Puts other data beside the stream, such as parameter sets.
    pub(crate) fn set_extradata(&mut self, data: &[u8]) -> AvResult<()> {
        let size = c_int::try_from(data.len()).unwrap_or(c_int::MAX);
        let padding = usize::try_from(ffi::AV_INPUT_BUFFER_PADDING_SIZE).unwrap_or(0);
        // SAFETY: the parameters are live and own their data, which is freed before the new one,
        // padded as libav asks, takes its place.
        unsafe {
            let fields = &mut *self.as_ptr();
            let place = allocated(ffi::av_mallocz(data.len() + padding))?.cast::<u8>();
            data.as_ptr().copy_to_nonoverlapping(place.as_ptr(), data.len());
            ffi::av_freep((&raw mut fields.extradata).cast());
            fields.extradata = place.as_ptr();
            fields.extradata_size = size;
        }
        Ok(())
    }

    /// Whether nothing can be decoded before the first keyframe: pictures of other codecs may be
    /// refreshed bit by bit, or begin with a group that is open.
    pub(crate) fn needs_keyframe(&self) -> bool {
        matches!(self.codec().as_str(), "hevc" | "vp8" | "vp9" | "av1")
    }

    /// libav's name of the codec.
    pub(crate) fn codec(&self) -> String {
        // SAFETY: the parameters are live; the name is static.
        unsafe { text(ffi::avcodec_get_name((*self.as_ptr()).codec_id)) }
    }

    /// The name of the codec; where libav has none for it, the container's code, as in `dav1`.
    pub(crate) fn codec_or_tag(&self) -> String {
        // SAFETY: the parameters are live.
        let tag = describe::four_characters(unsafe { (*self.as_ptr()).codec_tag });
        let codec = self.codec();
        if codec == "none" { tag.unwrap_or(codec) } else { codec }
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVCodecParameters {
        self.coding.as_ptr()
    }
}

impl Drop for Parameters {
    fn drop(&mut self) {
        let mut pointer = self.coding.as_ptr();
        // SAFETY: the parameters are ours and are dropped once.
        unsafe { ffi::avcodec_parameters_free(&raw mut pointer) };
    }
}
