// Makes a thumbnail of a video with fetch, then a web-ready copy by a preset, and hears by a
// webhook how the first job ended. Needs Node.js 18 or later.
//
//   AVOCET_KEY=avo_… node examples/quickstart/quickstart.mjs https://host/video.mp4
//
// AVOCET_URL is where the service is; default: http://127.0.0.1:8080. The webhook goes to this
// machine, which a service must be allowed: avocet serve --allow-private-network

import { createHmac, timingSafeEqual } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";

const video = process.argv[2];
const url = process.env.AVOCET_URL ?? "http://127.0.0.1:8080";
const headers = {
  Authorization: `Bearer ${process.env.AVOCET_KEY}`,
  "Content-Type": "application/json",
};

async function call(method, path, body) {
  const response = await fetch(`${url}${path}`, { method, headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  return answer;
}

// Asks for a job until it is at its end.
async function finished(id) {
  for (;;) {
    const job = await call("GET", `/v1/jobs/${id}`);
    if (job.state === "completed") return job;
    if (["failed", "rejected", "cancelled"].includes(job.state)) {
      throw new Error(`${job.state}: ${job.error?.message}`);
    }
    await new Promise((later) => setTimeout(later, 500));
  }
}

async function download(job, name) {
  const response = await fetch(job.output.signedUrl);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  await writeFile(name, Buffer.from(await response.arrayBuffer()));
  console.log(`${name}: ${job.output_files.output.size_mbytes} MB by ${job.strategy}`);
}

// Whether a webhook is from the service (Standard Webhooks).
function isSigned(request, body, secret) {
  const { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": given } = request.headers;
  if (Math.abs(Date.now() / 1000 - time) > 300) return false;
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${time}.${body}`).digest();
  return given.split(" ").some((signature) => {
    const bytes = Buffer.from(signature.replace("v1,", ""), "base64");
    return bytes.length === expected.length && timingSafeEqual(bytes, expected);
  });
}

const { webhookSecret } = await call("GET", "/v1/settings");
let tell;
const told = new Promise((resolve) => (tell = resolve));
const receiver = createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  const isOurs = isSigned(request, body, webhookSecret);
  response.writeHead(isOurs ? 204 : 401).end();
  if (isOurs) tell(JSON.parse(body).data);
});
await new Promise((ready) => receiver.listen(0, "127.0.0.1", ready));

const { jobId } = await call("POST", "/v1/jobs", {
  mode: "recipe",
  input: { url: video },
  output: { format: "jpg" },
  recipe: { name: "thumbnail", seekSeconds: 1 },
  webhookUrl: `http://127.0.0.1:${receiver.address().port}/`,
});
await download(await finished(jobId), "thumbnail.jpg");
const heard = await told;
console.log(`webhook: ${heard.jobId} is ${heard.state}`);
receiver.close();

const preset = await call("POST", "/v1/presets/starters/web-ready-720p/clone", {});
const job = await call("POST", "/v1/jobs", { presetId: preset.id, input: { url: video } });
await download(await finished(job.jobId), "web-ready.mp4");
