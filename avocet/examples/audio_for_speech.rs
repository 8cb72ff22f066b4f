//! Reads the sound of a file as 16 kHz mono in floating point, in windows of 30 s as speech
//! recognizers take them, and prints how loud each is:
//!
//!     cargo run --example audio_for_speech -- talk.mp4

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let input = env::args().nth(1).ok_or("the argument is a file with sound")?;
    let windows = avocet::audio(input.as_str()).mono().rate(16_000).f32().block(30 * 16_000);
    for window in windows.iter()? {
        let window = window?;
        let samples = window.f32().unwrap_or_default();
        let power =
            samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32;
        println!(
            "{:7.2} s: {} samples, {:.1} dB",
            window.seconds(),
            samples.len(),
            10.0 * power.log10()
        );
    }
    Ok(())
}
