//! Saves pictures all over a video, each in a file of its own:
//!
//!     cargo run --example many_thumbnails -- in.mp4 folder 20

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [input, folder, count] = arguments.as_slice() else {
        return Err("the arguments are a video, a folder and a number".into());
    };
    let report = avocet::thumbnails(input.as_str())
        .count(count.parse()?)
        .width(320)
        .output(folder.as_str())
        .run()?;
    for output in &report.outputs {
        println!("{}: {} bytes", output.location, output.size_bytes);
    }
    Ok(())
}
