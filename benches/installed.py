#!/usr/bin/env python3
"""What a started program takes: that of the packages against others, in pairs.

    python3 benches/installed.py INSTALLED CLIP.mp4 PAIRS NAME=PROGRAM… [--write FILE.md]

INSTALLED is the program of a package, as target/dist/gpl-amd64/avocet. A rival is a NAME and a program:
one whose file is called `avocet` gets the arguments of that program, and all others those of ffmpeg.
In each pair both run once, the rival first in every second one; one pair before them is not counted.
Shown are the median of INSTALLED in milliseconds, and the medians of the rival's wall time divided by
that of INSTALLED, pair by pair: more than 1 means that INSTALLED is faster.
"""

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

PRESET = "veryfast"
# Each job: the arguments of avocet, and those of ffmpeg. `None` where a rival has nothing like it.
JOBS = {
    "start": (["--version"], ["-version"]),
    "probe": (["probe", "{clip}"], None),
    "thumbnail at 1 s, 720p": (
        ["thumbnail", "{clip}", "-o", "{out}.jpg", "--at", "1"],
        ["-ss", "1", "-i", "{clip}", "-frames:v", "1", "-q:v", "2", "{out}.jpg"],
    ),
    "remux to Matroska": (
        ["transcode", "{clip}", "-o", "{out}.mkv"],
        ["-i", "{clip}", "-c", "copy", "{out}.mkv"],
    ),
    f"transcode, 10 s, x264 {PRESET}": (
        ["transcode", "{clip10}", "-o", "{out}.mp4", "--reencode", "--preset", PRESET, "--crf", "23"],
        ["-i", "{clip10}", "-c:v", "libx264", "-preset", PRESET, "-crf", "23", "-c:a", "aac", "-b:a", "128k",
         "-movflags", "+faststart", "{out}.mp4"],
    ),
}


def timed(program, arguments, places):
    words = [word.format(**places) for word in arguments]
    if Path(program).name != "avocet":
        words = ["-nostdin", "-y", "-v", "error", *words] if words != ["-version"] else words
    for file in Path(places["out"]).parent.glob(Path(places["out"]).name + ".*"):
        file.unlink()
    begun = time.perf_counter()
    subprocess.run([program, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main():
    words = sys.argv[1:]
    written = None
    if "--write" in words:
        at = words.index("--write")
        written = words[at + 1]
        del words[at:at + 2]
    installed, clip, pairs, *rivals = words
    rivals = [rival.split("=", 1) for rival in rivals]
    lines = [f"| job | installed | {' | '.join(name for name, _ in rivals)} |", "|---" * (len(rivals) + 2) + "|"]
    with tempfile.TemporaryDirectory() as folder:
        clip10 = f"{folder}/clip10.mp4"
        cut = [installed, "trim", clip, "-o", clip10, "--start", "0", "--duration", "10"]
        subprocess.run(cut, check=True, stdout=subprocess.DEVNULL)
        places = {"clip": clip, "clip10": clip10, "out": f"{folder}/out"}
        for job, (ours, theirs) in JOBS.items():
            cells, own = [], []
            for _, rival in rivals:
                arguments = ours if Path(rival).name == "avocet" else theirs
                if arguments is None:
                    cells.append("–")
                    continue
                ratios = []
                for pair in range(int(pairs) + 1):
                    both = [(installed, ours), (rival, arguments)]
                    order = both if pair % 2 == 0 else both[::-1]
                    took = {program: timed(program, words, places) for program, words in order}
                    if pair > 0:
                        ratios.append(took[rival] / took[installed])
                        own.append(took[installed])
                cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")
            lines.append(f"| {job} | {statistics.median(own) * 1000:.1f} ms | {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    if written is None:
        print(text, end="")
        return
    head = (
        f"# What a started program takes, {date.today()}\n\n"
        f"Median of the program of the packages; then the rival's wall time divided by its, median of {pairs} pairs "
        f"(least–most): more than 1 means that the program of the packages is faster. "
        f"{len(os.sched_getaffinity(0))} processors.\n\n"
    )
    command = shlex.join(["python3", "benches/installed.py", *words])
    Path(written).write_text(f"{head}{text}\n```sh\n{command}\n```\n")


if __name__ == "__main__":
    main()
