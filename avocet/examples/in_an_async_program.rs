//! Runs a job from async code, with its progress, and gives up when it takes too long; then reads
//! pictures as a stream:
//!
//!     cargo run --example in_an_async_program --features tokio -- in.mp4 out.mp4

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::{env, error::Error, time::Duration};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        return Err("the arguments are an input and an output".into());
    };
    let mut job = avocet::compress(input.as_str()).crf(30).output(output.as_str()).spawn();
    if let Some(mut progress) = job.progress() {
        tokio::spawn(async move {
            while let Some(now) = progress.next().await {
                println!("{:3.0} %", now.fraction * 100.0);
            }
        });
    }
    // Dropping the job cancels it; so does a time-out that drops it.
    let report = tokio::time::timeout(Duration::from_secs(600), job).await??;
    println!("{} bytes", report.outputs[0].size_bytes);

    let mut pictures = avocet::frames(output.as_str()).every(1.0).width(160).stream();
    while let Some(picture) = pictures.next().await {
        println!("{:?} s", picture?.seconds());
    }
    Ok(())
}
