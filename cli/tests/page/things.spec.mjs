// Each thing that people do on the page, done on a running service.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { RUNS, clip, drop, expect, failing, field, go, long, play, receiver, sample, signIn, test } from "./service.mjs";

/// The answers of the service that a test provokes, as the browser's console tells them.
const refusals = /the server responded with a status of 4\d\d/;

test("signing in takes a key that works, and stays or ends", async ({ page, service }) => {
  page.expected.push(refusals);
  await page.goto(service.base);
  await page.getByLabel("API key").fill("avk_wrong");
  await page.keyboard.press("Enter");
  await expect(page.locator(".fault")).toHaveText(/key/i);
  await expect(page.getByLabel("API key")).toBeFocused();
  await page.getByLabel("API key").fill(service.key);
  await page.getByLabel("Stay signed in").check();
  await page.keyboard.press("Enter");
  await expect(page.getByText("Project default")).toBeVisible();
  await page.reload();
  await expect(page.getByText("Project default")).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByLabel("API key")).toBeVisible();
  expect(await page.evaluate(() => [localStorage.length, sessionStorage.length])).toEqual([0, 0]);
});

test("a file is dropped, planned, cut and played", async ({ page, service }) => {
  await signIn(page, service);
  await page.getByRole("link", { name: "New job" }).first().click();
  await drop(page, page.locator(".drop"), clip);
  await expect(page.getByText(/is there$/)).toBeVisible();
  await expect(field(page, "Input").locator("input")).toHaveValue(/^upload:/);
  await field(page, "Recipe").locator("select").selectOption("trim");
  await field(page, "startSeconds").locator("input").fill("1");
  await field(page, "durationSeconds").locator("input").fill("3");
  await page.getByRole("button", { name: "Show the plan" }).click();
  await expect(page.locator(".plan")).toContainText(/Strategy: (smart_cut|encode)/);
  await expect(page.locator(".plan .tracks > li")).toHaveCount(2);
  await page.getByRole("button", { name: "Run" }).click();
  await expect(page.locator(".heading .badge")).toHaveText("completed");
  await expect(page.getByRole("heading", { level: 1 })).toContainText(`trim of ${path.basename(clip)}`);
  expect(Math.abs((await play(page.locator("video"))) - 3)).toBeLessThan(0.1);
});

test("a job shows what became of it, and how", async ({ page, service }) => {
  const job = await service.completed(sample({ name: "trim", startSeconds: 0.3, durationSeconds: 1 }, "mp4", { metadata: { team: "blue" } }));
  await signIn(page, service);
  await page.goto(`${service.base}#/jobs/${job.jobId}`);
  await expect(page.locator(".timeline .badge").first()).toHaveText("queued");
  await expect(page.locator(".timeline .badge").last()).toHaveText("completed");
  await expect(page.locator("dd", { hasText: job.strategy })).toBeVisible();
  await expect(page.locator("dt", { hasText: "team" })).toBeVisible();
  for (const reason of job.reasons) await expect(page.getByText(reason.message).first()).toBeVisible();
  await page.getByRole("button", { name: "Show the plan" }).click();
  await expect(page.locator(".plan .tracks")).toContainText("video");
  // The URL that is copied is the one that is downloaded.
  await page.getByRole("button", { name: "Copy URL" }).click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download" }).click()]);
  const bytes = Buffer.from(await (await fetch(copied)).arrayBuffer());
  expect(fs.readFileSync(await download.path()).equals(bytes)).toBe(true);
  // Its document in each language, by mouse and by keyboard.
  const source = page.locator("#source");
  await expect(source).toContainText('"startSeconds": 0.3');
  await page.getByRole("tab", { name: "curl" }).click();
  await expect(source).toContainText(`curl ${service.base}v1/jobs`);
  await page.keyboard.press("ArrowRight");
  await expect(source).toContainText("await fetch(");
  await page.keyboard.press("ArrowRight");
  await expect(source).toContainText("urllib.request");
});

test("the copied programs send the very document, whatever is in it", async ({ page, service }) => {
  const metadata = { quotes: `'''" + "' \\ \n \u2028 $HOME \`id\` %s`, html: "<img src=x onerror=alert(1)>" };
  const job = await service.completed(sample({ name: "thumbnail" }, "jpg", { metadata }));
  await signIn(page, service);
  await page.goto(`${service.base}#/jobs/${job.jobId}`);
  await expect(page.locator("dd", { hasText: "onerror" })).toBeVisible();
  for (const [name, program, options] of [["curl", "bash", ["-c"]], ["JavaScript", "node", ["--input-type=module", "-e"]], ["Python", "python3", ["-c"]]]) {
    await page.getByRole("tab", { name }).click();
    const text = await page.locator("#source").textContent();
    const answer = execFileSync(program, [...options, text], { env: { ...process.env, AVOCET_KEY: service.key }, encoding: "utf8", stdio: "pipe" });
    const id = answer.match(/[0-9A-Z]{26}/)[0];
    expect((await service.ask("GET", `jobs/${id}`)).document, name).toEqual(job.document);
  }
});

test("a draft of a job is the job, whatever is in it", async ({ page, service }) => {
  const document = {
    mode: "ffmpeg", input_files: { in_main: "root:sample/clip.mp4", in_logo: "root:sample/clip.mp4" }, output_files: { out_1: "a.mp4", out_2: "b.mp4" },
    ffmpeg: { args: ["-i", "{{in_main}}", "-i", "{{in_logo}}", "-metadata", "title=a\nb", "-metadata", "", "{{out_1}}", "{{out_2}}"] },
    metadata: { "a:b": "c: d", "x\ny": " p " }, stageInput: true, priority: "low",
  };
  const { jobId } = await service.ask("POST", "jobs", document);
  const known = (await service.reaches(jobId, "completed", "failed", "rejected")).document;
  await signIn(page, service);
  let sent;
  await page.route("**/v1/jobs", (route) => {
    if (route.request().method() !== "POST") return route.continue();
    sent = route.request().postDataJSON();
    return route.fulfill({ json: { jobId } });
  });
  await page.goto(`${service.base}#/jobs/${jobId}`);
  await page.getByRole("link", { name: "Use as a draft" }).click();
  await page.getByRole("button", { name: "Run" }).click();
  await expect.poll(() => sent).toEqual(known);
});

test("a view that is slow does not come over the one that was opened later", async ({ page, service }) => {
  await signIn(page, service);
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.route("**/v1/presets", async (route) => {
    await held;
    await route.continue();
  });
  await page.getByRole("navigation").getByRole("link", { name: "Presets" }).click();
  await go(page, "Keys");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Keys");
  const answered = page.waitForResponse("**/v1/presets");
  letGo();
  await answered;
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Keys");
});

test("light and dark are chosen by hand, and stay", async ({ page, service }) => {
  await signIn(page, service);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await ground();
  await page.getByRole("button", { name: "Dark" }).click();
  await expect(page.getByRole("button", { name: "Light" })).toBeFocused();
  expect(await ground()).not.toBe(before);
  await page.reload();
  await expect(page.getByRole("button", { name: "Light" })).toBeVisible();
  expect(await ground()).not.toBe(before);
});

test("sound, pictures and sprites are shown", async ({ page, service }) => {
  const [sound, picture, sprites] = [
    await service.completed(sample({ name: "extractAudio" }, "mp3")),
    await service.completed(sample({ name: "thumbnail", seekSeconds: 1 }, "jpg")),
    await service.completed(sample({ name: "storyboard", count: 9, columns: 3 }, "jpg")),
  ];
  await signIn(page, service);
  await page.goto(`${service.base}#/jobs/${sound.jobId}`);
  expect(await play(page.locator("audio"))).toBeGreaterThan(1);
  await page.goto(`${service.base}#/jobs/${picture.jobId}`);
  const isShown = (image) => expect.poll(() => image.evaluate((element) => element.complete && element.naturalWidth)).toBeGreaterThan(0);
  await isShown(page.locator(".output img"));
  await page.goto(`${service.base}#/jobs/${sprites.jobId}`);
  await isShown(page.locator(".output img").first());
  // A slider goes through the pictures of the sheet.
  const slider = page.getByRole("slider", { name: "Time" });
  const shown = page.locator(".sprite");
  const before = await shown.evaluate((element) => element.style.backgroundPosition);
  await slider.focus();
  await page.keyboard.press("End");
  await expect.poll(() => shown.evaluate((element) => element.style.backgroundPosition)).not.toBe(before);
});

test("jobs run, wait, are stopped, run again and are deleted before one's eyes", async ({ page, service, origin }) => {
  await signIn(page, service);
  const { jobId } = await service.ask("POST", "jobs", { ...long(origin), metadata: { kind: "long" } });
  await page.getByLabel("Metadata, as in team:blue").fill("kind:long");
  await page.keyboard.press("Enter");
  const row = page.locator(".rows .row");
  await expect(row).toHaveCount(1);
  // A job that comes while the list is open is there by itself.
  const other = await service.ask("POST", "jobs", { ...failing, metadata: { kind: "long" } });
  await expect(row).toHaveCount(2);
  await service.ask("POST", `jobs/${other.jobId}/cancel`).catch(() => {});
  await service.reaches(other.jobId, "cancelled", "failed");
  await service.ask("DELETE", `jobs/${other.jobId}`);
  await expect(row).toHaveCount(1);
  await expect(row.locator(".badge")).toHaveText(RUNS);
  await row.getByRole("button", { name: "Cancel" }).click();
  await expect(row.locator(".badge")).toHaveText("cancelled");
  await row.getByRole("button", { name: "Retry" }).click();
  await expect(row.locator(".badge")).toHaveText(RUNS);
  await row.getByRole("link").click();
  await expect(page.locator(".heading .badge")).toHaveText(RUNS);
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.locator(".heading .badge")).toHaveText("cancelled");
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  await expect(service.ask("GET", `jobs/${jobId}`)).rejects.toThrow(/404/);
  // Filters stay in the address.
  await page.getByLabel("Any state").selectOption("completed");
  await expect(page).toHaveURL(/state=completed/);
  await page.reload();
  await expect(page.getByLabel("Any state")).toHaveValue("completed");
});

test("a job that fails tells why, and shows the log", async ({ page, service }) => {
  const { jobId } = await service.ask("POST", "jobs", failing);
  await service.reaches(jobId, "failed");
  await signIn(page, service);
  await page.goto(`${service.base}#/jobs/${jobId}`);
  await expect(page.getByRole("alert")).toContainText(/./);
  await page.getByText("Log", { exact: true }).click();
  await expect(page.locator("details pre").first()).toContainText("matches no streams");
});

test("each of five problems is told at its field", async ({ page, service }) => {
  page.expected.push(refusals);
  await signIn(page, service);
  await go(page, "New job");
  await field(page, "Input").locator("input").first().fill("gopher://host/clip");
  await field(page, "Recipe").locator("select").selectOption("compress");
  await field(page, "crf").locator("input").fill("900");
  await page.getByText("More", { exact: true }).click();
  await field(page, "timeoutSeconds").locator("input").fill("-1");
  await field(page, "webhookUrl").locator("input").fill("javascript:alert(1)");
  await field(page, "outputUrl").locator("input").fill("nowhere");
  await page.getByRole("button", { name: "Run" }).click();
  for (const name of ["Input", "crf", "timeoutSeconds", "webhookUrl", "outputUrl"]) {
    await expect(field(page, name).locator(".fault"), name).toHaveText(/^found .+, allowed: .+/);
  }
  await expect(field(page, "Input").locator("input").first()).toBeFocused();
  await field(page, "Input").locator("input").first().fill("root:sample/clip.mp4");
  await page.getByRole("button", { name: "Show the plan" }).click();
  await expect(field(page, "crf").locator(".fault")).toHaveText(/allowed/);
  await expect(field(page, "Input").locator(".fault")).toHaveText("");
});

test("a file that is no media is told as that", async ({ page, service }, info) => {
  page.expected.push(refusals);
  const file = info.outputPath("letter.mp4");
  fs.writeFileSync(file, "Dear reader, this is no video.\n".repeat(100));
  await signIn(page, service);
  await go(page, "New job");
  await page.locator("input[type=file]").setInputFiles(file);
  await expect(page.getByText(/is there$/)).toBeVisible();
  await page.getByRole("button", { name: "Show the plan" }).click();
  await expect(page.getByRole("alert")).toContainText(/media|probe|recogni/i);
  await page.getByRole("button", { name: "Run" }).click();
  await expect(page.locator(".heading .badge")).toHaveText(/failed|rejected/);
  await expect(page.getByRole("alert")).toContainText(/./);
});

test("several inputs are joined, by their URLs and places", async ({ page, service }) => {
  await signIn(page, service);
  await go(page, "New job");
  await field(page, "Recipe").locator("select").selectOption("concat");
  await page.getByRole("button", { name: "Use the sample clip" }).click();
  await page.getByRole("button", { name: "Add an input" }).click();
  await page.getByRole("button", { name: "Use the sample clip" }).nth(1).click();
  await page.getByRole("button", { name: "Run" }).click();
  await expect(page.locator(".heading .badge")).toHaveText("completed");
  await expect(page.locator("video")).toBeVisible();
});

test("ffmpeg's own arguments run", async ({ page, service }) => {
  await signIn(page, service);
  await go(page, "New job");
  await field(page, "Recipe").locator("select").selectOption("ffmpeg");
  await field(page, "Format").locator("select").selectOption("gif");
  await page.getByRole("button", { name: "Use the sample clip" }).click();
  await page.getByRole("button", { name: "Run" }).click();
  await expect(page.locator(".heading .badge")).toHaveText("completed");
  await expect.poll(() => page.locator(".output img").evaluate((element) => element.naturalWidth)).toBe(320);
});

test("presets are taken, saved from a job, changed, used and deleted", async ({ page, service }) => {
  page.expected.push(refusals);
  const job = await service.completed(sample({ name: "thumbnail", width: 64 }, "png"));
  await signIn(page, service);
  await page.goto(`${service.base}#/jobs/${job.jobId}`);
  await page.getByRole("button", { name: "Save as a preset" }).click();
  const own = page.locator(".cards").first().locator(".card");
  await expect(own).toHaveCount(1);
  await own.getByRole("button", { name: "Edit" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Small picture");
  const text = dialog.getByLabel("Document");
  await text.fill("{");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.locator(".fault").last()).toHaveText(/no JSON/);
  await text.fill(JSON.stringify({ mode: "recipe", output: { format: "png" }, recipe: { name: "thumbnail", width: -3 } }));
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByRole("alert")).toContainText(/recipe\.width: found -3, allowed/);
  await text.fill(JSON.stringify({ mode: "recipe", output: { format: "png" }, recipe: { name: "thumbnail", width: 48 } }));
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(own.getByRole("heading")).toHaveText("Small picture");
  await page.getByRole("button", { name: "Make it mine" }).first().click();
  await expect(own).toHaveCount(2);
  await own.filter({ hasText: "Small picture" }).getByRole("link", { name: "Use" }).click();
  await expect(field(page, "width").locator("input")).toHaveValue("48");
  await page.getByRole("button", { name: "Use the sample clip" }).click();
  await page.getByRole("button", { name: "Run" }).click();
  await expect(page.locator(".heading .badge")).toHaveText("completed");
  await expect(page.locator("figcaption")).toContainText("48×");
  await go(page, "Presets");
  await own.filter({ hasText: "Small picture" }).getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(own).toHaveCount(1);
});

test("keys are made with scopes, and revoked", async ({ page, service, browser }) => {
  await signIn(page, service);
  await go(page, "Keys");
  await page.getByLabel("Name").fill("Reader");
  await page.getByLabel(/^jobs:write/).uncheck();
  await page.getByRole("button", { name: "Make a key" }).click();
  const key = await page.locator(".note.good code").textContent();
  // A key that only reads sees no views that it may not use.
  const other = await (await browser.newContext()).newPage();
  await other.goto(service.base);
  await other.getByLabel("API key").fill(key);
  await other.keyboard.press("Enter");
  await expect(other.getByRole("navigation").getByRole("link")).toHaveText(["Jobs", "Presets", "System"]);
  await page.locator("tr", { hasText: "Reader" }).getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(page.locator("tr", { hasText: "Reader" })).toContainText("revoked");
  // Who used it is asked for another one.
  await expect(other.getByLabel("API key")).toBeVisible();
  await other.context().close();
});

test("storage is added, tried and forgotten", async ({ page, service }) => {
  page.expected.push(refusals);
  await signIn(page, service);
  await go(page, "Storage");
  await page.getByRole("button", { name: "Add" }).click();
  await expect(field(page, "bucket").locator(".fault")).toHaveText(/allowed/);
  const bucket = process.env.AVOCET_BUCKET ? JSON.parse(process.env.AVOCET_BUCKET) : null;
  if (bucket) {
    await field(page, "Type").locator("select").selectOption("r2");
    await field(page, "Name").locator("input").fill("Ours");
    for (const name of ["endpoint", "bucket", "accessKeyId", "secretAccessKey"]) await field(page, name).locator("input").fill(bucket[name]);
    await page.getByRole("button", { name: "Add" }).click();
    const card = page.locator(".cards .card", { hasText: "Ours" });
    await card.getByRole("button", { name: "Test" }).click();
    await expect(card.getByRole("status")).toHaveText("It works.");
    await expect(page.locator("body")).not.toContainText(bucket.secretAccessKey);
    await card.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await expect(card).toHaveCount(0);
  }
  await field(page, "Type").locator("select").selectOption("s3");
  await field(page, "Name").locator("input").fill("Gone");
  await field(page, "endpoint").locator("input").fill("http://127.0.0.1:9");
  for (const name of ["region", "bucket", "accessKeyId", "secretAccessKey"]) await field(page, name).locator("input").fill("nothing");
  await page.getByRole("button", { name: "Add" }).click();
  const gone = page.locator(".cards .card", { hasText: "Gone" });
  await gone.getByRole("button", { name: "Test" }).click();
  await expect(gone.getByRole("status")).toHaveText(/connect|reach|refused/i);
  await gone.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
});

test("webhooks are set, told and sent again", async ({ page, service }) => {
  page.expected.push(refusals);
  const hook = await receiver();
  await signIn(page, service);
  await go(page, "Webhooks");
  await page.getByLabel("Default URL").fill("ftp://host");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(field(page, "Default URL").locator(".fault")).toHaveText(/allowed/);
  await page.getByLabel("Default URL").fill(hook.url);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.locator(".toast", { hasText: "Saved" })).toBeVisible();
  const job = await service.completed(sample({ name: "thumbnail" }, "jpg"));
  await expect.poll(() => hook.came.length).toBe(1);
  await page.goto(`${service.base}#/jobs`);
  await go(page, "Webhooks");
  const delivery = page.locator(".delivery").first();
  await expect(delivery).toContainText(hook.url);
  await expect(delivery).toContainText("answered 204");
  await delivery.getByRole("button", { name: "Send again" }).click();
  await expect(page.locator(".toast")).toHaveText(["The webhook is sent again"]);
  await expect.poll(() => hook.came.length).toBe(2);
  expect(hook.came.map((each) => each.jobId ?? each.data?.jobId)).toEqual([job.jobId, job.jobId]);
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page.locator(".secret")).toHaveText(/^whsec_/);
  await page.getByLabel("Default URL").fill("");
  await page.getByRole("button", { name: "Save" }).click();
  hook.close();
});

test("the system tells what it has and does", async ({ page, service }) => {
  const now = await service.ask("GET", "system");
  await signIn(page, service);
  await go(page, "System");
  const content = page.locator("#content");
  await expect(content).toContainText(now.version);
  await expect(content).toContainText(now.libav);
  await expect(content).toContainText(/of \d+/);
  await expect(content).toContainText("libx264");
});

test("all of it is done by keyboard alone", async ({ page, service }) => {
  await page.goto(service.base);
  await page.keyboard.type(service.key);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  /// Goes on with the tabulator until an element has the focus.
  const reach = async (locator) => {
    for (let step = 0; step < 80; step += 1) {
      if (await locator.evaluate((element) => element === document.activeElement)) return;
      await page.keyboard.press("Tab");
    }
    throw new Error(`${locator} is not reached`);
  };
  await reach(page.getByRole("navigation").getByRole("link", { name: "New job" }));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Use the sample clip" })).toBeVisible();
  await reach(page.getByRole("button", { name: "Use the sample clip" }));
  await page.keyboard.press("Enter");
  await reach(field(page, "Recipe").locator("select"));
  await page.keyboard.type("thumb");
  await reach(page.getByRole("button", { name: "Run" }));
  await page.keyboard.press("Enter");
  await expect(page.locator(".heading .badge")).toHaveText("completed");
});
