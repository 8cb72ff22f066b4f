//! The program on real clips: a thumbnail of each clip with video.

use fixtures::judge;

use crate::room::Room;

/// The displayed width and height of a stream, in square pixels.
fn shown(stream: &judge::Stream) -> (f64, f64) {
    let (mut width, mut height) = (f64::from(stream.width), f64::from(stream.height));
    let sides = stream.sar.split_once(':').map(|(x, y)| (x.parse::<f64>(), y.parse::<f64>()));
    if let Some((Ok(x), Ok(y))) = sides
        && x > 0.0
        && y > 0.0
    {
        // One side is enlarged to get square pixels, so that no row or column is lost.
        if x > y { width *= x / y } else { height *= y / x }
    }
    if stream.rotation % 180 == 0 { (width, height) } else { (height, width) }
}

#[test]
fn every_clip_with_video_has_a_thumbnail_in_its_shape() {
    for clip in fixtures::media_clips!() {
        let room = Room::new();
        room.link(&clip, "clip");
        let source = judge::probe(&clip);
        // The thumbnail of an audio file is its cover art, if it has any.
        let moving = source.of_kind("video").find(|stream| !stream.is("attached_pic"));
        let Some(video) = moving.or(source.of_kind("video").next()) else {
            let words = ["needs a video stream"];
            room.check_failure("thumbnail clip -o out.jpg", "1 INPUT_INVALID in plan", &words);
            continue;
        };
        let before = room.sight();
        let answer = room.succeed("thumbnail clip -o out.jpg --seek-seconds 1");
        assert_eq!(room.new_names(&before), ["out.jpg"], "{}", clip.display());
        let made = judge::probe(room.path("out.jpg"));
        let made = made.video();
        let told = ["width", "height"].map(|key| answer["outputs"][0][key].as_u64().unwrap());
        assert_eq!(told, [u64::from(made.width), u64::from(made.height)], "{}", clip.display());
        let (width, height) = shown(video);
        let (off_width, off_height) =
            (f64::from(made.width) - width, f64::from(made.height) - height);
        assert!(
            off_width.abs() <= 1.0 && off_height.abs() <= 1.0,
            "{}: {}x{}, shown as {width}x{height}",
            clip.display(),
            made.width,
            made.height
        );
    }
}
