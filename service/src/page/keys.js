// API keys of the project.

import { get, post, remove } from "./api.js";
import { badge, button, confirmed, copier, during, field, fill, h, when } from "./dom.js";

const SCOPES = { "jobs:write": "start, stop and delete jobs; upload", "jobs:read": "look at jobs", settings: "presets, webhooks, storage", tokens: "make and revoke keys" };

const stateOf = (token) => {
  if (token.revokedAt) return "revoked";
  return token.expiresAt && new Date(token.expiresAt) < Date.now() ? "expired" : "active";
};

export async function open() {
  const [list, made, own] = [h("div", {}), h("div", { role: "status" }), await get("key")];
  async function load() {
    const { data } = await get("tokens");
    fill(list, h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Keys" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Name", "Project", "Scopes", "Last used", "Expires", "State", "Actions"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, data.map((token) => h("tr", {},
        h("td", {}, token.name, token.id === own.id ? " (this one)" : ""), h("td", {}, token.project), h("td", {}, token.scopes.join(", ")),
        h("td", {}, when(token.lastUsedAt)), h("td", {}, when(token.expiresAt)),
        h("td", {}, badge(stateOf(token))),
        h("td", {}, token.revokedAt ? null : button("Revoke", async () => {
          if (!(await confirmed(`Revoke the key “${token.name}”? Whoever uses it is refused from then on.`, "Revoke"))) return;
          await remove(`tokens/${token.id}`);
          await load();
        }, { class: "small plain" }))))))));
  }
  const name = h("input", { required: true, maxlength: "200" });
  const named = field("Name", name, "By which you know it again.");
  const boxes = own.scopes.map((scope) => h("input", { type: "checkbox", id: `scope-${scope}`, value: scope, checked: scope.startsWith("jobs") }));
  const until = h("input", { type: "date" });
  const submit = h("button", { type: "submit" }, "Make a key");
  const form = h("form", { class: "card" }, h("h2", {}, "New key"), named,
    h("fieldset", {}, h("legend", {}, "What it may do"), boxes.map((box) => h("p", {}, box, " ", h("label", { for: box.id }, `${box.value}: ${SCOPES[box.value] ?? ""}`)))),
    field("Expires", until, "Empty: it does not."), submit, made);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    named.tellFault();
    during(submit, async () => {
      const body = { name: name.value, scopes: boxes.filter((box) => box.checked).map((box) => box.value) };
      if (until.value) body.expiresAt = new Date(`${until.value}T00:00:00`).toISOString();
      const { key } = await post("tokens", body);
      fill(made, h("p", { class: "note good" }, "The key, shown this once: ", h("code", {}, key), " ", copier(key)));
      name.value = "";
      await load();
    });
  });
  await load();
  return { node: h("div", {}, h("div", { class: "heading" }, h("h1", {}, "Keys")), h("section", { class: "card" }, list), form) };
}
