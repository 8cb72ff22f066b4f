"""How quick the API of `avocet serve` is while its queue is long and its workers are busy.

    python3 benches/long_queue.py target/release/avocet CLIP.mp4 [RUNS] [JOBS]

Each run starts a service with two workers of one thread, gives each an encode that lasts, submits JOBS
thumbnails of the clip one after the other over one connection, and reads a job after every fifth. It
prints the 50th and 99th percentile and the longest of both kinds of request, in milliseconds, and the
resident memory of the service before and after.
"""

import http.client
import json
import sys
import time

from confinement import serve, service


def memory(process):
    """The resident memory of a process, in MiB."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1]) // 1024


def told(times):
    times.sort()
    part = lambda percent: times[(len(times) - 1) * percent // 100] * 1000
    return f"p50 {part(50):.1f}, p99 {part(99):.1f}, longest {part(100):.1f} ms"


def run(program, clip, jobs):
    with service(program, WORKERS="2", THREADS="2") as (base, key, process):
        connection = http.client.HTTPConnection(base.removeprefix("http://"))
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

        def ask(method, path, body=None):
            begun = time.monotonic()
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = json.load(connection.getresponse())
            return answer, time.monotonic() - begun

        def document(recipe, form):
            return {"mode": "recipe", "input": {"url": clip}, "output": {"format": form}, "recipe": recipe}

        busy = document({"name": "transcode", "codec": "av1", "preset": 0}, "mp4")
        busy = [ask("POST", "/v1/jobs", busy)[0]["jobId"] for _ in range(2)]
        thumbnail = document({"name": "thumbnail", "seekSeconds": 1}, "jpg")
        before, posts, gets, ids = memory(process), [], [], []
        for number in range(jobs):
            answer, took = ask("POST", "/v1/jobs", thumbnail)
            ids.append(answer["jobId"])
            posts.append(took)
            if number % 5 == 0:
                gets.append(ask("GET", f"/v1/jobs/{ids[number // 2]}")[1])
        states = [ask("GET", f"/v1/jobs/{job}")[0]["state"] for job in busy]
        print(f"POST {told(posts)}; GET {told(gets)}; memory {before} to {memory(process)} MiB; "
              f"the encodes are {' and '.join(states)}", flush=True)


def main():
    program, path = sys.argv[1:3]
    runs, jobs = [int(text) for text in (sys.argv[3:] + ["5", "10000"][len(sys.argv) - 3:])]
    clip = serve(path)
    for _ in range(runs):
        run(program, clip, jobs)


main()
