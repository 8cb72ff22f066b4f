//! Remote inputs and outputs: what is copied as a whole, and what is read in byte ranges.

use avocet_model::{
    location::Location,
    plan::{Action, Part, Plan, Reason, Select, Strategy, Track, TrackKind},
};

use crate::decide::context::Probed;

/// Decides whether each remote input is copied to this machine before the run, and adds reasons
/// about remote inputs and outputs to the plan.
///
/// An input is read in byte ranges when its packets are copied or few of its frames are decoded.
/// One that is decoded as a whole is copied first, so that its server is not kept busy for the
/// whole run. `asked` overrides this.
pub(crate) fn fill(plan: &mut Plan, asked: Option<bool>, inputs: &[Probed]) {
    let decides = |number: usize| match plan.strategy {
        Strategy::Passthrough => false,
        // The `ffmpeg` program reads local files only.
        Strategy::Ffmpeg => true,
        _ => asked.unwrap_or_else(|| is_decoded_whole(plan, number)),
    };
    let stages: Vec<bool> = (0..inputs.len()).map(decides).collect();
    for ((input, stage), probed) in plan.inputs.iter_mut().zip(stages).zip(inputs) {
        let Some(origin) = &probed.media.origin else { continue };
        input.stage = stage && origin.has_ranges;
        if input.stage {
            let message = format!("{} is copied to this machine before the run", input.location);
            plan.because.push(Reason::new("INPUT_STAGED", message));
        } else if !origin.has_ranges {
            let message = format!(
                "the server has no byte ranges for {}, which was copied as a whole",
                input.location
            );
            plan.because.push(Reason::new("ORIGIN_WITHOUT_RANGES", message));
        } else if probed.index.is_some() && !probed.media.lists_packets() {
            let bytes = origin.bytes.unwrap_or_default();
            let format = probed.media.format.split(',').next().unwrap_or_default();
            let message = format!(
                "{format} does not list its packets: all {bytes} bytes of {} were read to plan this",
                input.location
            );
            plan.because.push(Reason::new("INPUT_READ_WHOLE", message));
        }
    }
    if plan.outputs.iter().any(|output| matches!(output.location, Location::Url(_))) {
        let message = "outputs are written to this machine, read back, and then sent".to_owned();
        plan.because.push(Reason::new("OUTPUT_SPOOLED", message));
    }
}

/// Whether a whole video stream of an input is decoded, or a whole audio stream where the plan has
/// no video.
fn is_decoded_whole(plan: &Plan, number: usize) -> bool {
    let of = |kind| move |track: &&Track| track.kind == kind;
    let has_video = plan.tracks().any(|track| of(TrackKind::Video)(&track));
    let kind = if has_video { TrackKind::Video } else { TrackKind::Audio };
    let mut tracks = plan.tracks().filter(of(kind)).filter(|track| track.action != Action::Copy);
    tracks.any(|track| {
        let of_input = |part: &Part| part.source.is_some_and(|source| source.input == number);
        track.parts.iter().any(|part| part.select == Select::All && of_input(part))
    })
}
