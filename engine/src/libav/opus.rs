//! The encoder delay of Opus: reads it from the header, and finds out whether this libavformat adds
//! it to Matroska times.

use std::{
    ffi::c_int,
    io::{self, Cursor, Seek, SeekFrom, Write},
    ptr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use ffmpeg_sys_next as ffi;

use avocet_model::{
    media::{Disposition, Hdr, Projection, Tags},
    progress::CancelToken,
    time::Rational,
};

use super::{Demuxer, Depth, Muxer, Packet, Parameters, TrackHeader, allocated, limits::Limits};

/// Place of the pre-skip in an Opus identification header, in bytes (RFC 7845, 5.1).
const OPUS_PRE_SKIP: std::ops::Range<usize> = 10..12;

/// Sets `initial_padding` of an Opus stream from the pre-skip in its extradata, where it is not
/// set.
///
/// # Safety
/// `coding` points to valid codec parameters.
pub(super) unsafe fn set_padding(coding: *mut ffi::AVCodecParameters) {
    // SAFETY: as promised by the caller; the extra data is as long as it says.
    unsafe {
        let fields = &mut *coding;
        let length = usize::try_from(fields.extradata_size).unwrap_or(0);
        let is_opus = fields.codec_id == ffi::AVCodecID::AV_CODEC_ID_OPUS;
        if !is_opus || fields.initial_padding > 0 || length < OPUS_PRE_SKIP.end {
            return;
        }
        let header = std::slice::from_raw_parts(fields.extradata, length);
        fields.initial_padding =
            c_int::from(u16::from_le_bytes([header[OPUS_PRE_SKIP.start], header[11]]));
    }
}

/// Whether this libavformat adds the `CodecDelay` of Opus to block times, as newer releases do. It
/// is tested once, by muxing three packets in memory and reading the first one back. A test that
/// fails counts as yes.
pub(super) fn adds_delay() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| try_delay().unwrap_or(true))
}

fn try_delay() -> Option<bool> {
    /// Identification header: version 1, one channel, 480 samples of pre-skip, 48 kHz.
    const HEADER: &[u8; 19] = b"OpusHead\x01\x01\xe0\x01\x80\xbb\0\0\0\0\0";
    /// A packet of silence: 20 ms of CELT.
    const SILENCE: &[u8; 3] = b"\xf8\xff\xfe";
    let cancel = CancelToken::new();
    let file = SharedFile::default();
    let mut muxer = Muxer::create("webm", Box::new(file.clone()), &cancel).ok()?;
    // SAFETY: allocates; the fields set are plain numbers, and the extra data is allocated by libav
    // with the padding it asks for, which is zeroed.
    let parameters = unsafe {
        let mut raw = allocated(ffi::avcodec_parameters_alloc()).ok()?.as_ptr();
        let fields = &mut *raw;
        fields.codec_type = ffi::AVMediaType::AVMEDIA_TYPE_AUDIO;
        fields.codec_id = ffi::AVCodecID::AV_CODEC_ID_OPUS;
        fields.sample_rate = 48_000;
        ffi::av_channel_layout_default(&raw mut fields.ch_layout, 1);
        let padding = usize::try_from(ffi::AV_INPUT_BUFFER_PADDING_SIZE).unwrap_or(64);
        fields.extradata = ffi::av_mallocz(HEADER.len() + padding).cast();
        if !fields.extradata.is_null() {
            ptr::copy_nonoverlapping(HEADER.as_ptr(), fields.extradata, HEADER.len());
            fields.extradata_size = c_int::try_from(HEADER.len()).unwrap_or(0);
        }
        let copy = Parameters::copy(raw, Some(Rational::MICROSECONDS));
        ffi::avcodec_parameters_free(&raw mut raw);
        copy.ok()?
    };
    let header = TrackHeader {
        parameters: &parameters,
        time_base: Rational::MICROSECONDS,
        frame_rate: None,
        tag: None,
        disposition: Disposition::default(),
        cover: false,
        tags: &Tags::new(),
        hdr: &Hdr::default(),
        projection: &Projection::default(),
    };
    muxer.add(&header).ok()?;
    muxer.begin(&[]).ok()?;
    for place in 0..3 {
        let mut packet = Packet::with_data(SILENCE).ok()?;
        packet.set_times(20 * place, 20 * place, 20);
        muxer.write(packet, 0).ok()?;
    }
    muxer.finish().ok()?;
    let mut demuxer =
        Demuxer::open(Box::new(file.reader()), Depth::Streams, Limits::NONE, &cancel).ok()?;
    let first = demuxer.read().ok()??.pts()?;
    Some(first >= 0)
}

/// A small file in memory that is written and then read.
#[derive(Clone, Default)]
struct SharedFile(Arc<Mutex<Cursor<Vec<u8>>>>);

impl SharedFile {
    fn cursor(&self) -> MutexGuard<'_, Cursor<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> Cursor<Vec<u8>> {
        Cursor::new(self.cursor().get_ref().clone())
    }
}

impl Write for SharedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.cursor().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        self.cursor().seek(target)
    }
}
