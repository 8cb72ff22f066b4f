// Webhooks: where jobs tell how they ended, and what became of it.

import { get, post } from "./api.js";
import { button, confirmed, copier, field, fill, h, nothing, tell } from "./dom.js";
import { delivery } from "./job.js";

export async function open() {
  let settings = await get("settings");
  const [list, secret] = [h("div", {}), h("code", { class: "secret" })];
  const url = h("input", { type: "url", value: settings.defaultWebhookUrl ?? "", placeholder: "https://…" });
  const place = field("Default URL", url, "Jobs without a webhookUrl of their own tell this one how they ended.");
  const form = h("form", { class: "card" }, h("h2", {}, "Settings"), place,
    h("button", { type: "submit" }, "Save"),
    h("h3", {}, "Secret"), h("p", {}, "Webhooks are signed with it, as Standard Webhooks has it: ", secret, " ",
      button("Show", () => { secret.textContent = settings.webhookSecret; }, { class: "small plain" }), " ",
      copier(() => settings.webhookSecret), " ",
      button("Make a new one", async () => {
        if (!(await confirmed("Make a new secret? For a day webhooks are signed with both.", "Make it"))) return;
        settings = await post("settings", { webhookSecret: "rotate" });
        secret.textContent = settings.webhookSecret;
      }, { class: "small plain" })));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    place.tellFault();
    try {
      settings = await post("settings", { defaultWebhookUrl: url.value || null });
      tell("Saved");
    } catch (error) {
      const [problem] = error.problems ?? [];
      place.tellFault(problem ? `found ${problem.found}, allowed: ${problem.allowed}` : error.message);
    }
  });
  let cursor = "";
  const more = button("Older ones", () => load(), { class: "plain" });
  async function load() {
    const page = await get(`webhooks?limit=20${cursor ? `&cursor=${cursor}` : ""}`);
    for (const each of page.data) {
      const shown = h("div", {}, h("p", { class: "hint" }, h("a", { href: `#/jobs/${each.jobId}` }, `Job ${each.jobId}`)), delivery(each, again));
      list.append(shown);
    }
    cursor = page.nextCursor;
    more.hidden = !cursor;
    if (!list.children.length) fill(list, nothing("No webhook was sent yet."));
  }
  function again() {
    cursor = "";
    fill(list);
    load();
  }
  await load();
  return { node: h("div", {}, h("div", { class: "heading" }, h("h1", {}, "Webhooks")), form,
    h("section", { class: "card" }, h("h2", {}, "Deliveries"), list, more)) };
}
