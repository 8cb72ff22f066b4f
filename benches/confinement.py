"""What the confinement of workers costs: thumbnails by `avocet serve`, confined and not, in pairs.

    python3 benches/confinement.py target/release/avocet CLIP.mp4 [PAIRS] [JOBS] [PROJECTS]

Each run starts a service with one worker and an empty data folder, submits JOBS thumbnails of the clip
(in turn for each of PROJECTS), and takes the time until the last one has ended. Every second pair
begins with the confined one. A small server of this program hands out the clip in byte ranges.
"""

import contextlib
import functools
import http.server
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request


class Clip(http.server.BaseHTTPRequestHandler):
    """Answers each request with the clip, or the range of it that is asked for."""

    protocol_version = "HTTP/1.1"

    def __init__(self, content, *arguments):
        self.content = content
        super().__init__(*arguments)

    def do_GET(self):
        size = len(self.content)
        first, last = 0, size - 1
        asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("ETag", '"clip"')
        self.end_headers()
        self.wfile.write(self.content[first : last + 1])

    def log_message(self, *_):
        pass


def call(base, key, method, path, body=None):
    data = json.dumps(body).encode() if body else None
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(base + path, data, headers, method=method)
    return json.load(urllib.request.urlopen(request))


def is_idle(base):
    text = urllib.request.urlopen(f"{base}/metrics").read().decode()
    figures = [re.search(rf"^{name} (\d+)", text, re.M)[1] for name in
               ("avocet_queue_depth", "avocet_busy_workers")]
    return figures == ["0", "0"]


@contextlib.contextmanager
def service(program, **variables):
    """Runs a service with these settings and an empty data folder; gives its base URL, its API key and
    its process."""
    with tempfile.TemporaryDirectory() as data:
        settings = {f"AVOCET_SERVE_{name}": value for name, value in variables.items()}
        arguments = ["serve", "--data", data, "--listen", "127.0.0.1:0", "--allow-private-network"]
        process = subprocess.Popen([program, *arguments], env=dict(os.environ, RUST_LOG="error", **settings),
                                   stderr=subprocess.PIPE, text=True)
        base = "http://" + re.search(r"listens on ([^;]+);", process.stderr.readline())[1]
        threading.Thread(target=process.stderr.read, daemon=True).start()
        with open(os.path.join(data, "api-key"), encoding="ascii") as file:
            key = file.read()
        try:
            yield base, key, process
        finally:
            process.terminate()
            process.wait()


def serve(path):
    """Hands out a clip; returns its URL."""
    with open(path, "rb") as file:
        handler = functools.partial(Clip, file.read())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/clip.mp4"


def run(program, mode, clip, jobs, projects):
    """The milliseconds of each job."""
    with service(program, CONFINEMENT=mode, WORKERS="1") as (base, key, _):
        keys = [key]
        for number in range(1, projects):
            call(base, keys[0], "POST", "/v1/projects", {"name": f"p{number}"})
            token = {"name": "bench", "project": f"p{number}"}
            keys.append(call(base, keys[0], "POST", "/v1/tokens", token)["key"])
        document = {"mode": "recipe", "input": {"url": clip}, "output": {"format": "jpg"},
                    "recipe": {"name": "thumbnail", "seekSeconds": 1}}

        def work(count):
            begun = time.monotonic()
            for number in range(count):
                call(base, keys[number % projects], "POST", "/v1/jobs", document)
            while not is_idle(base):
                time.sleep(0.02)
            return (time.monotonic() - begun) / count * 1000

        work(10)
        return work(jobs)


def main():
    program, path = sys.argv[1:3]
    pairs, jobs, projects = [int(text) for text in (sys.argv[3:] + ["5", "100", "1"][len(sys.argv) - 3:])]
    clip = serve(path)
    met = []
    for number in range(pairs):
        order = ["off", "best"] if number % 2 == 0 else ["best", "off"]
        took = {mode: run(program, mode, clip, jobs, projects) for mode in order}
        met.append((took["off"], took["best"]))
        print(f"unconfined {met[-1][0]:.1f} ms, confined {met[-1][1]:.1f} ms a job", flush=True)
    ratio = statistics.median(best / off for off, best in met)
    more = statistics.median(best - off for off, best in met)
    print(f"confined ÷ unconfined {ratio:.3f}, {more:+.1f} ms a job (medians of {pairs} pairs)")


if __name__ == "__main__":
    main()
