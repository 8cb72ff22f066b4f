// What the service has and does: workers, queue, disk, what its build can do.

import { get } from "./api.js";
import { badge, bytes, fill, h, term } from "./dom.js";

export async function open() {
  const live = h("div", { class: "cards" });
  function draw(now) {
    const [states, usage] = [Object.entries(now.jobs), now.usage];
    fill(live,
      usage ? [h("section", { class: "card" }, h("h2", {}, "Work"), h("dl", {},
        term("State", badge(usage.trouble ? "busy" : "ready"), " ", usage.trouble ?? ""),
        term("Jobs that run", `${usage.running} of ${usage.places}`),
        term("Jobs that wait", String(usage.queued)),
        term("Webhooks to send", String(usage.webhooks)))),
      h("section", { class: "card" }, h("h2", {}, "Disk"), h("dl", {},
        term("Free", usage.freeBytes === null ? "not known" : bytes(usage.freeBytes)),
        term("Kept free", bytes(usage.leastFreeBytes))))] : null,
      h("section", { class: "card" }, h("h2", {}, "Jobs of the project"), h("dl", {},
        states.length ? states.map(([state, count]) => term(badge(state), String(count))) : term("None", "yet"))),
      h("section", { class: "card" }, h("h2", {}, "Build"), h("dl", {},
        term("Version", now.version), term("libav", now.libav), term("ffmpeg program", now.ffmpeg ?? "none: no jobs in ffmpeg mode"),
        term("Confinement of workers", now.unconfined ?? "all layers"))),
      h("section", { class: "card full" }, h("h2", {}, "Encoders of the build"), h("ul", { class: "columns" }, now.encoders.map((name) => h("li", {}, h("code", {}, name))))));
  }
  draw(await get("system"));
  const timer = setInterval(async () => {
    const now = document.hidden ? null : await get("system").catch(() => null);
    if (now) draw(now);
  }, 3000);
  return { node: h("div", {}, h("div", { class: "heading" }, h("h1", {}, "System")), live), close: () => clearInterval(timer) };
}
