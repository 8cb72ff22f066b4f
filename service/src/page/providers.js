// Storage: where outputs go.

import { get, patch, post, remove } from "./api.js";
import { badge, button, confirmed, during, field, fill, h, nothing, tell, tellProblems } from "./dom.js";

/// The fields of each type, with those that are secret.
const TYPES = {
  s3: ["endpoint", "region", "bucket", "prefix", "accessKeyId", "secretAccessKey"],
  r2: ["accountId", "endpoint", "bucket", "prefix", "accessKeyId", "secretAccessKey"],
  gcs: ["endpoint", "bucket", "prefix", "serviceAccountKey"],
  azure: ["endpoint", "account", "bucket", "prefix", "accessKey"],
  local: ["prefix"],
};
const SECRET = ["secretAccessKey", "serviceAccountKey", "accessKey"];

export async function open() {
  const list = h("div", { class: "cards" });
  async function load() {
    const { data } = await get("settings/storage-providers");
    fill(list, data.length ? data.map((each) => {
      const answer = h("p", { role: "status", class: "hint" });
      return h("section", { class: "card" }, h("h3", {}, each.name, " ", each.isDefault ? badge("default") : null),
        h("p", { class: "hint" }, [each.provider, each.bucket, each.prefix, each.endpoint].filter(Boolean).join(" · ")),
        h("div", { class: "buttons" },
          button("Test", async () => {
            answer.textContent = "Writing, reading and deleting an object…";
            const result = await post(`settings/storage-providers/${each.id}/test`);
            answer.textContent = result.ok ? "It works." : result.reason;
          }, { class: "small" }),
          each.isDefault ? null : button("Make it the default", async () => {
            await patch(`settings/storage-providers/${each.id}`, { makeDefault: true });
            await load();
          }, { class: "small plain" }),
          button("Delete", async () => {
            if (!(await confirmed(`Forget “${each.name}”? Outputs stay there, and can not be reached from here any more.`, "Delete"))) return;
            await remove(`settings/storage-providers/${each.id}`);
            await load();
          }, { class: "small plain" })), answer);
    }) : nothing("Outputs go to the data folder of the service."));
  }
  const kind = h("select", {}, Object.keys(TYPES).map((name) => h("option", { value: name }, name)));
  const [name, standard] = [h("input", { maxlength: "200" }), h("input", { type: "checkbox", id: "make-default", checked: true })];
  const own = h("div", { class: "grid" });
  let controls = new Map();
  function draw() {
    controls = new Map(TYPES[kind.value].map((name_) => [name_, field(name_,
      name_ === "serviceAccountKey" ? h("textarea", { rows: "4", spellcheck: false })
        : h("input", { type: SECRET.includes(name_) ? "password" : "text", autocomplete: "off", spellcheck: false }))]));
    fill(own, [...controls.values()]);
  }
  kind.addEventListener("change", draw);
  draw();
  const told = h("div", {});
  const save = h("button", { type: "submit" }, "Add");
  const form = h("form", { class: "card" }, h("h2", {}, "New storage"), told, h("div", { class: "grid" }, field("Type", kind), field("Name", name)), own,
    h("p", {}, standard, " ", h("label", { for: "make-default" }, "New outputs go there")), save);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    during(save, async () => {
      const body = { provider: kind.value, makeDefault: standard.checked };
      if (name.value) body.name = name.value;
      for (const [name_, whole] of controls) {
        whole.tellFault();
        if (whole.control.value) body[name_] = whole.control.value;
      }
      fill(told);
      try {
        await post("settings/storage-providers", body);
      } catch (error) {
        return tellProblems(error, told, (path) => controls.get(path));
      }
      tell("Added");
      draw();
      return load();
    });
  });
  await load();
  return { node: h("div", {}, h("div", { class: "heading" }, h("h1", {}, "Storage")), h("h2", {}, "Where outputs go"), list, form) };
}
