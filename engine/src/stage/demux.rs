//! The first stage: packets out of a container, each to the tracks that take its stream.

use super::{Outlet, REORDERED, Stop, finished};
use crate::{
    av::{Demuxer, Fault, Packet, Table},
    error::{Error, Result},
    io::Location,
    progress::CancelToken,
    tally::Tally,
    time::{TimeBase, Timestamp},
};

/// Reads one input to its end.
pub(crate) struct Demux {
    demuxer: Demuxer,
    location: Location,
    cancel: CancelToken,
    routes: Vec<Route>,
}

/// One track's way out of a demuxer.
struct Route {
    stream: usize,
    base: TimeBase,
    /// What a stream of pictures has, by its sample table.
    table: Option<Table>,
    tally: Tally,
    /// `None` once nobody wants more.
    outlet: Option<Box<dyn Outlet<Packet>>>,
}

impl Demux {
    /// A stage over an open demuxer.
    pub(crate) fn new(demuxer: Demuxer, location: Location, cancel: CancelToken) -> Self {
        Self { demuxer, location, cancel, routes: Vec::new() }
    }

    /// Sends the packets of a stream to a track.
    pub(crate) fn route(
        &mut self,
        stream: usize,
        base: TimeBase,
        table: Option<Table>,
        tally: Tally,
        outlet: Box<dyn Outlet<Packet>>,
    ) {
        self.routes.push(Route { stream, base, table, tally, outlet: Some(outlet) });
    }

    /// Reads until the end, a failure, or nobody wanting more.
    pub(crate) fn run(mut self) -> Result<()> {
        let Self { demuxer, routes, .. } = &mut self;
        demuxer.keep_only(|stream| routes.iter().any(|route| route.stream == stream));
        while self.routes.iter().any(|route| route.outlet.is_some()) {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match self.demuxer.read() {
                Ok(Some(packet)) => self.hand_out(&packet)?,
                Ok(None) => break,
                // Whatever libav can not read on from is an end; verification judges how early.
                Err(Fault::Libav(error)) => {
                    for route in &self.routes {
                        route.tally.note(|count| count.read_error = Some(error.to_string()));
                    }
                    break;
                }
                Err(fault) => return Err(fault.of_input(&self.location)),
            }
        }
        self.routes
            .into_iter()
            .filter_map(|route| route.outlet)
            .try_for_each(|mut outlet| finished(outlet.finish()))
    }

    fn hand_out(&mut self, packet: &Packet) -> Result<()> {
        for route in &mut self.routes {
            let Some(outlet) = route.outlet.as_mut().filter(|_| route.stream == packet.stream())
            else {
                continue;
            };
            let mut shared = packet.share().map_err(|_| Error::Exhausted { what: "memory" })?;
            shared.set_time_base(route.base);
            let start = packet.pts().filter(|_| !packet.is_hidden());
            let read = route.tally.note(|count| count.packets_read);
            if let (Some(start), Some(Table { packets, end })) = (start, route.table)
                && read + REORDERED as u64 >= packets
                && start < end
            {
                // libav guesses how long a reordered picture lasts. Near the end each lasts to where
                // the sample table ends, until the next one comes: so the last one has it right.
                shared.set_duration(end - start);
            }
            route.tally.note(|count| {
                count.packets_read += 1;
                if let Some(start) = start {
                    let at = |ticks| Timestamp::new(ticks, route.base);
                    count.read.add(at(start), at(start + shared.duration()));
                }
            });
            match outlet.send(shared) {
                Ok(()) => {}
                Err(Stop::Closed) => {
                    let closed = route.outlet.take();
                    closed.map_or(Ok(()), |mut outlet| finished(outlet.finish()))?;
                }
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Ok(())
    }
}
