// A new job: what it reads, what is made of it, its plan before it runs.

import { get, post, schema } from "./api.js";
import { button, bytes, during, field, fill, h, tell } from "./dom.js";
import { plan } from "./job.js";
import { upload } from "./upload.js";

/// The text of a description without its list of allowed values, which the field shows by itself.
const help = (text) => text ?? "";

/// A control for a parameter, by its schema.
function control(name, of) {
  if (of.enum) {
    return h("select", {}, h("option", { value: "" }, "default"), of.enum.map((value) => h("option", { value }, value)));
  }
  if (of.type === "boolean") {
    return h("select", {}, h("option", { value: "" }, "default"), h("option", { value: "true" }, "yes"), h("option", { value: "false" }, "no"));
  }
  if (of.type === "number" || of.type === "integer") {
    const least = of.minimum ?? of.exclusiveMinimum;
    return h("input", { type: "number", min: least === undefined ? null : String(least), max: of.maximum === undefined ? null : String(of.maximum), step: of.type === "integer" ? "1" : "any", inputmode: "decimal" });
  }
  if (of.type === "array") return h("textarea", { rows: "2", spellcheck: false, placeholder: '[{"startSeconds": 1, "durationSeconds": 2}]' });
  return h("input", { spellcheck: false });
}

/// The value of a control; undefined when it is empty. What can not be read stays a text, so that the
/// service tells what is wrong with it.
function valueOf(of, text) {
  if (text.trim() === "") return undefined;
  if (of.type === "boolean") return text === "true";
  const isNumber = Number.isFinite(Number(text));
  if (of.type === "number" || of.type === "integer") return isNumber ? Number(text) : text;
  if (Array.isArray(of.type)) return isNumber ? Number(text) : text;
  if (of.type === "array") {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
  return text;
}

export async function open(query) {
  const [document_, system, presets] = [await schema(), await get("system"), (await get("presets")).data];
  const recipes = document_.properties.recipe.anyOf;
  const from = query.get("from") ? (await get(`jobs/${query.get("from")}`)).document : null;
  const preset = presets.find((each) => each.id === query.get("preset"));
  const start = from ?? preset?.document ?? {};

  /// The fields by the paths that problems name.
  const fields = new Map();
  const inputs = [];
  const stops = new AbortController();
  const inputList = h("div", { class: "inputs" });

  /// A row for one input: a file, a URL or a place of the service.
  function addInput(url = "") {
    const text = h("input", { value: url, spellcheck: false, placeholder: "https://…, or drop a file", autocomplete: "off" });
    const file = h("input", { type: "file", class: "visually-hidden", tabindex: "-1", "aria-label": "Choose a file" });
    const progress = h("progress", { max: 1, "aria-label": "Sent of the file", hidden: true });
    const state = h("span", { class: "hint", role: "status" });
    const roots = (system.inputRoots ?? []).map((name) => `root:${name}/…`).join(", ");
    const whole = field("Input", text, roots ? `A URL, or a file of the service: ${roots}` : "A URL that the service can reach, or a file of yours.");
    const entry = { text, whole, busy: null };
    async function take(taken) {
      if (!taken) return;
      progress.hidden = false;
      text.value = "";
      text.disabled = true;
      entry.busy = upload(taken, stops.signal, (sent, trouble) => {
        progress.value = taken.size ? sent / taken.size : 1;
        state.textContent = trouble ?? `${taken.name}: ${bytes(sent)} of ${bytes(taken.size)}`;
      });
      try {
        text.value = await entry.busy;
        state.textContent = `${taken.name}, ${bytes(taken.size)}, is there`;
      } catch (error) {
        if (error.name !== "AbortError") whole.tellFault(error.message);
      } finally {
        entry.busy = null;
        text.disabled = false;
        progress.hidden = true;
      }
    }
    file.addEventListener("change", () => take(file.files[0]));
    const row = h("div", { class: "drop" }, whole,
      h("p", {}, button("Choose a file", () => file.click(), { class: "plain" }), file, " ",
        system.sample ? button("Use the sample clip", () => { text.value = system.sample; }, { class: "plain" }) : null, " ",
        inputs.length ? button("Remove", () => {
          inputs.splice(inputs.indexOf(entry), 1);
          row.remove();
        }, { class: "plain" }) : null),
      progress, state);
    for (const name of ["dragenter", "dragover"]) {
      row.addEventListener(name, (event) => {
        event.preventDefault();
        row.classList.add("over");
      });
    }
    row.addEventListener("dragleave", () => row.classList.remove("over"));
    row.addEventListener("drop", (event) => {
      event.preventDefault();
      row.classList.remove("over");
      take(event.dataTransfer.files[0]);
    });
    inputs.push(entry);
    inputList.append(row);
  }
  const given = start.input_files ? Object.values(start.input_files) : [start.input?.url ?? query.get("input") ?? ""];
  given.forEach((url) => addInput(url));

  const mode = h("select", {}, recipes.map((recipe) => h("option", { value: recipe.title }, recipe.title)), h("option", { value: "ffmpeg" }, "ffmpeg arguments"));
  mode.value = start.mode === "ffmpeg" ? "ffmpeg" : start.recipe?.name ?? "webReady";
  const format = h("select", {});
  const [form, what, told, planned] = [h("div", { class: "grid" }), h("p", { class: "hint" }), h("div", {}), h("div", {})];
  const modeField = field("Recipe", mode);
  const formatField = field("Format", format);
  fields.set("mode", modeField).set("recipe", modeField).set("recipe.name", modeField).set("output.format", formatField).set("output", formatField);

  const others = ["priority", "timeoutSeconds", "maxOutputBytes", "webhookUrl", "outputUrl"].map((name) => {
    const of = document_.properties[name];
    const made = control(name, of);
    if (start[name] !== undefined) made.value = start[name];
    const whole = field(name, made, help(of.description));
    fields.set(name, whole);
    return { name, of, made, whole };
  });
  const metadata = h("textarea", { rows: "2", placeholder: "team: blue" });
  metadata.value = Object.entries(start.metadata ?? {}).map(([name, value]) => `${name}: ${value}`).join("\n");
  const metadataField = field("metadata", metadata, "Pairs of your own, one on a line, by which jobs are found.");
  fields.set("metadata", metadataField);

  let parameters = [];
  /// Draws the fields of the chosen recipe.
  function draw() {
    parameters = [];
    const recipe = recipes.find((each) => each.title === mode.value);
    for (const path of [...fields.keys()]) if (path.startsWith("recipe.") && path !== "recipe.name" || path.startsWith("ffmpeg")) fields.delete(path);
    const formats = recipe?.["x-formats"] ?? document_.properties.output.properties.format.enum;
    const wanted = format.value || start.output?.format;
    fill(format, formats.map((value) => h("option", { value }, value)));
    format.value = formats.includes(wanted) ? wanted : formats[0];
    what.textContent = recipe?.description ?? "The ffmpeg program does it, in a sandbox.";
    const old = recipe && start.recipe?.name === recipe.title ? start.recipe : {};
    const properties = recipe ? Object.entries(recipe.properties).filter(([name]) => name !== "name") : [["args", { type: "string" }]];
    fill(form, properties.map(([name, of]) => {
      const made = recipe ? control(name, of) : h("textarea", { rows: "6", spellcheck: false });
      const value = recipe ? old[name] : (start.ffmpeg?.args ?? ["-i", "{{input}}", "-vf", "fps=8,scale=320:-1", "{{output}}"]).join("\n");
      if (value !== undefined && value !== null) made.value = typeof value === "object" ? JSON.stringify(value) : String(value);
      const whole = field(name, made, recipe ? help(of.description) : "One argument on a line; {{input}} and {{output}} are the files.");
      fields.set(recipe ? `recipe.${name}` : "ffmpeg.args", whole);
      parameters.push({ name, of, made });
      return whole;
    }));
    more.hidden = !(mode.value === "concat" || mode.value === "ffmpeg");
  }
  const more = button("Add an input", () => addInput(), { class: "plain" });
  mode.addEventListener("change", draw);
  draw();

  /// The document that the form describes.
  function document() {
    const isRecipe = mode.value !== "ffmpeg";
    const made = { mode: isRecipe ? "recipe" : "ffmpeg" };
    if (inputs.length > 1) made.input_files = Object.fromEntries(inputs.map((entry, at) => [`in_${at + 1}`, entry.text.value.trim()]));
    else made.input = { url: inputs[0].text.value.trim() };
    made.output = { format: format.value };
    if (isRecipe) {
      made.recipe = { name: mode.value };
      for (const { name, of, made: field_ } of parameters) {
        const value = valueOf(of, field_.value);
        if (value !== undefined) made.recipe[name] = value;
      }
    } else {
      made.ffmpeg = { args: parameters[0].made.value.split("\n").filter((line) => line !== "") };
    }
    for (const { name, of, made: field_ } of others) {
      const value = valueOf(of, field_.value);
      if (value !== undefined) made[name] = value;
    }
    const pairs = metadata.value.split("\n").filter((line) => line.trim()).map((line) => line.split(/:(.*)/s).slice(0, 2).map((part) => (part ?? "").trim()));
    if (pairs.length) made.metadata = Object.fromEntries(pairs);
    return made;
  }

  /// Shows each problem at its field, and those without one above.
  function tellProblems(error) {
    for (const whole of [...fields.values(), ...inputs.map((entry) => entry.whole)]) whole.tellFault();
    fill(told);
    if (!error) return;
    const rest = [];
    let first = null;
    for (const problem of error.problems ?? []) {
      const at = problem.path.match(/^input_files\.in_(\d+)/);
      const whole = problem.path.startsWith("input.") || problem.path === "input" ? inputs[0].whole
        : at ? inputs[at[1] - 1]?.whole
        : fields.get(problem.path) ?? fields.get(problem.path.replace(/[.[].*$/, ""));
      const text = `found ${problem.found}, allowed: ${problem.allowed}`;
      if (whole) whole.tellFault(text);
      else rest.push(`${problem.path}: ${text}`);
      first ??= whole;
    }
    fill(told, h("div", { class: "note bad", role: "alert" }, h("p", {}, error.message), h("ul", {}, rest.map((text) => h("li", {}, text)))));
    (first?.control ?? told).focus?.();
  }

  async function ready() {
    await Promise.allSettled(inputs.map((entry) => entry.busy).filter(Boolean));
    tellProblems();
    return document();
  }
  const attempt = (work) => async () => {
    try {
      await work(await ready());
    } catch (error) {
      tellProblems(error);
    }
  };
  const run = h("button", { type: "submit" }, "Run");
  const show = button("Show the plan", attempt(async (made) => fill(planned, h("section", { class: "card" }, h("h2", {}, "Plan"), plan(await post("jobs/plan", made))))), { class: "plain" });
  const node = h("form", { novalidate: true, class: "create" },
    h("div", { class: "heading" }, h("h1", {}, preset ? `New job: ${preset.name}` : "New job")), told,
    h("section", { class: "card" }, h("h2", {}, "Input"), inputList, more),
    h("section", { class: "card" }, h("h2", {}, "What is made"), h("div", { class: "grid" }, modeField, formatField), what, form),
    h("details", { class: "card" }, h("summary", {}, "More"), h("div", { class: "grid" }, others.map((each) => each.whole), metadataField)),
    h("div", { class: "buttons sticky" }, run, show), planned);
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    during(run, attempt(async (made) => {
      const { jobId } = await post("jobs", made);
      tell("The job is taken on");
      location.hash = `#/jobs/${jobId}`;
    }));
  });
  return { node, close: () => stops.abort() };
}
