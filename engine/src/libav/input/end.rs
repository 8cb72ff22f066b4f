//! What libav does not tell of the end of an input: that it lies within a packet, before packets that
//! are listed, or before another file.

use std::collections::BTreeMap;

use ffmpeg_sys_next as ffi;

use avocet_model::format::mxf;

use super::{Demuxer, Fault};
use crate::libav::Packet;

impl Demuxer {
    /// Whether reading goes on behind a packet that a movie lists and the input ends before: libav
    /// stops at each of them, while packets of other streams may follow that are there.
    pub(super) fn skips_absent(&mut self) -> bool {
        if self.skipped == 0 && self.is_format("mov") {
            self.absent = self.count_absent();
        }
        let is_left = self.skipped < self.absent.values().sum();
        self.skipped += u64::from(is_left);
        is_left
    }

    /// How many packets of each stream that is read stand behind the end of the input.
    fn count_absent(&self) -> BTreeMap<usize, u64> {
        // SAFETY: the I/O context is live, and libav is not in it.
        let length = unsafe { ffi::avio_size(self.io.as_ptr()) };
        let Ok(length) = u64::try_from(length) else { return BTreeMap::new() };
        let count = |(number, stream): (usize, *mut ffi::AVStream)| {
            // SAFETY: the stream belongs to the open context.
            let (is_kept, listed) = unsafe {
                let is_kept = (*stream).discard != ffi::AVDiscard::AVDISCARD_ALL;
                (is_kept, ffi::avformat_index_get_entries_count(stream))
            };
            // Counted from the last one: in all but odd movies chunks stand in the order of packets.
            let packets = (0..listed).rev().map_while(|at| self.listed_at(number, at));
            let absent = packets.take_while(|packet| packet.at >= length).count();
            Some((number, u64::try_from(absent).ok()?)).filter(|it| is_kept && it.1 > 0)
        };
        self.streams().enumerate().filter_map(count).collect()
    }

    /// Whether another file stands behind the last packet of Matroska: libav reads no segment of a
    /// known size behind one that does not say where it ends.
    pub(super) fn stops_before_matroska(&mut self, last: u64) -> Result<bool, Fault> {
        /// What every file of Matroska begins with (RFC 8794, 11.2.1).
        const EBML: &[u8] = b"\x1a\x45\xdf\xa3";
        /// Most bytes between a packet and the file behind it: that packet, and an index.
        const MAX_BYTES: usize = 1 << 20;
        if !self.is_format("matroska") {
            return Ok(false);
        }
        let rest = self.peek(last, MAX_BYTES)?;
        Ok(rest.windows(EBML.len()).any(|bytes| bytes == EBML))
    }

    /// Whether Ogg ends within a page behind that of the last packet: libav leaves it out (RFC 3533, 6).
    pub(super) fn ends_within_page(&mut self, last: u64) -> Result<bool, Fault> {
        /// Bytes of the header of a page, without the sizes of its segments.
        const HEADER: usize = 27;
        /// Most bytes of two pages.
        const MAX_BYTES: usize = 2 * (HEADER + 255 + 255 * 255);
        if !self.is_format("ogg") {
            return Ok(false);
        }
        let bytes = self.peek(last, MAX_BYTES)?;
        let mut rest = &bytes[..];
        while rest.starts_with(b"OggS") {
            let segments = rest.get(HEADER - 1).map_or(0, |count| usize::from(*count));
            let Some(sizes) = rest.get(HEADER..HEADER + segments) else { return Ok(true) };
            let size = sizes.iter().map(|size| usize::from(*size)).sum::<usize>();
            let Some(next) = rest.get(HEADER + segments + size..) else { return Ok(true) };
            rest = next;
        }
        Ok(false)
    }

    /// Goes on with an FLV that was appended to another one, whose header libav takes for the end;
    /// answers whether there is one (Adobe Flash Video File Format 10.1, annex E.2 to E.4).
    pub(super) fn begin_next_flv(&mut self) -> Result<bool, Fault> {
        /// Bytes of the header of a tag and of the number behind it.
        const AROUND: u64 = 11 + 4;
        let is_flv = self.is_format("flv");
        let Some(mut at) = self.last_at.filter(|_| is_flv) else { return Ok(false) };
        // The tags of streams that are left out may follow the last packet.
        loop {
            match *self.peek(at, 9)? {
                [b'F', b'L', b'V', _, _, a, b, c, d] => {
                    let header = u64::from(u32::from_be_bytes([a, b, c, d])) + 4;
                    let begin = i64::try_from(at + header).unwrap_or(i64::MAX);
                    // SAFETY: the I/O context is live, and libav is not in it.
                    let at = unsafe { ffi::avio_seek(self.io.as_ptr(), begin, ffi::SEEK_SET) };
                    return Ok(at == begin);
                }
                [kind, a, b, c, ..] if matches!(kind & 0x1f, 8 | 9 | 18) => {
                    at += u64::from(u32::from_be_bytes([0, a, b, c])) + AROUND;
                }
                _ => return Ok(false),
            }
        }
    }

    /// Whether libav found the end of the input where the rest of a packet should be. Of transport
    /// streams it says the same of packets that lack a part in the middle.
    pub(super) fn is_torn(&mut self, packet: &Packet) -> bool {
        // SAFETY: the I/O context is live, and libav is not in it.
        let is_at_end = unsafe { (*self.io.as_ptr()).eof_reached != 0 };
        let is_short = match packet.data() {
            // A frame of ADTS (ISO/IEC 13818-7, 6.2) tells its length in 13 bits.
            [0xff, b, _, c, d, e, ..] if b & 0xf6 == 0xf0 && self.is_of_adts() => {
                let length = usize::from(c & 3) << 11 | usize::from(*d) << 3 | usize::from(e >> 5);
                packet.size() < length
            }
            _ => packet.is_incomplete() && !self.is_format("mpegts"),
        };
        is_short && is_at_end
    }

    /// Whether it is MXF that lacks its end, and so the index in it: libav guesses where pictures
    /// stand by the size of what is there.
    pub(super) fn is_cut_mxf(&mut self) -> Result<bool, Fault> {
        if let Some(known) = self.is_cut {
            return Ok(known);
        }
        let mut is_cut = false;
        if self.is_format("mxf") {
            let head = self.peek(0, 64 << 10)?;
            // SAFETY: the I/O context is live, and libav is not in it.
            let length = unsafe { ffi::avio_size(self.io.as_ptr()) };
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            is_cut = mxf::footer_in(&head).is_some_and(|footer| footer >= length);
        }
        self.is_cut = Some(is_cut);
        Ok(is_cut)
    }

    /// Whether frames of AAC in it begin with ADTS.
    fn is_of_adts(&self) -> bool {
        self.is_format("aac") || self.is_format("mpegts")
    }

    /// How many packets of a stream were left out so far, since the input ends before or within them.
    pub(crate) fn torn(&self, stream: usize) -> u64 {
        let of = |counts: &BTreeMap<usize, u64>| counts.get(&stream).copied().unwrap_or(0);
        of(&self.torn) + of(&self.absent)
    }
}
