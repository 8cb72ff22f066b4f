//! Smart cut: the pictures of a section are copied, and those at its ends are encoded in the same
//! form.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use avocet_model::{
    error::{Error, Result},
    format::nal::{
        Framing,
        avc::{AvcSets, Head},
        hevc::{HevcSets, Renumber},
    },
    location::Location,
    plan::{self, Span},
    time::{TimeBase, Timestamp},
};

use super::{Cut, Decode, Encode, Outlet, Stage, Stop, Then};
use crate::{
    libav::{Decoder, Encoder, Frame, OpenError, Packet, Parameters},
    pipeline::counters::{Counters, Read, Written},
    read::change::Coding,
};

/// Copies the packets that a plan names, and encodes the pictures before and behind them.
pub(crate) struct SmartCut {
    maker: BoundaryEncoder,
    coding: Coding,
    ends: plan::CopiedRun,
    span: Span,
    /// The boundary encode of the pictures before the copied run, until that begins.
    head: Option<Boundary>,
    /// The keyframe that the copied run begins with, held until its leading pictures have come,
    /// which are encoded.
    first: Option<Packet>,
    /// Whether the copied run has begun.
    begun: bool,
    /// The boundary encode of the pictures behind the copied run, from the keyframe on that they
    /// need.
    tail: Option<Boundary>,
}

/// Opens boundary encodes: lines of stages that decode, cut and encode pictures of a stream.
pub(crate) struct BoundaryEncoder {
    pub(crate) settings: plan::Encoder,
    /// An open encoder for the first boundary encode; the second one opens its own.
    pub(crate) ready: Option<Encoder>,
    /// Codec parameters of the source stream.
    pub(crate) parameters: Parameters,
    pub(crate) threads: NonZeroU32,
    pub(crate) origin: Timestamp,
    pub(crate) read: Counters<Read>,
    pub(crate) written: Counters<Written>,
    pub(crate) form: Form,
    /// The name of the input in errors.
    pub(crate) location: Location,
}

/// How copied packets and those of the encoder become one stream.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// H.264: NAL units behind lengths, parameter sets of source and encoder in the extradata.
    Avc {
        /// Parameter sets of the source.
        source: AvcSets,
        /// Parameter sets of the encoder.
        encoder: AvcSets,
        /// Units that a decoder needs for the source's pictures, and not for the encoder's; put
        /// before the picture of each copied keyframe.
        head: Option<Head>,
    },
    /// HEVC: the same, but parameter sets of the encoder get other numbers.
    Hevc {
        /// Parameter sets of the source.
        source: HevcSets,
        /// Gives the encoder's pictures these numbers.
        renumber: Renumber,
    },
    /// Other codecs: packets have all that a decoder needs.
    Whole,
}

/// A line of stages that encodes the pictures of a span.
struct Boundary {
    line: Box<dyn Outlet<Packet>>,
    made: Made,
    times: Times,
    /// Whether it has all packets that it needs.
    done: bool,
}

/// Presentation times and durations of pictures, in ticks of the stream.
type Times = Arc<Mutex<Vec<(i64, i64)>>>;

/// Gives pictures their number, from 0, as their time, since some encoders take pictures at a
/// constant rate only. [`Boundary::finish`] gives the packets the times of the pictures.
struct Count(Times);

impl Stage for Count {
    type In = Frame;
    type Out = Frame;

    fn push(&mut self, mut frame: Frame, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        let mut times = locked(&self.0);
        let number = i64::try_from(times.len()).unwrap_or(i64::MAX);
        times.push((frame.pts().unwrap_or(0), frame.duration()));
        drop(times);
        frame.set_pts(number);
        frame.set_duration(1);
        outlet.send(frame)
    }

    fn finish(&mut self, _: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        Ok(())
    }
}

/// Locks what the two ends of a line share. Both are on one thread, so the lock never waits.
fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end of a line of stages, which collects the packets that were made.
#[derive(Clone, Default)]
struct Made(Arc<Mutex<Vec<Packet>>>);

impl Outlet<Packet> for Made {
    fn send(&mut self, packet: Packet) -> Result<(), Stop> {
        locked(&self.0).push(packet);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Stop> {
        Ok(())
    }
}

impl Boundary {
    fn send(&mut self, packet: &Packet) -> Result<(), Stop> {
        if self.done {
            return Ok(());
        }
        let packet = packet.share().map_err(|_| Error::Exhausted { what: "memory" })?;
        match self.line.send(packet) {
            Err(Stop::Closed) => self.done = true,
            sent => sent?,
        }
        Ok(())
    }

    /// Finishes the line, and answers all packets that it made, with times that count in `base`.
    /// Decoding times equal presentation times; the copy stage behind makes them anew.
    fn finish(mut self, base: TimeBase) -> Result<Vec<Packet>, Stop> {
        match self.line.finish() {
            Ok(()) | Err(Stop::Closed) => {}
            failed => failed?,
        }
        let mut packets = std::mem::take(&mut *locked(&self.made.0));
        // Encoders may end with empty packets.
        packets.retain(|packet| packet.size() > 0);
        let times = locked(&self.times);
        for packet in &mut packets {
            let number = packet.pts().and_then(|number| usize::try_from(number).ok());
            let known = number.and_then(|number| times.get(number));
            let Some(&(pts, duration)) = known else {
                return Err(failed("an encoder changed the time of a picture").into());
            };
            packet.set_times(pts, pts, duration);
            packet.set_time_base(base);
        }
        Ok(packets)
    }
}

impl Form {
    /// Whether a stream of this codec has its parameter sets in the extradata, where those of an
    /// encoder are added.
    pub(crate) fn has_sets(source: &Parameters) -> bool {
        matches!(source.codec().as_str(), "h264" | "hevc")
    }

    /// How packets of the source and of an encoder become one stream, and the extradata of that
    /// stream; `None` where it stays that of the source.
    ///
    /// # Errors
    /// [`Error::SmartCutFailed`] when parameter sets can not be read, or no number is left for
    /// them.
    pub(crate) fn of(
        source: &Parameters,
        encoder: Option<&Parameters>,
    ) -> Result<(Self, Option<Vec<u8>>)> {
        let Some(encoder) = encoder.filter(|_| Self::has_sets(source)) else {
            return Ok((Self::Whole, None));
        };
        let no_sets = || failed("the stream or the encoder has no parameter sets");
        let taken = || failed("no parameter set id is free");
        if source.codec() == "h264" {
            let head = source.head.clone();
            let sets = |of: &Parameters| AvcSets::read(of.extradata()).ok_or_else(no_sets);
            let (source, encoder) = (sets(source)?, sets(encoder)?);
            let told = encoder.reordered_like(&source);
            let record = source.record_with(&told).ok_or_else(taken)?;
            return Ok((Self::Avc { source, encoder, head }, Some(record)));
        }
        let sets = |of: &Parameters| HevcSets::read(of.extradata()).ok_or_else(no_sets);
        let (source, encoder) = (sets(source)?, sets(encoder)?);
        let ids = source.free_ids().ok_or_else(taken)?;
        let (renumber, sets) = Renumber::of(&encoder, ids).ok_or_else(no_sets)?;
        let record = source.with(&sets).ok_or_else(no_sets)?;
        Ok((Self::Hevc { source, renumber }, Some(record)))
    }

    /// A packet of the source in the common form; `breaks` for the first one of the run, since the
    /// pictures that came before it in the source are missing.
    fn of_source(&self, packet: Packet, breaks: bool) -> Result<Packet> {
        let packet = match self {
            Self::Avc { head: Some(head), .. } if packet.is_key() => {
                repacked(&packet, Ok(head.before(packet.data())))?
            }
            _ => packet,
        };
        match self {
            Self::Avc { source, .. } if source.must_repack(packet.data()) => {
                let data = source.repack(packet.data(), source.framing, source.length());
                repacked(&packet, data)
            }
            Self::Hevc { source, .. } if breaks || source.must_repack(packet.data()) => {
                repacked(&packet, source.repack(packet.data(), breaks))
            }
            Self::Avc { .. } | Self::Hevc { .. } | Self::Whole => Ok(packet),
        }
    }

    /// A packet of the encoder in the common form.
    fn of_encoder(&self, packet: Packet) -> Result<Packet> {
        match self {
            Self::Avc { source, encoder, .. } => {
                let data = encoder.repack(packet.data(), Framing::StartCodes, source.length());
                repacked(&packet, data)
            }
            Self::Hevc { source, renumber } => {
                repacked(&packet, renumber.packet(packet.data(), source))
            }
            Self::Whole => Ok(packet),
        }
    }
}

fn repacked(packet: &Packet, data: Result<Vec<u8>, &'static str>) -> Result<Packet> {
    let data = data.map_err(failed)?;
    packet.with_other_data(&data).map_err(|_| Error::Exhausted { what: "memory" })
}

fn failed(what: &str) -> Error {
    Error::SmartCutFailed { what: what.to_owned() }
}

impl BoundaryEncoder {
    /// Opens an encoder. If it refuses the form of the stream, the smart cut fails, and the plan's
    /// `otherwise` is run.
    pub(crate) fn open_encoder(settings: &plan::Encoder, threads: NonZeroU32) -> Result<Encoder> {
        let name = &settings.name;
        Encoder::open(settings, threads, true).map_err(|error| match error {
            OpenError::Libav(source) => failed(&format!("encoder `{name}`: {source}")),
            other => other.about("encoder", name),
        })
    }

    /// Opens a line of stages that encodes the pictures from `start` to `end`.
    fn boundary(&mut self, start: Timestamp, end: Option<Timestamp>) -> Result<Boundary> {
        let base = self.parameters.time_base;
        let open = || Self::open_encoder(&self.settings, self.threads);
        let encoder = self.ready.take().map_or_else(open, Ok)?;
        let decoder = Decoder::open(&self.parameters, self.threads)
            .map_err(|error| error.about("decoder", &self.parameters.codec()))?;
        let from = start.rescale(base).map(|start| start.ticks);
        let made = Made::default();
        let encode = Encode::new(encoder, &self.settings, self.origin, self.written.clone())?;
        let encode = Then { stage: encode, next: Box::new(made.clone()) };
        let times = Times::default();
        let count = Then { stage: Count(Arc::clone(&times)), next: Box::new(encode) };
        let span = Span { start, end, hold: None, lead_in: 0 };
        let cut = Cut::new(span, base, self.read.clone());
        let cut = Then { stage: cut, next: Box::new(count) };
        let (of, read) = (self.location.clone(), self.read.clone());
        let decode = Decode::new(decoder, of, base, true, from, read).skipping();
        let line = Then { stage: decode, next: Box::new(cut) };
        Ok(Boundary { line: Box::new(line), made, times, done: false })
    }
}

impl SmartCut {
    /// A stage for the packets of `span`, from a keyframe at or before it on.
    pub(crate) fn new(
        mut maker: BoundaryEncoder,
        ends: plan::CopiedRun,
        span: Span,
    ) -> Result<Self> {
        let head = match ends.keyframe_pts {
            Some(from) if span.start >= from => None,
            Some(from) => Some(maker.boundary(span.start, Some(from))?),
            None => Some(maker.boundary(span.start, span.end)?),
        };
        let coding = Coding::of(&maker.parameters);
        Ok(Self { maker, coding, ends, span, head, first: None, begun: false, tail: None })
    }

    fn base(&self) -> TimeBase {
        self.maker.parameters.time_base
    }

    /// Finishes a boundary encode, and hands on its packets.
    fn hand_on(&self, boundary: Boundary, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        for packet in boundary.finish(self.base())? {
            outlet.send(self.maker.form.of_encoder(packet)?)?;
        }
        Ok(())
    }

    /// Ends the boundary encode before the copied run, and begins the run.
    fn begin(&mut self, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        self.begun = true;
        if let Some(head) = self.head.take() {
            self.hand_on(head, outlet)?;
        }
        match self.first.take() {
            Some(first) => self.copy(first, true, outlet),
            None if self.ends.keyframe_pts.is_none() => Ok(()),
            None => Err(failed("the keyframe at which the copied run begins was not read").into()),
        }
    }

    /// Copies a packet. From the keyframe on that the pictures behind the run need, it is decoded,
    /// too.
    fn copy(
        &mut self,
        packet: Packet,
        breaks: bool,
        outlet: &mut dyn Outlet<Packet>,
    ) -> Result<(), Stop> {
        let at = packet.pts().map(|pts| Timestamp::new(pts, self.base()));
        if let Some(until) = self.ends.end_pts.filter(|_| at == self.ends.tail_keyframe_pts) {
            self.tail = Some(self.maker.boundary(until, self.span.end)?);
        }
        if let Some(tail) = &mut self.tail {
            tail.send(&packet)?;
        }
        outlet.send(self.maker.form.of_source(packet, breaks)?)
    }
}

impl Stage for SmartCut {
    type In = Packet;
    type Out = Packet;

    fn push(&mut self, packet: Packet, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        let Some(at) = packet.pts().map(|pts| Timestamp::new(pts, self.base())) else {
            return Err(failed("a packet has no presentation time").into());
        };
        if self.coding.changes(&packet) {
            return Err(failed("its codec parameters change mid-stream").into());
        }
        if !self.begun {
            if Some(at) > self.ends.keyframe_pts && self.first.is_some() {
                self.begin(outlet)?;
            } else {
                if let Some(head) = &mut self.head {
                    head.send(&packet)?;
                    if head.done && self.ends.keyframe_pts.is_none() {
                        return Err(Stop::Closed);
                    }
                }
                if Some(at) == self.ends.keyframe_pts && packet.is_key() {
                    self.first = Some(packet);
                }
                return Ok(());
            }
        }
        if self.ends.end_pts.or(self.span.end).is_none_or(|until| at < until) {
            return self.copy(packet, false, outlet);
        }
        match &mut self.tail {
            Some(tail) if !tail.done => tail.send(&packet),
            Some(_) => Err(Stop::Closed),
            // This packet tells the copy stage behind that the last picture lasts to the end of the
            // span.
            None => outlet.send(packet),
        }
    }

    fn finish(&mut self, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        if !self.begun {
            self.begin(outlet)?;
        }
        match self.tail.take() {
            Some(tail) => self.hand_on(tail, outlet),
            None if self.ends.end_pts.is_some() => {
                Err(failed("the keyframe at which the copied run ends was not read").into())
            }
            None => Ok(()),
        }
    }
}
