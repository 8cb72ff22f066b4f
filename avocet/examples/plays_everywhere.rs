//! Makes a video that every browser plays, shows the plan first, and stops after a time:
//!
//!     cargo run --example plays_everywhere -- in.mkv out.mp4 [SECONDS]

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::{env, error::Error, thread, time::Duration};

use avocet::CancelToken;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [input, output, limit @ ..] = arguments.as_slice() else {
        return Err("the arguments are an input, an output, and a limit in seconds".into());
    };
    let cancel = CancelToken::new();
    if let Some(limit) = limit.first() {
        let (limit, cancel) = (Duration::from_secs_f64(limit.parse()?), cancel.clone());
        thread::spawn(move || {
            thread::sleep(limit);
            cancel.cancel();
        });
    }
    let planned = avocet::web_ready(input.as_str())
        .output(output.as_str())
        .cancel(&cancel)
        .progress(|now| println!("{:3.0} %", now.fraction * 100.0))
        .plan()?;
    println!("{planned}");
    // After a cancellation or any other error, no file is there.
    let report = planned.run()?;
    for warning in &report.warnings {
        println!("warning: {warning}");
    }
    Ok(())
}
