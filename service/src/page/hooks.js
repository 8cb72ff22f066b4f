// Webhooks: where jobs tell how they ended, and what became of it.

import { get, post } from "./api.js";
import { button, confirmed, copier, field, fill, h, nothing, tell, tellProblems } from "./dom.js";
import { delivery } from "./job.js";

export async function open() {
  let settings = await get("settings");
  const [list, secret] = [h("div", {}), h("code", { class: "secret" })];
  const url = h("input", { type: "url", value: settings.defaultWebhookUrl ?? "", placeholder: "https://…" });
  const place = field("Default URL", url, "Jobs without a webhookUrl of their own tell this one how they ended.");
  const told = h("div", {});
  const form = h("form", { class: "card" }, h("h2", {}, "Settings"), told, place,
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
    fill(told);
    try {
      settings = await post("settings", { defaultWebhookUrl: url.value || null });
      tell("Saved");
    } catch (error) {
      tellProblems(error, told, () => place);
    }
  });
  let cursor = "";
  const more = button("Older ones", () => load(), { class: "plain" });
  let loads = 0;
  async function load() {
    loads += 1;
    const turn = loads;
    const page = await get(`webhooks?limit=20${cursor ? `&cursor=${cursor}` : ""}`);
    if (turn !== loads) return;
    if (!cursor) fill(list);
    for (const each of page.data) {
      const shown = h("div", {}, h("p", { class: "hint" }, h("a", { href: `#/jobs/${each.jobId}` }, `Job ${each.jobId}`)), delivery(each, again));
      list.append(shown);
    }
    cursor = page.nextCursor;
    more.hidden = !cursor;
    if (!list.children.length) fill(list, nothing("No webhook was sent yet."));
  }
  async function again() {
    cursor = "";
    await load();
  }
  await load();
  return { node: h("div", {}, h("div", { class: "heading" }, h("h1", {}, "Webhooks")), form,
    h("section", { class: "card" }, h("h2", {}, "Deliveries"), list, more)) };
}
