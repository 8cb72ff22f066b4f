// A client of the job API of Avocet.

import createClient from "openapi-fetch";

/** What failed: an answer of the service, or a job. */
export class AvocetError extends Error {
  constructor(message, { code, status, job } = {}) {
    super(message);
    this.name = "AvocetError";
    this.code = code;
    this.status = status;
    this.job = job;
  }
}

// The states in which a job stays.
const ENDS = ["completed", "failed", "rejected", "cancelled"];

// The data of an answer, or its error as an exception.
function taken({ data, error, response }) {
  if (response.ok) return data;
  const told = error?.error;
  throw new AvocetError(told?.message ?? `the service answers with ${response.status}`, {
    code: told?.code,
    status: response.status,
  });
}

// Waits, and no longer than until the signal.
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Connects to a service; nothing is sent yet. */
export function connect({ url = "http://127.0.0.1:8080", key, fetch } = {}) {
  const api = createClient({
    baseUrl: url.replace(/\/+$/, ""),
    headers: key === undefined ? {} : { Authorization: `Bearer ${key}` },
    fetch,
  });

  async function submit(document, { idempotencyKey, signal } = {}) {
    const headers = idempotencyKey === undefined ? {} : { "Idempotency-Key": idempotencyKey };
    const { jobId } = taken(await api.POST("/v1/jobs", { body: document, headers, signal }));
    return jobId;
  }

  async function finished(id, { onProgress, signal } = {}) {
    for (let wait = 100; ; wait = Math.min(wait * 1.5, 2000)) {
      const job = taken(await api.GET("/v1/jobs/{id}", { params: { path: { id } }, signal }));
      onProgress?.(job);
      if (job.state === "completed") return job;
      if (ENDS.includes(job.state)) {
        const reason = job.error?.message ?? `the job is ${job.state}`;
        throw new AvocetError(reason, { code: job.error?.code, job });
      }
      await pause(wait, signal);
    }
  }

  async function run(document, options = {}) {
    return finished(await submit(document, options), options);
  }

  async function upload(content, { name, signal } = {}) {
    const answer = await api.POST("/v1/uploads", {
      params: { query: name === undefined ? {} : { name } },
      body: content,
      bodySerializer: (body) => body,
      headers: { "Content-Type": "application/octet-stream" },
      signal,
    });
    return taken(answer).url;
  }

  return { api, submit, finished, run, upload };
}
