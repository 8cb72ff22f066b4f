//! Movies are written once, with a gap for the index before the media.

use std::{fs, path::Path};

use avocet::{Engine, engine::RunOptions};
use fixtures::judge;

use crate::support::run;

/// The number of unused bytes in a movie, whose index must come before its media.
fn empty(movie: &Path) -> u64 {
    let order = judge::box_order(movie);
    let place = |kind| order.iter().position(|(found, ..)| found == kind);
    assert!(place("moov") < place("mdat"), "{order:?}");
    let free = order.iter().filter(|(kind, ..)| kind == "free");
    free.map(|(.., size)| size).sum()
}

fn same_packets(a: &Path, b: &Path) {
    for stream in ["v:0", "a:0"] {
        assert_eq!(judge::packet_hashes(a, stream), judge::packet_hashes(b, stream), "{stream}");
    }
    assert_eq!(judge::decode_errors(b), [""; 0]);
}

#[test]
fn the_room_for_the_index_is_about_as_large_as_that() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    let table = [
        ("a copy", "mp4", r#""transcode""#),
        ("a copy to QuickTime", "mov", r#""transcode""#),
        ("sound alone", "m4a", r#""extractAudio""#),
        ("an encode", "mp4", r#""resize","width":640"#),
    ];
    for (name, format, recipe) in fixtures::sample(table, 3) {
        let made = run(&clip, format, recipe).unwrap();
        let (empty, length) = (empty(&made.path), fs::metadata(&made.path).unwrap().len());
        assert!(empty <= 8 + length / 256, "{name}: {empty} of {length} bytes");
        if recipe == r#""transcode""# {
            // The gap was large enough: its rest comes after the index.
            let kinds: Vec<_> = judge::box_order(&made.path).into_iter().map(|of| of.0).collect();
            assert_eq!(kinds[2..], ["moov", "free", "mdat"], "{name}: {kinds:?}");
            same_packets(&clip, &made.path);
        }
    }
}

#[test]
fn a_wrong_estimate_of_the_index_costs_no_packet_and_no_room() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let folder = tempfile::tempdir().unwrap();
    for (name, seconds) in
        [("none", None), ("short", Some(0.01)), ("long", Some(1e4)), ("endless", Some(1e30))]
    {
        let output = folder.path().join(format!("{name}.mp4"));
        let mut plan = avocet::transcode(&clip).output(output.clone()).plan().unwrap().plan;
        plan.seconds = seconds;
        Engine::default().run(&plan, RunOptions::default()).unwrap();
        let (empty, length) = (empty(&output), fs::metadata(&output).unwrap().len());
        assert!(empty <= 8 + length / 256, "{name}: {empty} of {length} bytes");
        same_packets(&clip, &output);
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 4, "{left:?}");
}
