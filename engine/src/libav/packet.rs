//! Packets of coded data.

use std::{ffi::c_int, ops::Range, ptr::NonNull};

use ffmpeg_sys_next as ffi;

use avocet_model::time::TimeBase;

use super::{AvResult, allocated, check, length, rational, ticks};

/// A packet of coded data; [`share`](Self::share) copies no data.
#[derive(Debug)]
pub(crate) struct Packet(NonNull<ffi::AVPacket>);

// SAFETY: an `AVPacket` is plain memory with atomically counted buffers; it has no thread affinity.
unsafe impl Send for Packet {}

impl Packet {
    /// An empty packet.
    pub(crate) fn new() -> AvResult<Self> {
        // SAFETY: allocates only; null is caught.
        allocated(unsafe { ffi::av_packet_alloc() }).map(Self)
    }

    /// A packet that holds a copy of `data`.
    pub(super) fn with_data(data: &[u8]) -> AvResult<Self> {
        let packet = Self::new()?;
        let size = c_int::try_from(data.len()).unwrap_or(c_int::MAX);
        // SAFETY: the packet is fresh; libav allocates as many bytes as are then written.
        unsafe {
            check(ffi::av_new_packet(packet.as_ptr(), size))?;
            data.as_ptr().copy_to_nonoverlapping((*packet.as_ptr()).data, data.len());
        }
        Ok(packet)
    }

    /// A packet with the times, flags and side data of this one, and other data.
    pub(crate) fn with_other_data(&self, data: &[u8]) -> AvResult<Self> {
        let packet = Self::with_data(data)?;
        // SAFETY: both are live; libav copies what does not concern the data.
        check(unsafe { ffi::av_packet_copy_props(packet.as_ptr(), self.as_ptr()) })?;
        Ok(packet)
    }

    /// A second reference to the same data.
    pub(crate) fn share(&self) -> AvResult<Self> {
        // SAFETY: `self.0` is a live packet for as long as `self` is, and libav only reads it.
        allocated(unsafe { ffi::av_packet_clone(self.0.as_ptr()) }).map(Self)
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVPacket {
        self.0.as_ptr()
    }

    fn fields(&self) -> &ffi::AVPacket {
        // SAFETY: the packet is live, and only we hold it.
        unsafe { self.0.as_ref() }
    }

    fn fields_mut(&mut self) -> &mut ffi::AVPacket {
        // SAFETY: the packet is live, and only we hold it.
        unsafe { self.0.as_mut() }
    }

    /// Presentation time (PTS), in ticks of the time base; `None` when it is not set, or too far
    /// from 0.
    pub(crate) fn pts(&self) -> Option<i64> {
        ticks(self.fields().pts)
    }

    /// Decoding time (DTS), in ticks of the time base; `None` when it is not set, or too far from
    /// 0.
    pub(crate) fn dts(&self) -> Option<i64> {
        ticks(self.fields().dts)
    }

    /// DTS and then PTS, those that are set, in ticks of the time base, however far from 0 they
    /// are.
    pub(crate) fn stated_times(&self) -> impl Iterator<Item = i64> {
        let fields = self.fields();
        [fields.dts, fields.pts].into_iter().filter(|ticks| *ticks != ffi::AV_NOPTS_VALUE)
    }

    /// Duration, in ticks of the time base; 0 when it is not known.
    pub(crate) fn duration(&self) -> i64 {
        length(self.fields().duration)
    }

    /// Samples to discard at its end, by its skip-samples side data; `None` when there are none.
    pub(crate) fn padding(&self) -> Option<i64> {
        self.silent_samples(4..8)
    }

    /// Samples to discard at its start, by its skip-samples side data; `None` when there are none.
    pub(crate) fn skipped(&self) -> Option<i64> {
        self.silent_samples(0..4)
    }

    /// Removes all side data.
    pub(crate) fn drop_side_data(&mut self) {
        // SAFETY: the packet is live and ours.
        unsafe { ffi::av_packet_free_side_data(self.as_ptr()) };
    }

    /// One of the two 32-bit counts of skip-samples side data: bytes 0 to 3 for the start, 4 to 7
    /// for the end.
    fn silent_samples(&self, place: Range<usize>) -> Option<i64> {
        let data = self.side_data(ffi::AVPacketSideDataType::AV_PKT_DATA_SKIP_SAMPLES)?;
        let number = data.get(place)?.try_into().ok()?;
        Some(i64::from(u32::from_le_bytes(number))).filter(|samples| *samples > 0)
    }

    /// The new extradata that takes effect with this packet, where the demuxer states some.
    pub(crate) fn new_extradata(&self) -> Option<&[u8]> {
        self.side_data(ffi::AVPacketSideDataType::AV_PKT_DATA_NEW_EXTRADATA)
    }

    /// Attaches new extradata to this packet, unless it already has some.
    pub(crate) fn set_new_extradata(&mut self, data: &[u8]) -> AvResult<()> {
        if self.new_extradata().is_some() {
            return Ok(());
        }
        self.add_side_data(ffi::AVPacketSideDataType::AV_PKT_DATA_NEW_EXTRADATA, data)
    }

    /// Empties new extradata that this packet has, so that muxers take no notice.
    pub(super) fn clear_new_extradata(&mut self) {
        let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_NEW_EXTRADATA;
        // SAFETY: the packet is live; libav answers an error where there is none.
        unsafe { ffi::av_packet_shrink_side_data(self.as_ptr(), kind, 0) };
    }

    /// Attaches skip-samples side data that discards this many samples at its start.
    pub(super) fn set_skipped(&mut self, samples: u32) -> AvResult<()> {
        self.set_silent(samples, 0)
    }

    /// Attaches skip-samples side data that discards this many samples at its end, unless it already
    /// has some.
    pub(crate) fn set_padding(&mut self, samples: u32) -> AvResult<()> {
        let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_SKIP_SAMPLES;
        if self.side_data(kind).is_some() { Ok(()) } else { self.set_silent(0, samples) }
    }

    fn set_silent(&mut self, start: u32, end: u32) -> AvResult<()> {
        // 32-bit counts for the start and for the end, and a byte of reason for each.
        let mut data = [0; 10];
        data[..4].copy_from_slice(&start.to_le_bytes());
        data[4..8].copy_from_slice(&end.to_le_bytes());
        self.add_side_data(ffi::AVPacketSideDataType::AV_PKT_DATA_SKIP_SAMPLES, &data)
    }

    fn add_side_data(&mut self, kind: ffi::AVPacketSideDataType, data: &[u8]) -> AvResult<()> {
        // SAFETY: the packet is live; libav answers room for as many bytes as it is asked for.
        unsafe {
            let room = allocated(ffi::av_packet_new_side_data(self.as_ptr(), kind, data.len()))?;
            data.as_ptr().copy_to_nonoverlapping(room.as_ptr(), data.len());
        }
        Ok(())
    }

    fn side_data(&self, kind: ffi::AVPacketSideDataType) -> Option<&[u8]> {
        let mut size = 0;
        // SAFETY: the packet is live; libav answers as many bytes as it says, or null, which live
        // as long as the packet.
        unsafe {
            let data = ffi::av_packet_get_side_data(self.as_ptr(), kind, &raw mut size);
            (!data.is_null()).then(|| std::slice::from_raw_parts(data, size))
        }
    }

    /// The coded alpha channel of VP8 and VP9, which Matroska keeps as block addition number 1.
    pub(crate) fn alpha(&self) -> Option<&[u8]> {
        let mut size = 0;
        // SAFETY: the packet is live; libav answers as many bytes as it says, or null.
        let data = unsafe {
            let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_MATROSKA_BLOCKADDITIONAL;
            let data = ffi::av_packet_get_side_data(self.as_ptr(), kind, &raw mut size);
            if data.is_null() {
                return None;
            }
            std::slice::from_raw_parts(data, size)
        };
        let (number, alpha) = data.split_first_chunk()?;
        (u64::from_be_bytes(*number) == 1).then_some(alpha)
    }

    /// Size of the data, in bytes.
    pub(crate) fn size(&self) -> usize {
        usize::try_from(self.fields().size).unwrap_or(0)
    }

    /// The data.
    pub(crate) fn data(&self) -> &[u8] {
        let fields = self.fields();
        if fields.data.is_null() {
            return &[];
        }
        // SAFETY: libav keeps as many bytes as it says for as long as the packet lives.
        unsafe { std::slice::from_raw_parts(fields.data, self.size()) }
    }

    /// Position in the input, in bytes from its beginning; `None` when the demuxer does not state
    /// it.
    pub(crate) fn position(&self) -> Option<i64> {
        Some(self.fields().pos).filter(|position| *position >= 0)
    }

    /// Number of the stream it belongs to, from 0.
    pub(crate) fn stream(&self) -> usize {
        usize::try_from(self.fields().stream_index).unwrap_or(usize::MAX)
    }

    /// Time base of its times, in seconds per tick; `None` when it was not set.
    pub(crate) fn time_base(&self) -> Option<TimeBase> {
        rational(self.fields().time_base)
    }

    /// Whether it has the keyframe flag.
    pub(crate) fn is_key(&self) -> bool {
        self.fields().flags & ffi::AV_PKT_FLAG_KEY != 0
    }

    /// Sets or clears the keyframe flag.
    pub(crate) fn set_key(&mut self, is_key: bool) {
        let flags = &mut self.fields_mut().flags;
        *flags =
            if is_key { *flags | ffi::AV_PKT_FLAG_KEY } else { *flags & !ffi::AV_PKT_FLAG_KEY };
    }

    /// Whether the demuxer flagged it as corrupt: a part of it may be missing.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.fields().flags & ffi::AV_PKT_FLAG_CORRUPT != 0
    }

    /// Whether its frame is to be decoded but not output (`AV_PKT_FLAG_DISCARD`), as edit lists
    /// ask.
    pub(crate) fn is_hidden(&self) -> bool {
        self.fields().flags & ffi::AV_PKT_FLAG_DISCARD != 0
    }

    /// Clears the flag that hides its frame.
    pub(crate) fn show(&mut self) {
        self.fields_mut().flags &= !ffi::AV_PKT_FLAG_DISCARD;
    }

    /// Whether it may decode to a frame that is output: it is neither hidden nor empty.
    pub(crate) fn is_shown(&self) -> bool {
        !self.is_hidden() && self.size() > 0
    }

    /// Sets PTS, DTS and duration, in ticks of a time base that the receiver knows.
    pub(crate) fn set_times(&mut self, pts: i64, dts: i64, duration: i64) {
        let fields = self.fields_mut();
        fields.pts = pts;
        fields.dts = dts;
        fields.duration = duration;
    }

    /// Sets the duration, in ticks of the time base.
    pub(crate) fn set_duration(&mut self, duration: i64) {
        self.fields_mut().duration = duration;
    }

    /// Sets the number of the stream it belongs to.
    pub(crate) fn set_stream(&mut self, stream: usize) {
        self.fields_mut().stream_index = c_int::try_from(stream).unwrap_or(c_int::MAX);
    }

    /// Sets the time base that its times count in.
    pub(crate) fn set_time_base(&mut self, base: TimeBase) {
        self.fields_mut().time_base = super::av_rational(Some(base));
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut pointer = self.0.as_ptr();
        // SAFETY: the packet is ours and is dropped once.
        unsafe { ffi::av_packet_free(&raw mut pointer) };
    }
}
