//! Reads 16 pictures of a video as 224×224 RGB, as a model takes them, on all processors, and prints
//! the mean of each color:
//!
//!     cargo run --example pictures_for_a_model -- in.mp4

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::{env, error::Error, thread};

fn main() -> Result<(), Box<dyn Error>> {
    let input = env::args().nth(1).ok_or("the argument is a video")?;
    let length = avocet::probe(input.as_str())?.duration.ok_or("its duration is not known")?;
    let step = length.seconds() / 16.0;
    let times = (0..16).map(|number| (f64::from(number) + 0.5) * step);
    let threads = thread::available_parallelism()?.get().try_into()?;
    let pictures = avocet::frames(input.as_str()).at(times).size(224, 224).threads(threads);
    for picture in pictures.iter()? {
        let picture = picture?;
        // Height × width × 3 bytes: red, green and blue of each pixel.
        let bytes = picture.packed();
        let mean = |color: usize| {
            let sum: u64 = bytes.iter().skip(color).step_by(3).map(|byte| u64::from(*byte)).sum();
            sum / (224 * 224)
        };
        println!("{:6.2} s: {} {} {}", picture.seconds().unwrap_or(0.0), mean(0), mean(1), mean(2));
    }
    Ok(())
}
