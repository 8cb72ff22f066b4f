// A new job: what it reads, what is made of it, its plan before it runs.

import { get, post, schema } from "./api.js";
import { button, bytes, during, field, fill, h, tell, tellProblems } from "./dom.js";
import { plan } from "./job.js";
import { upload } from "./upload.js";

/// A control for a parameter, by its schema.
function control(of) {
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

/// Texts that are shown one on a line, unless one of them would not come back as it was: then as JSON.
function lines(texts, whole, isPlain) {
  return texts.every((text) => !/[\n\r]/.test(text) && isPlain(text)) ? texts.join("\n") : JSON.stringify(whole, null, 1);
}

/// What a text says as JSON; a problem of the field where it does not.
function parsed(path, text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw faults([{ path, found: "no JSON", allowed: error.message }]);
  }
}

/// Problems that are found here, as the service tells its own.
const faults = (problems) => Object.assign(new Error("Some of it can not be read"), { problems });

const pairsOf = (metadata) => lines(Object.entries(metadata).map(([name, value]) => `${name}: ${value}`), metadata,
  (text) => /^[^\s:{]([^:]*[^\s:])?: (\S(.*\S)?)?$/.test(text));

export async function open(query) {
  const document_ = await schema();
  // A key that only starts jobs may ask for neither.
  const [system, { data: presets }] = [await get("system").catch(() => ({})), await get("presets").catch(() => ({ data: [] }))];
  const recipes = document_.properties.recipe.anyOf;
  const from = query.get("from") ? (await get(`jobs/${query.get("from")}`)).document : null;
  const preset = presets.find((each) => each.id === query.get("preset"));
  const start = from ?? preset?.document ?? {};

  /// The fields by the paths that problems name.
  const fields = new Map();
  const inputs = [];
  let isClosed = false;
  const inputList = h("div", { class: "inputs" });

  /// A row for one input: a file, a URL or a place of the service. `key` is its name in `input_files`.
  function addInput(url = "", key = null) {
    const text = h("input", { value: url, spellcheck: false, placeholder: "https://…, or drop a file", autocomplete: "off" });
    const file = h("input", { type: "file", class: "visually-hidden", tabindex: "-1", "aria-label": "Choose a file" });
    const progress = h("progress", { max: 1, "aria-label": "Sent of the file", hidden: true });
    const state = h("span", { class: "hint", role: "status" });
    const roots = (system.inputRoots ?? []).map((name) => `root:${name}/…`).join(", ");
    const whole = field("Input", text, roots ? `A URL, or a file of the service: ${roots}` : "A URL that the service can reach, or a file of yours.");
    const entry = { text, whole, key, busy: null, stop: null, failure: null };
    if (url.includes("***")) whole.tellFault("The secrets of the URL were not kept: write it anew");
    /// Sends a file; one that is being sent already is given up.
    async function take(taken, ...more) {
      if (!taken) return;
      if (more.length) tell(`Only ${taken.name} is taken here: drop one file at a time`, "bad");
      entry.stop?.abort();
      const stop = entry.stop = new AbortController();
      progress.hidden = false;
      text.value = "";
      text.disabled = true;
      whole.tellFault();
      entry.failure = null;
      entry.busy = upload(taken, stop.signal, (sent, trouble) => {
        if (stop.signal.aborted) return;
        progress.value = taken.size ? sent / taken.size : 1;
        state.textContent = trouble ?? `${taken.name}: ${bytes(sent)} of ${bytes(taken.size)}`;
      });
      try {
        const place = await entry.busy;
        if (stop.signal.aborted) return;
        text.value = place;
        state.textContent = `${taken.name}, ${bytes(taken.size)}, is there`;
        if (entry === inputs[0]) nameFile(taken.name);
      } catch (error) {
        if (stop.signal.aborted) return;
        entry.failure = error.message;
        state.textContent = "";
        whole.tellFault(error.message);
      } finally {
        if (!stop.signal.aborted) {
          entry.busy = null;
          text.disabled = false;
          progress.hidden = true;
        }
      }
    }
    /// Another input than a file was chosen.
    function choose(other) {
      if (other !== undefined) text.value = other;
      entry.failure = null;
      state.textContent = "";
      if (entry === inputs[0]) nameFile(null);
    }
    text.addEventListener("input", () => choose());
    file.addEventListener("change", () => take(...file.files));
    const row = h("div", { class: "drop" }, whole,
      h("p", {}, button("Choose a file", () => file.click(), { class: "plain" }), file, " ",
        system.sample ? button("Use the sample clip", () => choose(system.sample), { class: "plain" }) : null, " ",
        inputs.length ? button("Remove", () => {
          entry.stop?.abort();
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
      take(...event.dataTransfer.files);
    });
    inputs.push(entry);
    inputList.append(row);
  }
  if (start.input_files) Object.entries(start.input_files).forEach(([key, url]) => addInput(url, key));
  else addInput(start.input?.url ?? query.get("input") ?? "");

  const mode = h("select", {}, recipes.map((recipe) => h("option", { value: recipe.title }, recipe.title)), h("option", { value: "ffmpeg" }, "ffmpeg arguments"));
  mode.value = start.mode === "ffmpeg" ? "ffmpeg" : start.recipe?.name ?? "webReady";
  const format = h("select", {});
  const [form, what, told, planned] = [h("div", { class: "grid" }), h("p", { class: "hint" }), h("div", {}), h("div", {})];
  const modeField = field("Recipe", mode);
  const formatField = field("Format", format);
  fields.set("mode", modeField).set("recipe", modeField).set("recipe.name", modeField).set("output.format", formatField).set("output", formatField);

  const others = ["priority", "timeoutSeconds", "maxOutputBytes", "webhookUrl", "outputUrl"].map((name) => {
    const of = document_.properties[name];
    const made = control(of);
    if (start[name] !== undefined) made.value = start[name];
    const whole = field(name, made, of.description);
    fields.set(name, whole);
    return { name, of, made, whole };
  });
  const metadata = h("textarea", { rows: "2", placeholder: "team: blue" });
  metadata.value = pairsOf(start.metadata ?? {});
  const metadataField = field("metadata", metadata, "Pairs of your own, one on a line or as a JSON object, by which jobs are found.");
  fields.set("metadata", metadataField);

  /// The pairs that the field of metadata says.
  function pairs() {
    const text = metadata.value.trim();
    if (text.startsWith("{")) return parsed("metadata", text);
    return Object.fromEntries(text.split("\n").filter((line) => line.trim()).map((line) => {
      const at = line.indexOf(":");
      if (at < 1) throw faults([{ path: "metadata", found: `"${line}"`, allowed: "a name, a colon and a value" }]);
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    }));
  }

  /// An upload has no name in its URL; the job keeps that of the file among its pairs.
  function nameFile(name) {
    try {
      const { file, ...others_ } = pairs();
      if (name === null && file === undefined) return;
      metadata.value = pairsOf(name === null ? others_ : { ...others_, file: name.replace(/\p{Cc}/gu, " ").slice(-500) });
    } catch {
      // What can not be read is told when the job is sent.
    }
  }

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
    outputsField.hidden = Boolean(recipe);
    const properties = recipe ? recipe["x-order"].map((name) => [name, recipe.properties[name]]) : [["args", { type: "string" }]];
    fill(form, properties.map(([name, of]) => {
      const made = recipe ? control(of) : h("textarea", { rows: "6", spellcheck: false });
      const args = start.ffmpeg?.args ?? ["-i", "{{input}}", "-vf", "fps=8,scale=320:-1", "{{output}}"];
      const value = recipe ? old[name] : lines(args, args, (text) => text !== "" && !text.startsWith("["));
      if (value !== undefined && value !== null) made.value = typeof value === "object" ? JSON.stringify(value) : String(value);
      const whole = field(name, made, recipe ? of.description : "One argument on a line, or a JSON array; {{input}} and {{output}}, or {{in_1}} and {{out_1}}, are the files.");
      fields.set(recipe ? `recipe.${name}` : "ffmpeg.args", whole);
      parameters.push({ name, of, made });
      return whole;
    }));
    more.hidden = !(mode.value === "concat" || mode.value === "ffmpeg");
  }
  const outputs = h("textarea", { rows: "2", spellcheck: false, placeholder: '{"out_1": "result.mp4"}' });
  if (start.output_files) outputs.value = JSON.stringify(start.output_files);
  const outputsField = field("output_files", outputs, "For several inputs or outputs: the names of the outputs as JSON, in place of the format.");
  fields.set("output_files", outputsField);
  const more = button("Add an input", () => addInput(), { class: "plain" });
  mode.addEventListener("change", draw);
  draw();

  /// The document that the form describes.
  function document() {
    const isRecipe = mode.value !== "ffmpeg";
    const failed = inputs.filter((entry) => entry.failure);
    failed.forEach((entry) => entry.whole.tellFault(entry.failure));
    if (failed.length) throw new Error("A file could not be sent");
    // What has no field here stays as it was.
    const { input, input_files, output, output_files, recipe, ffmpeg, presetId, ...made } = structuredClone(start);
    for (const { name } of others) delete made[name];
    made.mode = isRecipe ? "recipe" : "ffmpeg";
    if (inputs.length > 1 || inputs[0].key) {
      const taken = new Set(inputs.map((entry) => entry.key));
      let number = 0;
      const free = () => {
        do number += 1; while (taken.has(`in_${number}`));
        return `in_${number}`;
      };
      for (const entry of inputs) entry.key ??= free();
      made.input_files = Object.fromEntries(inputs.map((entry) => [entry.key, entry.text.value.trim()]));
    } else {
      made.input = { url: inputs[0].text.value.trim() };
    }
    if (!isRecipe && (outputs.value.trim() || made.input_files)) {
      made.output_files = outputs.value.trim() ? parsed("output_files", outputs.value) : { out_1: `result.${format.value}` };
    } else {
      made.output = { format: format.value };
    }
    const unread = [...parameters.map((each) => [`recipe.${each.name}`, each.made]), ...others.map((each) => [each.name, each.made])]
      .filter(([, control_]) => control_.validity.badInput);
    if (unread.length) throw faults(unread.map(([path]) => ({ path, found: "no number", allowed: "a number" })));
    if (isRecipe) {
      made.recipe = { name: mode.value };
      for (const { name, of, made: field_ } of parameters) {
        const value = valueOf(of, field_.value);
        if (value !== undefined) made.recipe[name] = value;
      }
    } else {
      const text = parameters[0].made.value;
      made.ffmpeg = { args: text.trim().startsWith("[") ? parsed("ffmpeg.args", text) : text.split("\n").filter((line) => line !== "") };
    }
    for (const { name, of, made: field_ } of others) {
      const value = valueOf(of, field_.value);
      if (value !== undefined) made[name] = value;
    }
    const own = pairs();
    delete made.metadata;
    if (Object.keys(own).length) made.metadata = own;
    return made;
  }

  /// The field of the path of a problem.
  function fieldOf(path) {
    const key = path.match(/^input_files\.([^.[]+)/)?.[1];
    if (key) return inputs.find((entry) => entry.key === key)?.whole;
    if (/^input(_files)?\b/.test(path)) return inputs[0].whole;
    // The nearest field around the place.
    for (let at = path; at; at = at.replace(/[.[]?[^.[]*$/, "")) if (fields.has(at)) return fields.get(at);
    return undefined;
  }

  const attempt = (work) => async () => {
    await Promise.allSettled(inputs.map((entry) => entry.busy).filter(Boolean));
    for (const whole of [...fields.values(), ...inputs.map((entry) => entry.whole)]) whole.tellFault();
    fill(told);
    try {
      await work(document());
    } catch (error) {
      tellProblems(error, told, fieldOf);
    }
  };
  const run = h("button", { type: "submit" }, "Run");
  const show = button("Show the plan", attempt(async (made) => fill(planned, h("section", { class: "card" }, h("h2", {}, "Plan"), plan(await post("jobs/plan", made))))), { class: "plain" });
  const node = h("form", { novalidate: true, class: "create" },
    h("div", { class: "heading" }, h("h1", {}, preset ? `New job: ${preset.name}` : "New job")), told,
    h("section", { class: "card" }, h("h2", {}, "Input"), inputList, more),
    h("section", { class: "card" }, h("h2", {}, "What is made"), h("div", { class: "grid" }, modeField, formatField), what, form, outputsField),
    h("details", { class: "card" }, h("summary", {}, "More"), h("div", { class: "grid" }, others.map((each) => each.whole), metadataField)),
    h("div", { class: "buttons sticky" }, run, show), planned);
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    during(run, attempt(async (made) => {
      const { jobId } = await post("jobs", made);
      tell("The job is taken on");
      if (isClosed) return;
      location.hash = `#/jobs/${jobId}`;
    }));
  });
  // A file that misses the place would be opened in the place of the page.
  for (const name of ["dragover", "drop"]) node.addEventListener(name, (event) => event.preventDefault());
  const close = () => {
    isClosed = true;
    for (const entry of inputs) entry.stop?.abort();
  };
  return { node, close };
}
