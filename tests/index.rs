//! Indexes of packets, compared with what ffprobe finds by reading all packets.

use std::{fs, path::Path, sync::Arc};

use avocet::{CancelToken, Engine, Source, engine::ProbeOptions, media::RandomAccess};
use fixtures::judge;

fn check(clip: &Path) {
    let (engine, source) = (Engine::default(), Source::path(clip));
    let Ok(media) = engine.probe(&source, ProbeOptions::default()) else { return };
    let index = engine.index(&source, &(0.0..f64::INFINITY), &CancelToken::new()).unwrap();
    for (stream, index) in media.streams.iter().zip(&index.streams) {
        if stream.kind == avocet::media::Kind::Data {
            continue; // What belongs to chapters is not read.
        }
        let case = format!("{} stream {}", clip.display(), stream.index);
        let packets = judge::packets(clip, &stream.index.to_string());
        assert_eq!(index.packets.len(), packets.len(), "{case}");
        let tick = stream.time_base.as_f64();
        let is_sound = media.audios().any(|(audio, _)| audio.index == stream.index);
        for (number, (found, packet)) in index.packets.iter().zip(&packets).enumerate() {
            let case = format!("{case} packet {number}: {found:?}, not {packet:?}");
            assert_eq!(u64::from(found.bytes), packet.size, "{case}");
            assert_eq!(found.hidden, packet.discard, "{case}");
            assert!(packet.key || found.entry == RandomAccess::None, "{case}");
            let near = |a: f64, b: f64| (a - b).abs() < tick / 2.0;
            if let Some(pts) = packet.pts {
                assert!(found.pts.is_some_and(|found| near(found as f64 * tick, pts)), "{case}");
            }
            // libav guesses video durations; the last audio packet may end in padding.
            if is_sound && number + 1 < packets.len() && packet.duration > 0.0 {
                assert!(near(found.duration as f64 * tick, packet.duration), "{case}");
            }
        }
    }
}

#[test]
fn packets_of_movies_are_where_their_tables_say() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let broken: Vec<_> = fixtures::broken().collect();
    let is_movie = |name: &str| [".mp4", ".mov", ".m4a"].iter().any(|end| name.ends_with(end));
    let made = fixtures::all().filter(|name| is_movie(name) && !broken.contains(name));
    for clip in fixtures::sample(made.map(fixtures::get).chain(fixtures::media_clips()), 4) {
        check(&clip);
    }
}

#[test]
fn an_index_is_kept_until_its_input_changes() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    fs::copy(fixtures::get("counter-h264-aac.mp4"), &path).unwrap();
    let (engine, source) = (Engine::default(), Source::path(&path));
    let index = || engine.index(&source, &(0.0..f64::INFINITY), &CancelToken::new()).unwrap();
    let (first, second) = (index(), index());
    assert!(Arc::ptr_eq(&first, &second));
    fs::copy(fixtures::get("h264-open-gop.mp4"), &path).unwrap();
    let third = index();
    assert!(third != first && *third == *index());
}
