//! `avocet health`: whether the service on this machine answers, for container images without a shell.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// The longest wait for the connection, and for each part of the answer.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Asks the service that listens on an address for `/healthz`: the line of status of its answer.
///
/// # Errors
/// When nobody answers there within some seconds, or not as a service that is well does.
pub(super) fn ask(listens: SocketAddr) -> io::Result<String> {
    let address = reachable(listens);
    let mut stream = TcpStream::connect_timeout(&address, LONGEST_WAIT)?;
    stream.set_read_timeout(Some(LONGEST_WAIT))?;
    stream.set_write_timeout(Some(LONGEST_WAIT))?;
    // In one piece: whoever is no service may close the connection at the first one.
    stream.write_all(format!("GET /healthz HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    // The answer is short; whoever else listens there need not be read to its end.
    stream.take(4096).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().unwrap_or_default().to_owned();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(status);
    }
    Err(io::Error::other(format!("{address} answers {status:?}")))
}

/// An address by which this machine reaches what listens on one; a service may listen on all of them.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}
