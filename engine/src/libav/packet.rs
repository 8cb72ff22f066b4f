//! Coded units.

use std::{ffi::c_int, ops::Range, ptr::NonNull};

use ffmpeg_sys_next as ffi;

use avocet_model::time::TimeBase;

use super::{AvResult, allocated, check, length, rational, ticks};

/// A coded unit. Sharing it copies no data.
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

    /// A packet with the times and marks of this one, and other data.
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

    /// Presentation time, in ticks of the time base.
    pub(crate) fn pts(&self) -> Option<i64> {
        ticks(self.fields().pts)
    }

    /// Decoding time, in ticks of the time base.
    pub(crate) fn dts(&self) -> Option<i64> {
        ticks(self.fields().dts)
    }

    /// Its times, in ticks of the time base, however far they are: that of decoding first.
    pub(crate) fn stated_times(&self) -> impl Iterator<Item = i64> {
        let fields = self.fields();
        [fields.dts, fields.pts].into_iter().filter(|ticks| *ticks != ffi::AV_NOPTS_VALUE)
    }

    /// Duration, in ticks of the time base; 0 when it is not known.
    pub(crate) fn duration(&self) -> i64 {
        length(self.fields().duration)
    }

    /// Samples at its end that are not heard, where the container says so.
    pub(crate) fn padding(&self) -> Option<i64> {
        self.silent_samples(4..8)
    }

    /// Samples at its start that are not heard, where the container says so.
    pub(crate) fn skipped(&self) -> Option<i64> {
        self.silent_samples(0..4)
    }

    /// Forgets all that the container says beside the data.
    pub(crate) fn drop_side_data(&mut self) {
        // SAFETY: the packet is live and ours.
        unsafe { ffi::av_packet_free_side_data(self.as_ptr()) };
    }

    /// One of the two numbers of 32 bits that tell how many samples are not heard: at the start, at
    /// the end.
    fn silent_samples(&self, place: Range<usize>) -> Option<i64> {
        let data = self.side_data(ffi::AVPacketSideDataType::AV_PKT_DATA_SKIP_SAMPLES)?;
        let number = data.get(place)?.try_into().ok()?;
        Some(i64::from(u32::from_le_bytes(number))).filter(|samples| *samples > 0)
    }

    /// What its container says of the coding from this packet on, where it says so anew.
    pub(crate) fn new_extradata(&self) -> Option<&[u8]> {
        self.side_data(ffi::AVPacketSideDataType::AV_PKT_DATA_NEW_EXTRADATA)
    }

    /// Says the same with this packet, unless it says something of its own.
    pub(crate) fn set_new_extradata(&mut self, data: &[u8]) -> AvResult<()> {
        if self.new_extradata().is_some() {
            return Ok(());
        }
        self.add_side_data(ffi::AVPacketSideDataType::AV_PKT_DATA_NEW_EXTRADATA, data)
    }

    /// Says that so many samples at its start are not heard.
    pub(super) fn set_skipped(&mut self, samples: u32) -> AvResult<()> {
        // Numbers of 32 bits for the start and for the end, and a reason for each.
        let [one, two, three, four] = samples.to_le_bytes();
        let data = [one, two, three, four, 0, 0, 0, 0, 0, 0];
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

    /// What Matroska keeps beside it by the number 1: the alpha channel of VP8 and VP9, coded.
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

    /// Where it stands in the file, in bytes from its beginning, where the demuxer tells.
    pub(crate) fn position(&self) -> Option<i64> {
        Some(self.fields().pos).filter(|position| *position >= 0)
    }

    /// Number of the stream it belongs to.
    pub(crate) fn stream(&self) -> usize {
        usize::try_from(self.fields().stream_index).unwrap_or(usize::MAX)
    }

    /// Seconds per tick, where somebody has set it.
    pub(crate) fn time_base(&self) -> Option<TimeBase> {
        rational(self.fields().time_base)
    }

    /// Whether decoding can begin here.
    pub(crate) fn is_key(&self) -> bool {
        self.fields().flags & ffi::AV_PKT_FLAG_KEY != 0
    }

    /// Says whether decoding can begin at it.
    pub(crate) fn set_key(&mut self, is_key: bool) {
        let flags = &mut self.fields_mut().flags;
        *flags =
            if is_key { *flags | ffi::AV_PKT_FLAG_KEY } else { *flags & !ffi::AV_PKT_FLAG_KEY };
    }

    /// Whether the demuxer says that a part of it is missing.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.fields().flags & ffi::AV_PKT_FLAG_CORRUPT != 0
    }

    /// Whether its frame is decoded and not shown, as an edit list may ask.
    pub(crate) fn is_hidden(&self) -> bool {
        self.fields().flags & ffi::AV_PKT_FLAG_DISCARD != 0
    }

    /// Lets its frame be shown, whatever the demuxer says.
    pub(crate) fn show(&mut self) {
        self.fields_mut().flags &= !ffi::AV_PKT_FLAG_DISCARD;
    }

    /// Whether a frame may come of it that is shown.
    pub(crate) fn is_shown(&self) -> bool {
        !self.is_hidden() && self.size() > 0
    }

    /// Sets the times, in ticks of a base that the receiver knows.
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

    /// States which time base the times count in.
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
