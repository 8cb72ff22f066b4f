//! Ends of inputs that libav does not report: within a packet, before packets that the index lists,
//! or before another file.

use std::collections::BTreeMap;

use ffmpeg_sys_next as ffi;

use avocet_model::format::mxf;

use super::{Demuxer, Fault};
use crate::libav::Packet;

impl Demuxer {
    /// Whether reading goes on after libav failed at a packet that a movie lists behind the end of
    /// the input. libav stops at each of these, while packets of other streams that are there may
    /// follow.
    pub(super) fn skips_absent(&mut self) -> bool {
        if self.skipped == 0 && self.is_format("mov") {
            self.absent = self.count_absent();
        }
        let is_left = self.skipped < self.absent.values().sum();
        self.skipped += u64::from(is_left);
        is_left
    }

    /// Counts, for each stream that is read, the packets that are listed behind the end of the
    /// input.
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
            // Counted backward from the last packet, since chunks are nearly always in packet
            // order.
            let packets = (0..listed).rev().map_while(|at| self.listed_at(number, at));
            let absent = packets.take_while(|packet| packet.at >= length).count();
            Some((number, u64::try_from(absent).ok()?)).filter(|it| is_kept && it.1 > 0)
        };
        self.streams().enumerate().filter_map(count).collect()
    }

    /// Whether another Matroska file follows the last packet, which is at byte `last`. libav reads
    /// no segment of a known size behind one of unknown size.
    pub(super) fn stops_before_matroska(&mut self, last: u64) -> Result<bool, Fault> {
        /// ID of the EBML header, with which every Matroska file begins (RFC 8794, 11.2.1).
        const EBML: &[u8] = b"\x1a\x45\xdf\xa3";
        /// How far behind the start of the last packet the next file is looked for, in bytes: there
        /// may be the packet itself and an index.
        const MAX_BYTES: usize = 1 << 20;
        if !self.is_format("matroska") {
            return Ok(false);
        }
        let rest = self.peek(last, MAX_BYTES)?;
        Ok(rest.windows(EBML.len()).any(|bytes| bytes == EBML))
    }

    /// Whether an Ogg input ends within a page, from that of the last packet on, which is at byte
    /// `last`. libav leaves such a page out (RFC 3533, 6).
    pub(super) fn ends_within_page(&mut self, last: u64) -> Result<bool, Fault> {
        /// Size of the header of a page without its segment table, in bytes.
        const HEADER: usize = 27;
        /// Largest size of two pages, in bytes.
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

    /// Seeks to the first tag of an FLV file that is appended to this one, whose header libav takes
    /// for the end. Returns whether there is such a file (Adobe Flash Video File Format 10.1, annex
    /// E.2 to E.4).
    pub(super) fn begin_next_flv(&mut self) -> Result<bool, Fault> {
        /// Size of the header of a tag and of the `PreviousTagSize` behind the tag, in bytes.
        const AROUND: u64 = 11 + 4;
        let is_flv = self.is_format("flv");
        let Some(mut at) = self.last_at.filter(|_| is_flv) else { return Ok(false) };
        // Tags of discarded streams may follow the last packet that was read.
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

    /// Whether the input ends within this packet. The corrupt flag does not count for MPEG-TS,
    /// where libav also sets it for packets that lack a part in the middle.
    pub(super) fn is_torn(&mut self, packet: &Packet) -> bool {
        // SAFETY: the I/O context is live, and libav is not in it.
        let is_at_end = unsafe { (*self.io.as_ptr()).eof_reached != 0 };
        let is_short = match packet.data() {
            // The header of an ADTS frame (ISO/IEC 13818-7, 6.2) states its length in 13 bits.
            [0xff, b, _, c, d, e, ..] if b & 0xf6 == 0xf0 && self.is_of_adts() => {
                let length = usize::from(c & 3) << 11 | usize::from(*d) << 3 | usize::from(e >> 5);
                packet.size() < length
            }
            _ => packet.is_incomplete() && !self.is_format("mpegts"),
        };
        is_short && is_at_end
    }

    /// Whether it is an MXF file that lacks its footer, and with it the index. libav then guesses
    /// the positions of pictures from the size of the file.
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

    /// Whether AAC frames in this container begin with an ADTS header.
    fn is_of_adts(&self) -> bool {
        self.is_format("aac") || self.is_format("mpegts")
    }

    /// Number of packets of a stream that were left out so far, since the input ends before or
    /// within them.
    pub(crate) fn torn(&self, stream: usize) -> u64 {
        let of = |counts: &BTreeMap<usize, u64>| counts.get(&stream).copied().unwrap_or(0);
        of(&self.torn) + of(&self.absent)
    }
}
