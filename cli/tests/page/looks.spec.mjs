// Each view as it looks: in light, dark and on a phone; and what axe finds against it.
import { createRequire } from "node:module";
import { expect, failing, long, sample, signIn, test } from "./service.mjs";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/// What each view shows is made once.
async function furnish(service, origin) {
  const made = {
    cut: await service.completed(sample({ name: "trim", startSeconds: 0.3, durationSeconds: 1 }, "mp4", { metadata: { team: "blue" } })),
    sheet: await service.completed(sample({ name: "storyboard", count: 9, columns: 3 }, "jpg")),
  };
  const { jobId } = await service.ask("POST", "jobs", failing);
  made.failed = await service.reaches(jobId, "failed");
  const [starter] = (await service.ask("GET", "presets/starters")).data;
  await service.ask("POST", `presets/starters/${starter.slug}/clone`);
  await service.ask("POST", "settings/storage-providers", { provider: "local", name: "A folder", prefix: "kept" });
  const running = await service.ask("POST", "jobs", long(origin));
  made.running = running.jobId;
  await service.reaches(running.jobId, "probing", "planning", "transcoding");
  return made;
}

let made;
const LOOKS = [
  { name: "light", scheme: "light", width: 1200 },
  { name: "dark", scheme: "dark", width: 1200 },
  { name: "phone", scheme: "light", width: 390 },
  { name: "phone-dark", scheme: "dark", width: 390 },
];

test.afterAll(async ({ service }) => {
  if (made) await service.ask("POST", `jobs/${made.running}/cancel`);
});

for (const { name, scheme, width } of LOOKS) {
  test(`each view is whole and accessible: ${name}`, async ({ page, service, origin }) => {
    made ??= await furnish(service, origin);
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: 800 });
    // The policy of the page lets no script of others in, and this one is the test's.
    await page.addInitScript({ path: axe });
    const look = async (view) => {
      const found = await page.evaluate(async () => (await globalThis.axe.run()).violations
        .map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("; ")}`));
      expect(found, `${view} in ${name}`).toEqual([]);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      expect(wide, `${view} in ${name} scrolls sideways`).toBeLessThanOrEqual(width);
      if (process.env.AVOCET_PICTURES) await page.screenshot({ path: `${process.env.AVOCET_PICTURES}/${view}-${name}.png`, fullPage: view !== "jobs" });
    };
    await page.goto(service.base);
    await expect(page.getByLabel("API key")).toBeVisible();
    await look("sign-in");
    await signIn(page, service);
    const views = {
      jobs: ["", ".rows .row"], job: [`/${made.cut.jobId}`, "video"], sheet: [`/${made.sheet.jobId}`, ".sprite"], failed: [`/${made.failed.jobId}`, "[role=alert]"],
      new: ["", "[type=submit]"], presets: ["", ".card"], keys: ["", "table"], storage: ["", ".card"], webhooks: ["", "form"], system: ["", ".cards"],
    };
    for (const [view, [rest, ready]] of Object.entries(views)) {
      await page.goto(`${service.base}#/${["sheet", "failed", "job"].includes(view) ? "jobs" : view}${rest}`);
      await expect(page.locator(ready).first()).toBeVisible();
      if (view === "job") {
        await page.getByRole("button", { name: "Show the plan" }).click();
        await expect(page.locator(".plan")).toBeVisible();
      }
      await look(view);
    }
  });
}
