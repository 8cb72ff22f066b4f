//! Makes a video of one bucket ready for the web, in another bucket:
//!
//!     export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… AWS_REGION=…
//!     cargo run --example bucket_to_bucket -- s3://uploads/raw.mov s3://site/video.mp4
//!
//! Google Cloud Storage is `gs://`, Azure Blob Storage `az://`. Cloudflare R2 is `s3://`, with
//! `AWS_ENDPOINT_URL=https://<account>.r2.cloudflarestorage.com` and `AWS_REGION=auto`.

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::{env, error::Error};

use avocet::{
    Engine,
    engine::Settings,
    io::{Reach, RemoteSettings},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        return Err("the arguments are the URLs of an input and an output".into());
    };
    // By default nothing is read with this machine's own credentials, as jobs may be a stranger's.
    let remote = RemoteSettings { reach: Reach::Named, ..RemoteSettings::default() };
    let engine = Engine::new(Settings { remote, ..Settings::default() });
    let planned = avocet::web_ready(input.as_str())
        .output(output.as_str())
        .engine(&engine)
        .progress(|progress| println!("{:.0} %", progress.fraction * 100.0))
        .plan()?;
    print!("{planned}");

    // The object appears when it is whole and verified, or not at all.
    let report = planned.run()?;
    println!("{}: {} bytes", report.outputs[0].location, report.outputs[0].size_bytes);
    Ok(())
}
