// What goes wrong around the page: links that are used up, other tabs, a service that starts again,
// connections that break.
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { RUNS, clip, drop, expect, field, go, long, sample, Service, signIn, test } from "./service.mjs";

const unreachable = /Failed to load resource|ERR_|status of/;

test("a one-time link signs in, and only once", async ({ page, service, browser }) => {
  await page.goto(service.link);
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  expect(page.url()).not.toContain("sign-in");
  const other = await (await browser.newContext()).newPage();
  await other.goto(service.link);
  await expect(other.getByRole("alert")).toHaveText(/used|expired/);
  await expect(other.getByLabel("API key")).toBeFocused();
  await other.context().close();
});

test("two tabs show the same, and leave together", async ({ page, service, origin, context }) => {
  page.expected.push(unreachable);
  await page.goto(service.base);
  await page.getByLabel("API key").fill(service.key);
  await page.getByLabel("Stay signed in").check();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  const other = await context.newPage();
  await other.goto(service.base);
  await expect(other.getByRole("heading", { name: "Jobs" })).toBeVisible();
  const { jobId } = await service.ask("POST", "jobs", long(origin));
  await page.goto(`${service.base}#/jobs/${jobId}`);
  await other.goto(`${service.base}#/jobs/${jobId}`);
  await expect(page.locator(".heading .badge")).toHaveText(RUNS);
  await other.getByRole("button", { name: "Cancel" }).click();
  await expect(page.locator(".heading .badge")).toHaveText("cancelled");
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  // The other one still shows a job that is not there any more.
  await other.getByRole("button", { name: "Retry" }).click();
  await expect(other.locator(".toast.bad")).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(other.getByLabel("API key")).toBeVisible();
});

test("a service that starts again is found again, with its jobs", async ({ page, origin }) => {
  page.expected.push(unreachable);
  const first = await Service.start();
  const port = new URL(first.base).port;
  await signIn(page, first);
  const done = await first.completed(sample({ name: "thumbnail" }, "jpg"));
  const { jobId } = await first.ask("POST", "jobs", long(origin));
  await page.goto(`${first.base}#/jobs/${jobId}`);
  await expect(page.locator(".heading .badge")).toHaveText(RUNS);
  await first.end("SIGKILL");
  await page.getByRole("navigation").getByRole("link", { name: "Jobs" }).click();
  await expect(page.getByRole("alert")).toHaveText("The service can not be reached");
  await page.goBack();
  const second = await Service.start({ data: first.data, port });
  await page.goto(`${second.base}#/jobs`);
  await expect(page.locator(".rows .row")).toHaveCount(2);
  await expect(page.locator(".count")).toHaveText("2 jobs");
  await page.goto(`${second.base}#/jobs/${jobId}`);
  await expect(page.locator(".heading .badge")).toHaveText(RUNS);
  // The open view of a job goes on by itself.
  await second.end("SIGKILL");
  // Longer than the first pauses between its tries.
  await page.waitForTimeout(5000);
  const third = await Service.start({ data: first.data, port });
  await third.ask("POST", `jobs/${jobId}/cancel`);
  await expect(page.locator(".heading .badge")).toHaveText("cancelled");
  await page.goto(`${third.base}#/jobs/${done.jobId}`);
  await expect.poll(() => page.locator(".output img").evaluate((image) => image.naturalWidth)).toBeGreaterThan(0);
  await third.remove();
});

test("an output whose link has expired gets a new one", async ({ page, service }) => {
  page.expected.push(unreachable);
  const job = await service.completed(sample({ name: "thumbnail" }, "jpg"));
  await signIn(page, service);
  // The first answer holds a link that is too old.
  let isFirst = true;
  await page.route(`**/v1/jobs/${job.jobId}`, async (route) => {
    const answer = await route.fetch();
    const text = await answer.text();
    const old = text.replaceAll(/expires=\d+/g, "expires=1000000000");
    await route.fulfill({ response: answer, body: isFirst ? old : text });
    isFirst = false;
  });
  await page.goto(`${service.base}#/jobs/${job.jobId}`);
  await expect.poll(() => page.locator(".output img").evaluate((image) => image.naturalWidth)).toBeGreaterThan(0);
});

/// A way to a service that breaks each of the connections that carry the given numbers of bytes.
async function brittle(service, breaks) {
  const { hostname, port } = new URL(service.base);
  const server = net.createServer((near) => {
    const far = net.connect(Number(port), hostname);
    let carried = 0;
    near.on("data", (part) => {
      carried += part.length;
      if (breaks.length && carried > breaks[0]) {
        breaks.shift();
        near.resetAndDestroy();
        far.destroy();
      } else if (!far.write(part)) {
        near.pause();
        far.once("drain", () => near.resume());
      }
    });
    far.on("data", (part) => {
      if (near.write(part)) return;
      far.pause();
      near.once("drain", () => far.resume());
    });
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on("error", () => other.destroy());
      one.on("end", () => other.end());
      one.on("close", () => other.destroy());
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { base: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

test("a large upload goes on after three broken connections", async ({ page }, info) => {
  test.setTimeout(900_000);
  page.expected.push(unreachable);
  const mebibytes = process.env.AVOCET_SOAK ? 2048 : 160;
  const service = await Service.start();
  const breaks = [20, 10, 31].map((count) => count << 20);
  const way = await brittle(service, breaks);
  // Zeros behind a real clip: the clip is still read.
  const file = info.outputPath("large.mp4");
  fs.copyFileSync(clip, file);
  fs.truncateSync(file, mebibytes * 2 ** 20);
  await page.goto(way.base);
  await page.getByLabel("API key").fill(service.key);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  await go(page, "New job");
  await page.locator("input[type=file]").setInputFiles(file);
  await expect(page.getByText(/; it goes on in/)).toBeVisible();
  await expect(page.getByText(/is there$/)).toBeVisible({ timeout: 800_000 });
  expect(breaks).toEqual([]);
  const most = service.memory();
  console.log(`${mebibytes} MiB, three breaks: at most ${Math.round(most)} MiB of memory`);
  expect(most).toBeLessThan(100);
  fs.rmSync(file);
  way.close();
  await service.remove();
});

test("a file that was half sent when the page was closed goes on", async ({ page, service, context }, info) => {
  page.expected.push(unreachable);
  const file = info.outputPath("half.mp4");
  fs.copyFileSync(clip, file);
  fs.truncateSync(file, 80 * 2 ** 20);
  await signIn(page, service);
  await go(page, "New job");
  // The second part is held until the page is gone.
  let parts = 0;
  await page.route("**/v1/uploads/*", (route) => {
    if (route.request().method() === "PATCH" && (parts += 1) > 1) return undefined;
    return route.continue();
  });
  await page.locator("input[type=file]").setInputFiles(file);
  await expect.poll(() => parts).toBe(2);
  await page.close();
  const { data } = await service.ask("GET", "uploads");
  expect(data.map((each) => each.receivedBytes)).toEqual([32 * 2 ** 20]);
  const again = await context.newPage();
  await signIn(again, service);
  await go(again, "New job");
  await again.locator("input[type=file]").setInputFiles(file);
  await expect(again.getByText(/is there$/)).toBeVisible();
  await expect(field(again, "Input").locator("input")).toHaveValue(`upload:${data[0].uploadId}`);
});

test("leaving the form stops the upload", async ({ page, service }, info) => {
  page.expected.push(unreachable);
  const file = info.outputPath("left.mp4");
  fs.copyFileSync(clip, file);
  await signIn(page, service);
  await go(page, "New job");
  await page.route("**/v1/uploads/*", () => undefined);
  await drop(page, page.locator(".drop"), file);
  await expect(page.getByText(`${path.basename(file)}: 0 B of`)).toBeVisible();
  const stopped = page.waitForEvent("requestfailed", (request) => request.url().includes("/v1/uploads/"));
  await go(page, "Presets");
  await stopped;
  await expect(page.locator(".toast")).toHaveCount(0);
});
