//! A small HTTP server for tests, which serves one file well or with a fault.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use fixtures::wait;

/// The fault of a server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// The connection ends after this many bytes of each body.
    CutEvery(u64),
    /// The first body ends after this many bytes; all later requests fail with 503.
    CutThenAway(u64),
    /// The first requests, this many, get this status and these headers; later ones succeed.
    First(u64, u16, &'static str),
    /// Every request gets this status.
    Always(u16),
    /// Every request that begins at or after this byte gets this status.
    Beyond(u64, u16),
    /// Every request but that for the first byte alone gets this status.
    AlwaysLater(u16),
    /// Ranges are ignored.
    NoRanges,
    /// `Accept-Ranges` is sent, but ranges are ignored.
    LyingRanges,
    /// Every range is answered with another one, so the server can not be read in ranges.
    WrongRange,
    /// Ranges are answered with another one, except for the request for the first byte.
    WrongRangeLater,
    /// The body is only half as long as it should be.
    Short,
    /// The body of a range does not end.
    Endless,
    /// Ranges are ignored, and the body does not end.
    EndlessWhole,
    /// The body claims to be compressed with gzip.
    Gzip,
    /// Single bytes are sent at long intervals.
    Drip,
    /// Nothing is sent after the head of the response.
    Stall,
    /// Nothing is sent at all.
    Silent,
    /// Every request is redirected to this server.
    RedirectLoop,
    /// Every request is redirected to this URL.
    Redirect(String),
    /// The entity tag changes after this many requests.
    Changes(u64),
    /// The stated length changes after this many requests.
    Grows(u64),
}

/// A running server; it ends when this is dropped.
pub(crate) struct Origin {
    address: SocketAddr,
    file: String,
    ends: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

struct Shared {
    file: PathBuf,
    fault: Fault,
    requests: AtomicU64,
    bytes: AtomicU64,
    connections: AtomicU64,
    ranges: Mutex<Vec<(u64, u64)>>,
}

impl Origin {
    pub(crate) fn new(file: &Path, fault: Fault) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            file: file.to_owned(),
            fault,
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            ranges: Mutex::default(),
        });
        let ends = Arc::new(AtomicBool::new(false));
        let (ours, over) = (Arc::clone(&shared), Arc::clone(&ends));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&ours)) else { return };
                shared.connections.fetch_add(1, Ordering::Relaxed);
                // A client that disconnects is part of some tests.
                thread::spawn(move || shared.talk(&stream).ok());
            }
        });
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        Self { address, file: name, ends, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/{}", self.address, self.file)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn ranges(&self) -> Vec<(u64, u64)> {
        self.shared.ranges.lock().unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        // Wakes the listening thread.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// Answers requests until the client sends no more, or a fault ends the connection.
    fn talk(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        loop {
            let Some(Ok(first)) = lines.next() else { return Ok(()) };
            let mut range = None;
            for line in lines.by_ref() {
                let line = line?.to_ascii_lowercase();
                if let Some((from, to)) =
                    line.strip_prefix("range: bytes=").and_then(|range| range.split_once('-'))
                {
                    range = Some((from.parse::<u64>().unwrap(), to.parse::<u64>().ok()));
                }
                if line.is_empty() {
                    break;
                }
            }
            assert!(first.starts_with("GET "), "{first}");
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            if !self.answer(stream, number, range)? {
                stream.shutdown(Shutdown::Both)?;
                return Ok(());
            }
        }
    }

    /// Answers one request; returns whether the connection stays open.
    fn answer(
        &self,
        mut stream: &TcpStream,
        number: u64,
        range: Option<(u64, Option<u64>)>,
    ) -> std::io::Result<bool> {
        let file = File::open(&self.file)?;
        let length = file.metadata()?.len();
        let is_look = range == Some((0, Some(0)));
        let mut told = length;
        let mut tag = "\"one\"";
        let empty = |stream: &mut &TcpStream, status: u16, more: &str| {
            let head = format!("HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\n{more}\r\n");
            stream.write_all(head.as_bytes()).map(|()| true)
        };
        match &self.fault {
            Fault::First(count, status, more) if number < *count => {
                return empty(&mut stream, *status, more);
            }
            Fault::Always(status) => return empty(&mut stream, *status, ""),
            Fault::AlwaysLater(status) if !is_look => return empty(&mut stream, *status, ""),
            Fault::CutThenAway(_) if number > 1 => return empty(&mut stream, 503, ""),
            Fault::Beyond(byte, status) if range.is_some_and(|(first, _)| first >= *byte) => {
                return empty(&mut stream, *status, "");
            }
            Fault::RedirectLoop => return empty(&mut stream, 302, "Location: /again\r\n"),
            Fault::Redirect(target) => {
                return empty(&mut stream, 302, &format!("Location: {target}\r\n"));
            }
            Fault::Silent => {
                wait::lag(Duration::from_secs(60));
                return Ok(false);
            }
            Fault::Changes(count) if number >= *count => tag = "\"two\"",
            Fault::Grows(count) if number >= *count => told += 1,
            _ => {}
        }
        let knows_ranges =
            !matches!(self.fault, Fault::NoRanges | Fault::LyingRanges | Fault::EndlessWhole);
        let (first, last) = match range.filter(|_| knows_ranges) {
            Some((first, last)) => (first, last.unwrap_or(u64::MAX).min(length - 1)),
            None => (0, length - 1),
        };
        self.ranges.lock().unwrap().push((first, last));
        let size = last - first + 1;
        let mut head = String::new();
        if range.is_some() && knows_ranges {
            let is_wrong = self.fault == Fault::WrongRange
                || (self.fault == Fault::WrongRangeLater && !is_look);
            let from = if is_wrong { first + 1 } else { first };
            head += "HTTP/1.1 206 Partial Content\r\n";
            head += &format!("Content-Range: bytes {from}-{last}/{told}\r\n");
        } else {
            head += "HTTP/1.1 200 OK\r\n";
        }
        if self.fault == Fault::LyingRanges {
            head += "Accept-Ranges: bytes\r\n";
        }
        if self.fault == Fault::Gzip {
            head += "Content-Encoding: gzip\r\n";
        }
        head += &format!("ETag: {tag}\r\n");
        let is_endless =
            (self.fault == Fault::Endless && !is_look) || self.fault == Fault::EndlessWhole;
        let is_short = self.fault == Fault::Short && !is_look;
        match (is_endless, is_short) {
            (true, _) => head += "Transfer-Encoding: chunked\r\n\r\n",
            (_, true) => head += &format!("Content-Length: {}\r\n\r\n", size / 2),
            _ => head += &format!("Content-Length: {size}\r\n\r\n"),
        }
        stream.write_all(head.as_bytes())?;
        if matches!(self.fault, Fault::Stall) && !is_look {
            wait::lag(Duration::from_secs(60));
            return Ok(false);
        }
        let end = if is_short { first + size / 2 } else { last + 1 };
        let mut at = first;
        let mut piece = vec![0; 64 << 10];
        while at < end || is_endless {
            let left = usize::try_from(end.saturating_sub(at)).unwrap();
            let size = if left == 0 { piece.len() } else { left.min(piece.len()) };
            let size = if self.fault == Fault::Drip && !is_look { 1 } else { size };
            if left > 0 {
                file.read_exact_at(&mut piece[..size], at)?;
            }
            if is_endless {
                stream.write_all(format!("{size:x}\r\n").as_bytes())?;
            }
            if let Fault::CutEvery(most) | Fault::CutThenAway(most) = self.fault
                && at + size as u64 - first > most
                && !is_look
            {
                let left = usize::try_from(first + most - at).unwrap();
                stream.write_all(&piece[..left])?;
                self.bytes.fetch_add(left as u64, Ordering::Relaxed);
                return Ok(false);
            }
            stream.write_all(&piece[..size])?;
            if is_endless {
                stream.write_all(b"\r\n")?;
            }
            if self.fault == Fault::Drip && !is_look {
                wait::lag(Duration::from_millis(20));
            }
            self.bytes.fetch_add(size as u64, Ordering::Relaxed);
            at += size as u64;
        }
        Ok(true)
    }
}
