//! Saves a frame of a video that is on a web server, of which little is read:
//!
//!     cargo run --example thumbnail_from_url -- https://host/video.mp4 90 frame.jpg

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::{env, error::Error, ops::ControlFlow};

use avocet::{
    CancelToken, Engine, Format, Job, Policy, Recipe,
    engine::{Reach, RemoteSettings, Settings},
    recipes::Thumbnail,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, seconds, output] = arguments.as_slice() else {
        return Err("the arguments are a URL, seconds, and the name of a picture".into());
    };
    // For URLs that come from strangers, leave this out: then only public addresses are reached.
    let remote = RemoteSettings { reach: Reach::Named, ..RemoteSettings::default() };
    let engine = Engine::new(Settings { remote, ..Settings::default() });

    let recipe = Thumbnail { seek_seconds: seconds.parse()?, ..Thumbnail::default() };
    let job =
        Job::new(Recipe::Thumbnail(recipe), url.as_str(), Format::Jpg).check(Policy::Program)?;
    let cancel = CancelToken::new();
    let report =
        avocet::run(&engine, &job, output.as_str(), &cancel, |_| ControlFlow::Continue(()))?;

    let stats = &report.stats;
    println!("{} requests, {} bytes read", stats.requests, stats.bytes_fetched);
    Ok(())
}
