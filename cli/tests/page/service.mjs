// What the tests of the page share: a running service, a page that is signed in, and a watch over what
// the page does wrong.
import { test as plain, expect } from "@playwright/test";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

export { expect };

/// A clip with picture and sound of some seconds.
export const clip = process.env.AVOCET_CLIP;

/// A service with a data folder of its own.
export class Service {
  static async start({ data, port = 0 } = {}) {
    const service = new Service();
    service.data = data ?? fs.mkdtempSync(path.join(os.tmpdir(), "avocet-page-"));
    const listen = ["serve", "--listen", `127.0.0.1:${port}`, "--data", service.data];
    service.child = spawn(process.env.AVOCET_PROGRAM, [...listen, "--open", "--allow-private-network"], { stdio: ["ignore", "ignore", "pipe"] });
    const lines = readline.createInterface({ input: service.child.stderr });
    const told = [];
    service.link = await new Promise((resolve, reject) => {
      lines.on("line", (line) => {
        told.push(line);
        const found = line.match(/minutes: (\S+)$/);
        if (found) resolve(found[1]);
      });
      lines.on("close", () => reject(new Error(`no service: ${told.join("\n")}`)));
    });
    service.base = service.link.split("#")[0];
    service.key = fs.readFileSync(path.join(service.data, "api-key"), "utf8").trim();
    return service;
  }

  /// Asks the API; returns the JSON of its answer.
  async ask(method, where, body) {
    const headers = { Authorization: `Bearer ${this.key}`, "Content-Type": "application/json" };
    const answer = await fetch(new URL(`v1/${where}`, this.base), { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${where}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? null : answer.json();
  }

  /// The job once it has come into one of the states.
  async reaches(id, ...states) {
    let job;
    await expect.poll(async () => {
      job = await this.ask("GET", `jobs/${id}`);
      return states.includes(job.state);
    }, { message: `job ${id} does not become ${states}` }).toBe(true);
    return job;
  }

  /// A job that has completed.
  async completed(document) {
    const { jobId } = await this.ask("POST", "jobs", document);
    const job = await this.reaches(jobId, "completed", "failed", "rejected");
    expect(job.state, JSON.stringify(job)).toBe("completed");
    return job;
  }

  /// The most memory that the process had, in MiB.
  memory() {
    const status = fs.readFileSync(`/proc/${this.child.pid}/status`, "utf8");
    return Number(status.match(/VmHWM:\s+(\d+)/)[1]) / 1024;
  }

  async end(signal = "SIGTERM") {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.kill(signal);
    await ended;
  }

  async remove() {
    await this.end("SIGKILL");
    fs.rmSync(this.data, { recursive: true, force: true });
  }
}

/// A job of the sample clip.
export const sample = (recipe, format = "mp4", more = {}) => ({
  mode: "recipe", input: { url: "root:sample/clip.mp4" }, output: { format }, recipe, ...more,
});

/// A server that gives the first part of a clip at once, and the rest in two minutes. So a job of it runs
/// for long, and takes no processor.
export async function slowOrigin() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "avocet-page-"));
  const file = path.join(folder, "slow.mp4");
  // The index of what we make is at the front, so that the job can begin.
  execFileSync(process.env.AVOCET_PROGRAM, ["transcode", clip, "-o", file], { stdio: "pipe" });
  const bytes = fs.readFileSync(file);
  fs.rmSync(folder, { recursive: true });
  const at = (part) => Math.floor(bytes.length * part);
  const server = http.createServer((request, answer) => {
    const [from, to] = (request.headers.range?.match(/\d+/g) ?? [0]).map(Number);
    const end = Math.min(to ?? Infinity, bytes.length - 1) + 1;
    answer.writeHead(request.headers.range ? 206 : 200, {
      "Content-Type": "video/mp4", "Accept-Ranges": "bytes", "Content-Length": end - from, "Content-Range": `bytes ${from}-${end - 1}/${bytes.length}`,
    });
    let sent = Math.min(Math.max(from, at(0.6)), end);
    answer.write(bytes.subarray(from, sent));
    const timer = setInterval(() => {
      if (sent === end) return answer.end();
      const next = Math.min(sent + at(0.4 / 240) + 1, end);
      answer.write(bytes.subarray(sent, next));
      sent = next;
      return undefined;
    }, 500);
    answer.on("close", () => clearInterval(timer));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}/slow.mp4`, close };
}

/// A job that the ffmpeg program fails.
export const failing = {
  mode: "ffmpeg", input: { url: "root:sample/clip.mp4" }, output: { format: "mp4" },
  ffmpeg: { args: ["-i", "{{input}}", "-map", "0:7", "{{output}}"] },
};

/// The states of a job that runs.
export const RUNS = /^(probing|planning|transcoding)$/;

/// A job that runs for two minutes.
export const long = (origin) => ({ ...sample({ name: "transcode", reencode: true }), input: { url: origin.url } });

/// A server that keeps what is sent to it.
export async function receiver() {
  const came = [];
  const server = http.createServer((request, answer) => {
    let text = "";
    request.on("data", (part) => (text += part));
    request.on("end", () => {
      came.push(JSON.parse(text));
      answer.writeHead(204).end();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { came, url: `http://127.0.0.1:${server.address().port}/hook`, close: () => server.close() };
}

/// Opens the page with a key.
export async function signIn(page, service) {
  await page.goto(service.base);
  await page.getByLabel("API key").fill(service.key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
}

/// Opens a view by its name in the menu.
export async function go(page, name) {
  await page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
}

/// A field of a form, by its label.
export const field = (page, label) => page.locator("div.field", { has: page.locator(`label:text-is("${label}")`) });

/// Drops a file onto an element, as from a folder.
export async function drop(page, target, file, type = "video/mp4") {
  const bytes = fs.readFileSync(file).toString("base64");
  const transfer = await page.evaluateHandle(([text, name, kind]) => {
    const made = new DataTransfer();
    made.items.add(new File([Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0))], name, { type: kind }));
    return made;
  }, [bytes, path.basename(file), type]);
  await target.dispatchEvent("dragover", { dataTransfer: transfer });
  await target.dispatchEvent("drop", { dataTransfer: transfer });
}

/// Plays a video or a sound to its end; returns its duration in seconds.
export const play = (media) => media.evaluate(async (element) => {
  element.playbackRate = 4;
  const ended = new Promise((resolve, reject) => {
    element.onended = resolve;
    element.onerror = () => reject(new Error(element.error.message));
  });
  await element.play();
  await ended;
  return element.duration;
});

/// Tests get `service` and `origin`, which all tests of a file share, and `page`; a test fails where the page has an
/// error of its own, asks another host, or breaks its policy. `page.expected` holds the patterns of
/// messages that a test provokes.
export const test = plain.extend({
  service: [async ({}, use) => {
    const service = await Service.start();
    await use(service);
    await service.remove();
  }, { scope: "worker" }],
  origin: [async ({}, use) => {
    const origin = await slowOrigin();
    await use(origin);
    origin.close();
  }, { scope: "worker" }],
  page: async ({ page }, use) => {
    const wrong = [];
    page.expected = [];
    page.on("pageerror", (error) => wrong.push(`${error.stack}`));
    page.on("console", (line) => line.type() === "error" && wrong.push(line.text()));
    page.on("request", (request) => {
      const url = new URL(request.url());
      const isOurs = url.hostname === "127.0.0.1" || ["blob:", "data:"].includes(url.protocol);
      if (!isOurs) wrong.push(`a request of ${request.url()}`);
    });
    await use(page);
    expect(wrong.filter((line) => !page.expected.some((pattern) => pattern.test(line)))).toEqual([]);
  },
});
