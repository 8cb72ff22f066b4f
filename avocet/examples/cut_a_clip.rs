//! Cuts sections out of a video, exact to the frame, and joins them:
//!
//!     cargo run --example cut_a_clip -- in.mp4 out.mp4 12-42 60-75.5

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::{env, error::Error, ops::Range};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [input, output, sections @ ..] = arguments.as_slice() else {
        return Err("the arguments are an input, an output, and sections such as 12-42".into());
    };
    let sections = sections.iter().map(|text| section(text)).collect::<Result<Vec<_>, _>>()?;
    let report = avocet::trim(input.as_str()).ranges(sections).output(output.as_str()).run()?;
    let (encoded, written) = (report.stats.video_frames_encoded, report.stats.video_frames_written);
    println!("{}: {encoded} of {written} frames encoded", report.strategy.name());
    Ok(())
}

/// A section in seconds, as in `12-42`.
fn section(text: &str) -> Result<Range<f64>, Box<dyn Error>> {
    let (start, end) = text.split_once('-').ok_or("a section is START-END, in seconds")?;
    Ok(start.parse()?..end.parse()?)
}
