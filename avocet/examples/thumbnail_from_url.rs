//! Saves a frame of a video that is on a web server, of which little is read:
//!
//!     cargo run --example thumbnail_from_url -- https://host/video.mp4 90 frame.jpg

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::{env, error::Error};

use avocet::{
    Engine,
    engine::Settings,
    io::{Reach, RemoteSettings},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, seconds, output] = arguments.as_slice() else {
        return Err("the arguments are a URL, seconds, and the name of a picture".into());
    };
    // For URLs that come from strangers, leave this out: then only public addresses are reached.
    let remote = RemoteSettings { reach: Reach::Named, ..RemoteSettings::default() };
    let engine = Engine::new(Settings { remote, ..Settings::default() });

    let thumbnail = avocet::thumbnail(url.as_str()).at(seconds.parse()?);
    let report = thumbnail.output(output.as_str()).engine(&engine).run()?;

    let stats = &report.stats;
    println!("{} requests, {} bytes read", stats.requests, stats.bytes_fetched);
    Ok(())
}
