// Makes elements, and what all views have in common.

/// An element: h("p", { class: "note", onclick: act }, "text", other). A property that is null, undefined
/// or false is left out; one that begins with `on` is a listener.
export function h(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/// Replaces what is in an element.
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

/// Tells something at the bottom of the page for some seconds; screen readers say it, too.
export function tell(text, kind = "info") {
  const place = document.getElementById("told");
  const note = h("p", { class: `toast ${kind}` }, text);
  place.append(note);
  setTimeout(() => note.remove(), 6000);
}

/// Runs what a button starts: the button is disabled meanwhile, and errors are told.
export async function during(button, work) {
  button.disabled = true;
  try {
    return await work();
  } catch (error) {
    tell(error.message, "bad");
    return undefined;
  } finally {
    button.disabled = false;
  }
}

/// A button.
export function button(text, act, properties) {
  const made = h("button", { type: "button", ...properties, onclick: () => during(made, act) }, text);
  return made;
}

/// Copies a text by the way that browsers had before.
function copyFrom(text) {
  const area = h("textarea", { class: "visually-hidden" });
  area.value = text;
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (!isDone) throw new Error("The browser lets nothing be copied from this page");
}

/// A button that copies a text.
export function copier(text, name = "Copy") {
  return button(name, async () => {
    const copied = typeof text === "function" ? text() : text;
    // Browsers have no clipboard for pages that come over plain HTTP from another machine.
    if (navigator.clipboard) await navigator.clipboard.writeText(copied);
    else copyFrom(copied);
    tell("Copied");
  }, { class: "small" });
}

/// Asks in a dialog; resolves to whether the answer was yes.
export function confirmed(question, yes) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-label": question },
      h("p", {}, question),
      h("form", { method: "dialog", class: "buttons" },
        h("button", { value: "no", class: "plain" }, "Cancel"),
        h("button", { value: "yes", class: "danger" }, yes)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/// A field with its label, help and place for an error.
export function field(label, control, help) {
  const id = control.id || (control.id = `f${(field.count = (field.count ?? 0) + 1)}`);
  const [hint, fault] = [h("small", { id: `${id}-help` }, help ?? ""), h("small", { id: `${id}-fault`, class: "fault" })];
  control.setAttribute("aria-describedby", `${hint.id} ${fault.id}`);
  const whole = h("div", { class: "field" }, h("label", { for: id }, label), control, help ? hint : null, fault);
  if (!help) control.setAttribute("aria-describedby", fault.id);
  whole.control = control;
  whole.tellFault = (text) => {
    fault.textContent = text ?? "";
    if (text) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  return whole;
}

/// Shows the problems of an error, each at the field that `at` returns for its path; those without a
/// field are told in `place`, with the message of the error. The uppermost field gets the focus.
export function tellProblems(error, place, at) {
  const [rest, faults] = [[], new Map()];
  for (const { path, found, allowed } of error.problems ?? []) {
    const [text, whole] = [`found ${found}, allowed: ${allowed}`, at(path)];
    if (whole) faults.set(whole, [...(faults.get(whole) ?? []), text]);
    else rest.push(`${path}: ${text}`);
  }
  for (const [whole, texts] of faults) whole.tellFault(texts.join("\n"));
  fill(place, h("div", { class: "note bad", role: "alert" }, h("p", {}, error.message), h("ul", {}, rest.map((text) => h("li", {}, text)))));
  const isBehind = (one, other) => one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_PRECEDING;
  [...faults.keys()].sort((one, other) => (isBehind(one, other) ? 1 : -1))[0]?.control.focus();
}

/// A time for people, with the exact one in its title.
export function when(text) {
  if (!text) return "–";
  const time = new Date(text);
  const element = h("time", { datetime: text, title: time.toLocaleString() });
  const seconds = Math.round((Date.now() - time) / 1000);
  if (seconds < -60) element.textContent = time.toLocaleString();
  else if (seconds < 60) element.textContent = "now";
  else if (seconds < 3600) element.textContent = `${Math.floor(seconds / 60)} min ago`;
  else if (seconds < 86400) element.textContent = `${Math.floor(seconds / 3600)} h ago`;
  else element.textContent = time.toLocaleDateString();
  return element;
}

/// A text without percent-encoding; as it is where that is broken.
export function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/// A number of bytes for people.
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0;
  while (count >= 1000 && power < units.length - 1) {
    count /= 1000;
    power += 1;
  }
  return `${power && count < 100 ? count.toFixed(1) : Math.round(count)} ${units[power]}`;
}

/// Seconds for people: 1:02:03.4.
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = Math.floor(seconds % 60).toString().padStart(2, "0");
  return hours ? `${hours}:${minutes.toString().padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/// The state of something, as a badge: its word is what counts, its color only helps.
export function badge(state) {
  return h("span", { class: `badge ${state}` }, state);
}

/// A bar of percent.
export function bar(percent, label) {
  const made = h("progress", { max: 100, value: percent, "aria-label": label });
  made.value = percent;
  return made;
}

/// A term of a description list, with its value.
export const term = (name, ...value) => [h("dt", {}, name), h("dd", {}, ...value)];

/// What a view shows instead of an empty list.
export function nothing(text, ...more) {
  return h("div", { class: "nothing" }, h("p", {}, text), ...more);
}
