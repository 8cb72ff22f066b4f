// What the client of the job API of Avocet takes and gives.

import type { Client } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type { components, paths };

/** A job, as the service tells it. */
export type Job = components["schemas"]["Job"];

/** A job document: https://github.com/avocet-media/avocet/blob/main/docs/recipes.md */
export type JobDocument = paths["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"];

/** What failed: an answer of the service, or a job. */
export class AvocetError extends Error {
  /** The error code, as in `CONFIG_ERROR`; absent where the service gave none. */
  code?: string;
  /** The status of the answer; absent where a job failed. */
  status?: number;
  /** The job that failed. */
  job?: Job;
}

export interface Avocet {
  /** The whole API, each path with the types of its requests and answers. */
  api: Client<paths>;

  /** Hands a job in, and gives its id. With the same `idempotencyKey` it is taken once. */
  submit(document: JobDocument, options?: { idempotencyKey?: string; signal?: AbortSignal }): Promise<string>;

  /**
   * Waits until a job is completed, and gives it. A job that failed, was rejected or cancelled is an
   * `AvocetError`. The job is asked for every 0.1 s at first and every 2 s at last, and each answer is
   * given to `onProgress`.
   */
  finished(id: string, options?: { onProgress?: (job: Job) => void; signal?: AbortSignal }): Promise<Job>;

  /** `submit` and `finished`. The signal ends the waiting; the job goes on. */
  run(
    document: JobDocument,
    options?: { idempotencyKey?: string; onProgress?: (job: Job) => void; signal?: AbortSignal },
  ): Promise<Job>;

  /** Uploads a file in one request, and gives the URL by which a job names it as an input. */
  upload(content: Blob | Uint8Array | ArrayBuffer, options?: { name?: string; signal?: AbortSignal }): Promise<string>;
}

/** Connects to a service; nothing is sent yet. `url` is http://127.0.0.1:8080 by default. */
export function connect(options?: {
  url?: string;
  key?: string;
  fetch?: (request: Request) => Promise<Response>;
}): Avocet;
