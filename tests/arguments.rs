//! Argument lists for the ffmpeg program that must be refused, and mutations of harmless lists.

use std::collections::BTreeSet;

use avocet::{
    Format, Job,
    recipes::{ForService, JobInput, JobOutputs, Recipe, Task, Transcode},
};

/// A job with these arguments, and with one input and one output under keys.
fn job(args: Vec<String>) -> Job {
    Job {
        task: Task::Ffmpeg(args),
        inputs: vec![JobInput { key: Some("in_1".to_owned()), url: "/nowhere/a.mp4".to_owned() }],
        outputs: JobOutputs::Files(vec![("out_1".to_owned(), "out.mkv".to_owned())]),
        stage_input: None,
        service: ForService::default(),
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// Lists that must be refused, each with a part of the error message.
const HOSTILE: &[(&str, &str)] = &[
    ("-i /etc/passwd {{out_1}}", "placeholder"),
    ("-i file:/etc/passwd {{out_1}}", "placeholder"),
    ("-i http://127.0.0.1/ {{out_1}}", "placeholder"),
    ("-i concat:/etc/passwd|/etc/hosts {{out_1}}", "placeholder"),
    ("-i subfile,,start,0,end,9,,:/etc/passwd {{out_1}}", "placeholder"),
    ("-i data:text/plain,x {{out_1}}", "placeholder"),
    ("-i pipe:0 {{out_1}}", "placeholder"),
    ("-i - {{out_1}}", "placeholder"),
    ("-i {{in_1}}/../b {{out_1}}", "placeholder"),
    ("-i {{in_2}} {{out_1}}", "placeholder"),
    ("-i {{out_1}} {{out_1}}", "placeholder"),
    ("-i crypto:{{in_1}} {{out_1}}", "placeholder"),
    ("-i {{in_1}} /tmp/escaped.mp4", "placeholder"),
    ("-i {{in_1}} escaped.mp4 {{out_1}}", "placeholder"),
    ("-i {{in_1}} {{in_1}}", "placeholder"),
    ("-i {{in_1}} {{out_2}}", "placeholder"),
    ("-i {{in_1}} {{out_1}} {{out_1}}", "2 times"),
    ("-i {{in_1}}", "add `{{out_1}}`"),
    ("-i {{in_1}} tcp://127.0.0.1:80", "placeholder"),
    ("-i {{in_1}} pipe:1", "placeholder"),
    ("-f lavfi -i {{in_1}} {{out_1}}", "format"),
    ("-f concat -safe 0 -i {{in_1}} {{out_1}}", "not on the list"),
    ("-f concat -i {{in_1}} {{out_1}}", "format"),
    ("-f hls -i {{in_1}} {{out_1}}", "format"),
    ("-f dash -i {{in_1}} {{out_1}}", "format"),
    ("-f image2 -i {{in_1}} {{out_1}}", "format"),
    ("-f sdp -i {{in_1}} {{out_1}}", "format"),
    ("-f x11grab -i {{in_1}} {{out_1}}", "format"),
    ("-f v4l2 -i {{in_1}} {{out_1}}", "format"),
    ("-f data -i {{in_1}} {{out_1}}", "format"),
    ("-i {{in_1}} -f tee {{out_1}}", "format"),
    ("-i {{in_1}} -f segment {{out_1}}", "format"),
    ("-i {{in_1}} -f hls {{out_1}}", "format"),
    ("-i {{in_1}} -f dash {{out_1}}", "format"),
    ("-i {{in_1}} -f rtp {{out_1}}", "format"),
    ("-i {{in_1}} -f fifo {{out_1}}", "format"),
    ("-i {{in_1}} -f ffmetadata {{out_1}}", "format"),
    ("-i {{in_1}} -vf movie=/etc/passwd {{out_1}}", "filter"),
    ("-i {{in_1}} -vf null,movie=/etc/passwd {{out_1}}", "filter"),
    ("-i {{in_1}} -vf 'mov'ie=a {{out_1}}", "filter"),
    ("-i {{in_1}} -vf m\\ovie=a {{out_1}}", "filter"),
    ("-i {{in_1}} -af amovie=a {{out_1}}", "filter"),
    ("-i {{in_1}} -filter_complex [0:v]null;movie=a[b] {{out_1}}", "filter"),
    ("-i {{in_1}} -lavfi movie@x=a {{out_1}}", "filter"),
    ("-i {{in_1}} -vf subtitles=/etc/passwd {{out_1}}", "filter"),
    ("-i {{in_1}} -vf ass=a.ass {{out_1}}", "filter"),
    ("-i {{in_1}} -vf drawtext=textfile=/etc/passwd {{out_1}}", "drawtext"),
    ("-i {{in_1}} -vf drawtext=fontfile=/etc/passwd:text=a {{out_1}}", "drawtext"),
    ("-i {{in_1}} -vf drawtext=/etc/passwd {{out_1}}", "drawtext"),
    ("-i {{in_1}} -vf drawtext=t\\extfile=/etc/passwd {{out_1}}", "drawtext"),
    ("-i {{in_1}} -vf drawtext=/text=/etc/passwd {{out_1}}", "file"),
    ("-i {{in_1}} -vf scale=/w=/etc/passwd {{out_1}}", "file"),
    ("-i {{in_1}} -vf lut3d=/etc/passwd {{out_1}}", "filter"),
    ("-i {{in_1}} -vf lut1d=a.cube {{out_1}}", "filter"),
    ("-i {{in_1}} -vf frei0r=a {{out_1}}", "filter"),
    ("-i {{in_1}} -af ladspa=a {{out_1}}", "filter"),
    ("-i {{in_1}} -af lv2=a {{out_1}}", "filter"),
    ("-i {{in_1}} -af sofalizer=a {{out_1}}", "filter"),
    ("-i {{in_1}} -af arnndn=m=a {{out_1}}", "filter"),
    ("-i {{in_1}} -vf zmq {{out_1}}", "filter"),
    ("-i {{in_1}} -vf sendcmd=f=a {{out_1}}", "filter"),
    ("-i {{in_1}} -vf metadata=print:file=/tmp/a {{out_1}}", "metadata"),
    ("-i {{in_1}} -vf metadata=mode=print:file=/tmp/a {{out_1}}", "metadata"),
    ("-i {{in_1}} -af ametadata=mode=print:file=/tmp/a {{out_1}}", "ametadata"),
    ("-i {{in_1}} -lavfi psnr=stats_file=/tmp/a {{out_1}}", "psnr"),
    ("-i {{in_1}} -lavfi psnr=/tmp/a {{out_1}}", "psnr"),
    ("-i {{in_1}} -lavfi ssim=stats_file=- {{out_1}}", "ssim"),
    ("-i {{in_1}} -lavfi libvmaf=log_path=/tmp/a {{out_1}}", "filter"),
    ("-i {{in_1}} -vf curves=psfile=/etc/passwd {{out_1}}", "curves"),
    ("-i {{in_1}} -vf selectivecolor=psfile=a {{out_1}}", "selectivecolor"),
    ("-i {{in_1}} -vf paletteuse=debug_kdtree=/tmp/a {{out_1}}", "paletteuse"),
    ("-i {{in_1}} -af firequalizer=dumpfile=/tmp/a {{out_1}}", "firequalizer"),
    ("-i {{in_1}} -vf removelogo=a.png {{out_1}}", "filter"),
    ("-i {{in_1}} -vf vidstabdetect=result=/tmp/a {{out_1}}", "filter"),
    ("-i {{in_1}} -vf hwupload {{out_1}}", "filter"),
    ("-i {{in_1}} -filter_script /etc/passwd {{out_1}}", "not on the list"),
    ("-i {{in_1}} -filter_complex_script a {{out_1}}", "not on the list"),
    ("-i {{in_1}} -/filter_complex /etc/passwd {{out_1}}", "file"),
    ("-i {{in_1}} -attach /etc/passwd {{out_1}}", "not on the list"),
    ("-dump_attachment:t:0 /tmp/a -i {{in_1}} {{out_1}}", "not on the list"),
    ("-report -i {{in_1}} {{out_1}}", "not on the list"),
    ("-loglevel report -i {{in_1}} {{out_1}}", "file"),
    ("-v +report -i {{in_1}} {{out_1}}", "file"),
    ("-progress http://127.0.0.1/ -i {{in_1}} {{out_1}}", "not on the list"),
    ("-vstats_file /tmp/a -i {{in_1}} {{out_1}}", "not on the list"),
    ("-sdp_file /tmp/a -i {{in_1}} {{out_1}}", "not on the list"),
    ("-protocol_whitelist http,tcp -i {{in_1}} {{out_1}}", "not on the list"),
    ("-init_hw_device vaapi=a:/dev/dri/card0 -i {{in_1}} {{out_1}}", "not on the list"),
    ("-hwaccel cuda -i {{in_1}} {{out_1}}", "not on the list"),
    ("-i {{in_1}} -fpre /etc/passwd {{out_1}}", "not on the list"),
    ("-i {{in_1}} -vpre a {{out_1}}", "not on the list"),
    ("-i {{in_1}} -preset /etc/passwd {{out_1}}", "may not hold `/`"),
    ("-i {{in_1}} -x264-params dump-yuv=/tmp/a {{out_1}}", "key"),
    ("-i {{in_1}} -x264-params stats=/tmp/a {{out_1}}", "key"),
    ("-i {{in_1}} -x264-params crf=23:qpfile=/etc/passwd {{out_1}}", "key"),
    ("-i {{in_1}} -x264opts cqmfile=/etc/passwd {{out_1}}", "key"),
    ("-i {{in_1}} -x264-params crf=/etc/passwd {{out_1}}", "may not hold `/`"),
    ("-i {{in_1}} -x265-params csv=/tmp/a {{out_1}}", "key"),
    ("-i {{in_1}} -x265-params analysis-save=/tmp/a {{out_1}}", "key"),
    ("-i {{in_1}} -x265-params recon=/tmp/a {{out_1}}", "key"),
    ("-i {{in_1}} -svtav1-params stats=/tmp/a {{out_1}}", "key"),
    ("-i {{in_1}} -aom-params vmaf-model-path=/tmp/a {{out_1}}", "key"),
    ("-i {{in_1}} -stats_file /tmp/a {{out_1}}", "not on the list"),
    ("-i {{in_1}} -passlogfile /tmp/a {{out_1}}", "may not hold `/`"),
    ("-i {{in_1}} -map_metadata ../a {{out_1}}", "may not hold `/`"),
    ("-i {{in_1}} -c:v h264_nvenc {{out_1}}", "codec"),
    ("-i {{in_1}} -bsf:v /etc/passwd {{out_1}}", "bitstream filter"),
    ("-i {{in_1}} -metadata title={{in_1}} {{out_1}}", "placeholder"),
    ("-i {{in_1}} -vf scale={{in_1}} {{out_1}}", "placeholder"),
    ("-i {{in_1}} -stats:v {{out_1}}", "specifier"),
    ("-i {{in_1}} -enable_drefs 1 {{out_1}}", "not on the list"),
    ("-enable_drefs 1 -i {{in_1}} {{out_1}}", "not on the list"),
    ("-i {{in_1}} -af ametadata=print:fi\\le=a {{out_1}}", "ametadata"),
    ("-i {{in_1}} -vf metadata=print::::: {{out_1}}", "metadata"),
    ("-f s16le -i {{in_1}} {{out_1}}", "format"),
    ("-i {{in_1}} -vf metadata=mode=print:fi\\le=a {{out_1}}", "metadata"),
    ("-i {{in_1}} -hls_segment_filename /tmp/a {{out_1}}", "not on the list"),
    ("-i {{in_1}} -c:v:/etc/passwd copy {{out_1}}", "specifier"),
    ("-i {{in_1}} -crf:v", "missing"),
    ("-i {{in_1}} {{out_1}} -crf 23", "no output follows"),
    ("-crf 23 -i {{in_1}} {{out_1}}", "applies to an output"),
    ("-i {{in_1}} -stream_loop 2 {{out_1}}", "applies to an input"),
    ("-i {{in_1}} {{out_1}} -i {{in_1}}", "before outputs"),
    ("-i {{in_1}} -presett slow {{out_1}}", "nearest: `-preset`"),
];

#[test]
fn hostile_arguments_are_refused_by_place_and_reason() {
    assert!(HOSTILE.len() >= 60);
    for (line, words_of) in HOSTILE {
        let args = words(line);
        let error = job(args.clone()).check_arguments().err();
        let error = error.unwrap_or_else(|| panic!("{line} was let through"));
        assert_eq!(error.code(), "UNSUPPORTED_COMMAND", "{line}");
        assert!(error.to_string().contains(words_of), "{line}: {error}");
        let avocet::engine::Error::ArgumentRefused { index, argument, .. } = error else {
            panic!("{line}: {error}")
        };
        let is_there = args.get(index).is_none_or(|met| met.starts_with(&argument));
        assert!(is_there, "{line}: {index} is not {argument}");
    }
}

/// Outputs that consist of several files are refused, with the reason.
#[test]
fn outputs_of_many_files_are_refused() {
    for name in ["out.m3u8", "out.mpd", "out.sdp", "out.ffmeta"] {
        let outputs = JobOutputs::Files(vec![("out_1".to_owned(), name.to_owned())]);
        let job = Job { outputs, ..job(words("-i {{in_1}} -c copy {{out_1}}")) };
        let error = job.check_arguments().err().unwrap();
        assert_eq!(error.code(), "UNSUPPORTED_COMMAND", "{name}");
        assert!(error.to_string().contains("can not be made"), "{error}");
    }
    // A single output by format has the placeholder `{{output}}`.
    let alone = Job::new(Recipe::Transcode(Transcode::default()), "/nowhere/a.mp4", Format::Mp4);
    let job = Job { task: Task::Ffmpeg(words("-i {{input}} -c copy {{output}}")), ..alone };
    job.check_arguments().unwrap();
}

/// Lists that are accepted, which are mutated.
const HARMLESS: &[&str] = &[
    "-i {{in_1}} -c copy {{out_1}}",
    "-ss 1 -t 1 -i {{in_1}} -c:v libx264 -preset ultrafast -crf 40 -c:a aac -b:a 64k {{out_1}}",
    "-i {{in_1}} -vf scale=64:-2,fps=5 -an -c:v mjpeg -q:v 10 {{out_1}}",
    "-i {{in_1}} -filter_complex [0:v]split[a][b];[a]hflip[c];[b][c]hstack[v] -map [v] -t 1 {{out_1}}",
    "-i {{in_1}} -vf drawtext=text=hello:x=10:y=10:fontsize=20 -frames:v 5 {{out_1}}",
    "-i {{in_1}} -af volume=0.5,atempo=1.5 -vn -c:a flac {{out_1}}",
    "-y -hide_banner -loglevel error -i {{in_1}} -map 0:v:0 -map 0:a? -c copy -shortest {{out_1}}",
    "-i {{in_1}} -c:v libx264 -preset ultrafast -x264-params keyint=10:bframes=0 -t 1 {{out_1}}",
    "-i {{in_1}} -metadata title=/etc/passwd -metadata:s:a:0 language=deu -c copy {{out_1}}",
    "-f mov -i {{in_1}} -c copy -bsf:a aac_adtstoasc -t 1 {{out_1}}",
    "-i {{in_1}} -vf select='eq(n,3)',setpts=N/25/TB -frames:v 1 -an {{out_1}}",
    "-i {{in_1}} -force_key_frames expr:gte(t,n_forced) -c:v libx264 -preset ultrafast -t 1 {{out_1}}",
];

/// Words that mutations insert: options, values, and words that must never be accepted.
const POOL: &[&str] = &[
    "-i",
    "{{in_1}}",
    "{{out_1}}",
    "-c",
    "-c:v",
    "copy",
    "libx264",
    "-f",
    "matroska",
    "mp4",
    "-vf",
    "null",
    "-map",
    "0",
    "-an",
    "-y",
    "-r",
    "25",
    "-t",
    "1",
    "scale=64:64",
    "-metadata",
    "title=a",
    "-s",
    "64x64",
    "-pix_fmt",
    "yuv420p",
    "-attach",
    "/etc/passwd",
    "file:/etc/passwd",
    "/secret.txt",
    "http://127.0.0.1/",
    "movie=/etc/passwd",
    "subtitles=/secret.srt",
    "concat:/secret|/secret",
    "-filter_script",
    "-report",
    "-dump",
    "pipe:1",
    "drawtext=textfile=/etc/passwd",
    "metadata=print:file=/secret",
    "tee",
    "[f=mp4]/secret.mp4|/secret2.mp4",
    "stats=/secret.log",
    "dump-yuv=/secret",
    "psnr=stats_file=/secret",
    "-passlogfile",
    "-x264-params",
    "-progress",
    "-/vf",
    "%d.png",
    "../secret",
    "-preset",
    "-lavfi",
    "-sdp_file",
    "lavfi",
];

/// Characters that mutations insert into words.
const SIGNS: &[char] =
    &['/', ':', '\'', '\\', '[', ']', ',', ';', '=', '@', '%', '|', '-', '{', '}', '\0', 'é', ' '];

/// Pseudorandom numbers (xorshift), the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A harmless list with one to four mutations.
    fn list(&mut self) -> Vec<String> {
        let mut list = words(self.one(HARMLESS));
        for _ in 0..=self.below(3) {
            let place = self.below(list.len() + 1);
            match self.below(6) {
                0 => list.insert(place, self.one(POOL).to_owned()),
                1 if place < list.len() => self.one(POOL).clone_into(&mut list[place]),
                2 if place < list.len() => drop(list.remove(place)),
                3 if place < list.len() => {
                    let sign = self.one(&[":", ",", "=", "/", ";"]);
                    list[place] = format!("{}{sign}{}", list[place], self.one(POOL));
                }
                4 if place < list.len() => {
                    let at = self.below(list[place].chars().count() + 1);
                    let mut signs: Vec<char> = list[place].chars().collect();
                    signs.insert(at, self.one(SIGNS));
                    list[place] = signs.into_iter().collect();
                }
                _ if list.len() > 1 => {
                    let other = self.below(list.len());
                    let place = place.min(list.len() - 1);
                    list.swap(place, other);
                }
                _ => {}
            }
            if list.is_empty() {
                list.push("-y".to_owned());
            }
        }
        list
    }
}

/// Different mutated lists that the check accepts.
pub(crate) fn let_through(count: usize) -> Vec<Vec<String>> {
    let mut chance = Chance(0x5eed_cafe_f00d);
    let mut found = BTreeSet::new();
    while found.len() < count {
        let list = chance.list();
        if !list.iter().any(|word| word.contains('\0'))
            && job(list.clone()).check_arguments().is_ok()
        {
            found.insert(list);
        }
    }
    found.into_iter().collect()
}

/// Whether an accepted word might open a file or an address, judged without the tables. Metadata is
/// text only, and filter graphs are checked for filters that name files.
fn is_suspicious(list: &[String], place: usize) -> bool {
    let (word, before) = (&list[place], place.checked_sub(1).map_or("", |before| &list[before]));
    match before.split(':').next().unwrap_or_default() {
        "-metadata" | "-force_key_frames" => false,
        "-vf" | "-af" | "-filter_complex" | "-lavfi" => names_a_file(word),
        _ => {
            let names = ["passwd", "/secret", "http:", "file:", "pipe:", "%d", "movie", "textfile"];
            names.iter().any(|name| word.contains(name))
        }
    }
}

/// Whether a filter of a graph, or an option of `drawtext`, names a file.
fn names_a_file(graph: &str) -> bool {
    let mut filters = vec![String::new()];
    let (mut is_quoted, mut signs) = (false, graph.chars());
    while let Some(sign) = signs.next() {
        match sign {
            '\'' => is_quoted = !is_quoted,
            '\\' if !is_quoted => filters.last_mut().unwrap().extend(signs.next()),
            ',' | ';' | ']' if !is_quoted => filters.push(String::new()),
            sign => filters.last_mut().unwrap().push(sign),
        }
    }
    filters.iter().any(|filter| {
        let filter = filter.trim();
        let is_banned = ["movie", "subtitles", "ass=", "psnr=stats", "metadata=print:file"];
        let begins = ["drawtext=textfile", "drawtext=fontfile", "drawtext=/"];
        let is_drawn = begins.iter().any(|one| filter.starts_with(one))
            || (filter.starts_with("drawtext")
                && [":textfile", ":fontfile", ":/"].iter().any(|one| filter.contains(one)));
        is_banned.iter().any(|name| filter.starts_with(name)) || is_drawn
    })
}

#[test]
fn no_mutated_list_gets_a_name_through() {
    let count = if fixtures::soak() { 1_000_000 } else { 20_000 };
    let mut chance = Chance(0x0dd_ba11);
    let mut accepted = 0;
    for _ in 0..count {
        let list = chance.list();
        if job(list.clone()).check_arguments().is_err() {
            continue;
        }
        accepted += 1;
        for (place, word) in list.iter().enumerate() {
            assert!(!is_suspicious(&list, place), "{word} of {list:?} was let through");
        }
    }
    // Most mutations do harm. A check that refuses everything must not pass this test.
    assert!(accepted > count / 50, "{accepted} of {count} were let through");
}
