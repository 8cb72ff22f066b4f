// Presets: documents without inputs.

import { get, patch, post, remove } from "./api.js";
import { button, confirmed, during, field, fill, h, nothing, tell, tellProblems, when } from "./dom.js";

/// A dialog in which a preset is written.
function edit(preset, done) {
  const name = h("input", { value: preset?.name ?? "", required: true, maxlength: "200" });
  const about = h("input", { value: preset?.description ?? "" });
  const text = h("textarea", { rows: "14", spellcheck: false });
  text.value = JSON.stringify(preset?.document ?? { mode: "recipe", output: { format: "mp4" }, recipe: { name: "webReady" } }, null, 2);
  const fields = [field("Name", name), field("Description", about), field("Document", text, "A job document without input, input_files, webhookUrl and presetId.")];
  const told = h("div", {});
  const save = h("button", { type: "submit" }, "Save");
  const form = h("form", {}, h("h2", {}, preset ? "Change a preset" : "New preset"), told, fields,
    h("div", { class: "buttons" }, save, button("Cancel", () => dialog.close(), { class: "plain" })));
  const dialog = h("dialog", { class: "wide", "aria-label": preset ? "Change a preset" : "New preset" }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    fields.forEach((each) => each.tellFault());
    fill(told);
    during(save, async () => {
      let document_;
      try {
        document_ = JSON.parse(text.value);
      } catch (error) {
        return fields[2].tellFault(`This is no JSON: ${error.message}`);
      }
      const body = { name: name.value, description: about.value || null, document: document_ };
      try {
        await (preset ? patch(`presets/${preset.id}`, body) : post("presets", body));
      } catch (error) {
        return tellProblems(error, told, (path) => ({ name: fields[0], description: fields[1] })[path]);
      }
      dialog.close();
      return done();
    });
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

export async function open() {
  const [own, starters] = [h("div", { class: "cards" }), h("div", { class: "cards" })];
  const about = (document_) => `${document_.recipe?.name ?? "ffmpeg"} → ${document_.output?.format ?? "files"}`;
  async function load() {
    const { data } = await get("presets");
    fill(own, data.length ? data.map((preset) => h("section", { class: "card" },
      h("h3", {}, preset.name), preset.description ? h("p", {}, preset.description) : null,
      h("p", { class: "hint" }, about(preset.document), " · ", when(preset.updatedAt)),
      h("div", { class: "buttons" },
        h("a", { class: "button small", href: `#/new?preset=${preset.id}` }, "Use"),
        button("Edit", () => edit(preset, load), { class: "small plain" }),
        button("Delete", async () => {
          if (!(await confirmed(`Delete the preset “${preset.name}”? Jobs that were made with it stay.`, "Delete"))) return;
          await remove(`presets/${preset.id}`);
          await load();
        }, { class: "small plain" })))) : nothing("There are no presets yet. Take a starter, or save a job as one."));
  }
  const known = (await get("presets/starters")).data;
  fill(starters, known.map((starter) => h("section", { class: "card" },
    h("h3", {}, starter.name), h("p", { class: "hint" }, about(starter.document)),
    button("Make it mine", async () => {
      await post(`presets/starters/${starter.slug}/clone`);
      tell("It is a preset now");
      await load();
    }, { class: "small" }))));
  await load();
  return { node: h("div", {},
    h("div", { class: "heading" }, h("h1", {}, "Presets"), button("New preset", () => edit(null, load))),
    h("h2", {}, "Your presets"), own,
    h("h2", {}, "Starters"), starters) };
}
