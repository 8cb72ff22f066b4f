"""Makes a thumbnail of a video, then a web-ready copy by a preset, and hears by a webhook how the
first job ended. Needs the package requests.

    AVOCET_KEY=avo_… python3 examples/quickstart/quickstart.py https://host/video.mp4

AVOCET_URL is where the service is; default: http://127.0.0.1:8080. The webhook goes to this
machine, which a service must be allowed: avocet serve --allow-private-network
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import queue
import sys
import threading
import time

import requests

video = sys.argv[1]
url = os.environ.get("AVOCET_URL", "http://127.0.0.1:8080")
session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['AVOCET_KEY']}"


def call(method, path, body=None):
    response = session.request(method, url + path, json=body)
    answer = response.json()
    if not response.ok:
        sys.exit(f"{answer['error']['code']}: {answer['error']['message']}")
    return answer


def finished(job_id):
    """Asks for a job until it is at its end."""
    while True:
        job = call("GET", f"/v1/jobs/{job_id}")
        if job["state"] == "completed":
            return job
        if job["state"] in ("failed", "rejected", "cancelled"):
            sys.exit(f"{job['state']}: {job.get('error')}")
        time.sleep(0.5)


def download(job, name):
    with requests.get(job["output"]["signedUrl"], stream=True) as response:
        response.raise_for_status()
        with open(name, "wb") as file:
            for part in response.iter_content(1 << 20):
                file.write(part)
    print(f"{name}: {job['output_files']['output']['size_mbytes']} MB by {job['strategy']}")


def is_signed(headers, body, secret):
    """Whether a webhook is from the service (Standard Webhooks)."""
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()
    given = headers["webhook-signature"].split(" ")
    return any(hmac.compare_digest(one, "v1," + expected) for one in given)


secret = call("GET", "/v1/settings")["webhookSecret"]
told = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        is_ours = is_signed(self.headers, body, secret)
        self.send_response(204 if is_ours else 401)
        self.end_headers()
        if is_ours:
            told.put(json.loads(body)["data"])

    def log_message(self, *_):
        pass


receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()

thumbnail = call("POST", "/v1/jobs", {
    "mode": "recipe",
    "input": {"url": video},
    "output": {"format": "jpg"},
    "recipe": {"name": "thumbnail", "seekSeconds": 1},
    "webhookUrl": f"http://127.0.0.1:{receiver.server_port}/",
})
download(finished(thumbnail["jobId"]), "thumbnail.jpg")
heard = told.get(timeout=60)
print(f"webhook: {heard['jobId']} is {heard['state']}")

preset = call("POST", "/v1/presets/starters/web-ready-720p/clone", {})
job = call("POST", "/v1/jobs", {"presetId": preset["id"], "input": {"url": video}})
download(finished(job["jobId"]), "web-ready.mp4")
