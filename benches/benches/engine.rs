//! Benchmarks of the library's public functions, each of which takes less than a second.

#![expect(clippy::unwrap_used, reason = "a bench that can not run fails by panicking")]

use std::{hint::black_box, path::Path, time::Duration};

use avocet::{
    CheckedJob, Engine, Format, Job, Policy, Source,
    engine::ProbeOptions,
    io::Location,
    media::{Rational, Timestamp},
    recipes::{CompileContext, Probed, Recipe, Thumbnail, Transcode},
};
use criterion::{Bencher, Criterion, criterion_group, criterion_main};

/// Ten seconds of 720p with grain.
const PICTURE: &str = "hd-720p.mp4";

/// A clip small enough to be encoded in less than a second.
const SHORT: &str = "counter-h264-aac.mp4";

criterion_group!(benches, time, probe, plan, thumbnail, transcode);
criterion_main!(benches);

fn time(criterion: &mut Criterion) {
    let (from, to) = (Rational::new(1, 90_000).unwrap(), Rational::new(1, 44_100).unwrap());
    let instant = Timestamp::new(123_456_789, from);
    criterion.benchmark_group("time").bench_function("rescale", |bencher| {
        bencher.iter(|| black_box(instant).rescale(black_box(to)));
    });
}

fn probe(criterion: &mut Criterion) {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (engine, source) = (Engine::default(), Source::path(fixtures::get(PICTURE)));
    criterion.benchmark_group("probe").bench_function("mp4", |bencher| {
        bencher.iter(|| engine.probe(&source, ProbeOptions::default()).unwrap());
    });
}

/// Compiles a plan from a checked job and probed media; no file is read.
fn plan(criterion: &mut Criterion) {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (engine, path) = (Engine::default(), fixtures::get(PICTURE));
    let media = engine.probe(&Source::path(&path), ProbeOptions::default()).unwrap();
    let capabilities = engine.capabilities();
    let inputs = &[Probed { location: Location::Path(path.clone()), media, index: None }];
    let mut group = criterion.benchmark_group("plan");
    for (name, job) in [("thumbnail", picture_of(&path)), ("transcode", encode_of(&path))] {
        let output = Location::from("out");
        let (replace, named) = (true, true);
        let context =
            CompileContext { inputs, output, replace, named, has_gaps: false, capabilities };
        group.bench_function(name, |bencher| {
            bencher.iter(|| job.compile(black_box(&context)).unwrap());
        });
    }
}

fn thumbnail(criterion: &mut Criterion) {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get(PICTURE);
    let mut group = criterion.benchmark_group("thumbnail");
    group.sample_size(20);
    group.bench_function("file", |bencher| run(bencher, &picture_of(&clip), "out.jpg"));
}

fn transcode(criterion: &mut Criterion) {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get(SHORT);
    let mut group = criterion.benchmark_group("transcode");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    group.bench_function("remux", |bencher| run(bencher, &remux_of(&clip), "out.mov"));
    group.bench_function("encode", |bencher| run(bencher, &encode_of(&clip), "out.mp4"));
}

/// Probes, plans and runs a job, each time on the same engine.
fn run(bencher: &mut Bencher<'_>, job: &CheckedJob, name: &str) {
    let engine = Engine::default();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join(name);
    bencher.iter(|| avocet::job(job.clone()).output(&*output).engine(&engine).run().unwrap());
}

fn picture_of(path: &Path) -> CheckedJob {
    let recipe = Recipe::Thumbnail(Thumbnail { seek_seconds: 1.0, ..Thumbnail::default() });
    Job::new(recipe, path.to_str().unwrap(), Format::Jpg).check(Policy::Program).unwrap()
}

fn remux_of(path: &Path) -> CheckedJob {
    let recipe = Recipe::Transcode(Transcode::default());
    Job::new(recipe, path.to_str().unwrap(), Format::Mov).check(Policy::Program).unwrap()
}

fn encode_of(path: &Path) -> CheckedJob {
    let recipe = Recipe::Transcode(Transcode { reencode: true, ..Transcode::default() });
    Job::new(recipe, path.to_str().unwrap(), Format::Mp4).check(Policy::Program).unwrap()
}
