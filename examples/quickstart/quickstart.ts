// Makes a thumbnail of a video, then a web-ready copy by a preset, with types that are made from the
// service's own description, so that the compiler knows what is wrong with a request.
//
//   npm install openapi-typescript@7 openapi-fetch@0.14 typescript@5 @types/node@20
//   npx openapi-typescript http://127.0.0.1:8080/openapi.json -o api.d.ts
//   npx tsc --strict --module nodenext --target es2022 quickstart.ts
//   AVOCET_KEY=avo_… node quickstart.js https://host/video.mp4
//
// AVOCET_URL is where the service is; default: http://127.0.0.1:8080.

import { writeFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Job = components["schemas"]["Job"];

const video = process.argv[2];
const client = createClient<paths>({
  baseUrl: process.env.AVOCET_URL ?? "http://127.0.0.1:8080",
  headers: { Authorization: `Bearer ${process.env.AVOCET_KEY}` },
});

// The data of an answer, or its error as an exception.
function taken<T>(answer: { data?: T; error?: components["schemas"]["ErrorBody"] }): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.error?.error.code}: ${answer.error?.error.message}`);
  }
  return answer.data;
}

// Asks for a job until it is at its end.
async function finished(id: string): Promise<Job> {
  for (;;) {
    const job = taken(await client.GET("/v1/jobs/{id}", { params: { path: { id } } }));
    if (job.state === "completed") return job;
    if (["failed", "rejected", "cancelled"].includes(job.state)) {
      throw new Error(`${job.state}: ${job.error?.message}`);
    }
    await new Promise((later) => setTimeout(later, 500));
  }
}

async function download(job: Job, name: string): Promise<void> {
  const response = await fetch(job.output?.signedUrl ?? "");
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  await writeFile(name, Buffer.from(await response.arrayBuffer()));
  console.log(`${name}: ${job.output_files?.output?.size_mbytes} MB by ${job.strategy}`);
}

const { jobId } = taken(
  await client.POST("/v1/jobs", {
    body: {
      mode: "recipe",
      input: { url: video },
      output: { format: "jpg" },
      recipe: { name: "thumbnail", seekSeconds: 1 },
      metadata: { from: "quickstart" },
    },
  }),
);
const thumbnail = await finished(jobId);
await download(thumbnail, "thumbnail.jpg");

const preset = taken(
  await client.POST("/v1/presets/starters/{slug}/clone", {
    params: { path: { slug: "web-ready-720p" } },
  }),
);
const job = taken(
  await client.POST("/v1/jobs", { body: { presetId: preset.id, input: { url: video } } }),
);
const ready = await finished(job.jobId);
await download(ready, "web-ready.mp4");
console.log(`${ready.jobId} is ${ready.state}`);
