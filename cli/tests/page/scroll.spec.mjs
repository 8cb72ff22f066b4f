// A long list of jobs.
import { expect, failing, Service, signIn, test } from "./service.mjs";

const count = process.env.AVOCET_SOAK ? 5000 : 300;

test("a long list scrolls, and has only the rows on screen", async ({ page }) => {
  test.setTimeout(600_000);
  const service = await Service.start();
  // These are rejected before anything runs.
  const document = { ...failing, ffmpeg: { args: ["-re", "-i", "{{input}}", "{{output}}"] } };
  for (let at = 0; at < count; at += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, place) => service.ask("POST", "jobs", { ...document, metadata: { number: String(at + place) } })));
  }
  // While jobs still run, what is measured is the machine.
  await expect.poll(async () => (await service.ask("GET", "system")).jobs.rejected, { timeout: 60_000 }).toBe(count);
  await signIn(page, service);
  await expect(page.locator(".rows .row").first()).toBeVisible();
  const frames = await page.evaluate(async (wanted) => {
    const scroller = document.querySelector(".scroller");
    const [gaps, tasks] = [[], []];
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ entryTypes: ["longtask"] });
    let last = null;
    for (;;) {
      const now = await new Promise(requestAnimationFrame);
      if (last !== null) gaps.push(now - last);
      last = now;
      const before = scroller.scrollTop;
      scroller.scrollTop += 400;
      const rows = Number.parseInt(document.querySelector(".count").textContent, 10);
      if (scroller.scrollTop === before && rows >= wanted) break;
    }
    return { longest: Math.max(...gaps), count: gaps.length, over: gaps.filter((gap) => gap > 50).length, tasks };
  }, count);
  console.log(`${count} jobs: ${frames.count} frames, the longest ${frames.longest.toFixed(1)} ms, ${frames.over} over 50 ms; tasks over 50 ms: ${frames.tasks.length}`);
  await expect(page.locator(".count")).toHaveText(`${count} jobs`);
  const tops = await page.locator(".rows .row").evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().top));
  expect(tops.length).toBeLessThan(60);
  expect(tops).toEqual([...new Set(tops)].sort((one, other) => one - other));
  await service.remove();
});
