// The list of jobs: live, filtered, and quick however long it is: only the rows on screen are there.

import { get, post, remove, schema } from "./api.js";
import { badge, bar, button, confirmed, decoded, h, nothing, tell, when } from "./dom.js";

const STATES = ["queued", "probing", "planning", "transcoding", "merging", "completed", "failed", "rejected", "cancelled"];

export const hasEnded = (job) => ["completed", "failed", "rejected", "cancelled"].includes(job.state);

/// How many jobs a page of the API has, and how often the list is asked for news, in milliseconds.
const [PAGE, EVERY] = [100, 2000];

/// The name of what a job reads.
export function inputOf(job) {
  // The form keeps the name of an uploaded file there.
  if (job.metadata.file) return job.metadata.file;
  const files = job.document.input_files;
  const url = job.document.input?.url ?? (files ? Object.values(files)[0] : "");
  const name = url.startsWith("upload:") ? "an uploaded file" : decoded(url.split("?")[0].split("/").pop() || url);
  const more = files ? Object.keys(files).length - 1 : 0;
  return more > 0 ? `${name} and ${more} more` : name;
}

/// The buttons by which a job is stopped, run again or deleted.
export function actions(job, changed) {
  const on = (text, path, done, properties) => button(text, async () => {
    changed(await post(`jobs/${job.jobId}/${path}`));
    tell(done);
  }, properties);
  const small = { class: "small plain" };
  const made = [];
  if (!hasEnded(job)) made.push(on("Cancel", "cancel", "The job is asked to stop", small));
  if (["failed", "cancelled"].includes(job.state)) made.push(on("Retry", "retry", "The job is queued again", small));
  if (hasEnded(job)) {
    made.push(button("Delete", async () => {
      if (!(await confirmed("Delete the job and its outputs?", "Delete"))) return;
      await remove(`jobs/${job.jobId}`);
      changed(null);
      tell("The job is deleted");
    }, small));
  }
  return made;
}

export async function open(query) {
  const recipes = (await schema()).properties.recipe.anyOf.map((recipe) => recipe.title);
  const chosen = (label, name, values) => {
    const control = h("select", { "aria-label": label }, h("option", { value: "" }, label),
      values.map((value) => h("option", { value }, value)));
    control.value = query.get(name) ?? "";
    control.addEventListener("change", () => go(name, control.value));
    return control;
  };
  const pair = h("input", { type: "search", placeholder: "metadata, as team:blue", "aria-label": "Metadata, as in team:blue", value: query.get("metadata") ?? "" });
  pair.addEventListener("change", () => {
    pair.setCustomValidity(/^$|:/.test(pair.value.trim()) ? "" : "Write a name, a colon and a value");
    if (pair.reportValidity()) go("metadata", pair.value.trim());
  });
  function go(name, value) {
    const next = new URLSearchParams(query);
    if (value) next.set(name, value);
    else next.delete(name);
    location.hash = `#/jobs?${next}`;
  }

  /// The jobs by their place; their cursor, null at the end.
  let [rows, cursor] = [[], ""];
  let [loading, isClosed] = [false, false];
  /// How often the list was changed here; an answer that was asked for before is too old.
  let changes = 0;
  const body = h("div", { role: "rowgroup", class: "rows" });
  const count = h("span", { class: "count", role: "status" });
  const scroller = h("div", { class: "scroller", tabindex: "0", "aria-label": "Jobs, newest first", role: "region" },
    h("div", { role: "table", "aria-label": "Jobs" },
      h("div", { role: "rowgroup" }, h("div", { role: "row", class: "row head" },
        ["State", "Recipe", "Input", "Progress", "Created", "Actions"].map((name) => h("span", { role: "columnheader" }, name)))),
      body));

  const empty = query.size
    ? nothing("No job is like that.")
    : nothing("There are no jobs yet.", h("a", { href: "#/new", class: "button" }, "Make the first one"));

  /// The elements of rows, by id; those that left the screen are dropped.
  const shown = new Map();
  const height = () => (matchMedia("(max-width: 700px)").matches ? 104 : 52);

  /// Whether a job belongs to the list by the state that is asked for.
  const fits = (job) => !query.get("state") || job.state === query.get("state");

  /// Replaces a job by what became of it; one that is gone, or does not fit any more, leaves the list.
  function put(id, now) {
    const at = rows.findIndex((job) => job.jobId === id);
    if (at < 0) return;
    if (now && fits(now)) rows[at] = now;
    else rows.splice(at, 1);
  }

  function row(job) {
    const cell = (name, ...content) => h("span", { role: "cell", class: name }, ...content);
    return h("div", { role: "row", class: "row" },
      cell("state", badge(job.state)),
      cell("recipe", h("a", { href: `#/jobs/${job.jobId}` }, job.recipe ?? "ffmpeg")),
      cell("input", h("span", { title: inputOf(job) }, inputOf(job))),
      cell("progress", hasEnded(job) ? (job.state === "completed" ? "100 %" : "–") : bar(job.progress, `Progress of ${job.recipe ?? "ffmpeg"}`)),
      cell("created", when(job.createdAt)),
      cell("actions", actions(job, (after) => {
        changes += 1;
        put(job.jobId, after);
        draw();
      })));
  }

  /// Puts a row in the place of an older one; a button that has the focus keeps it.
  function exchange(old, element) {
    const held = old.contains(document.activeElement) ? document.activeElement.textContent : null;
    old.replaceWith(element);
    if (held) [...element.querySelectorAll("button, a")].find((each) => each.textContent === held)?.focus();
  }

  /// Draws the rows on screen.
  function draw() {
    const each = height();
    empty.hidden = rows.length > 0;
    scroller.hidden = !rows.length;
    body.style.height = `${rows.length * each}px`;
    const first = Math.max(0, Math.floor(scroller.scrollTop / each) - 4);
    const last = Math.min(rows.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / each) + 4);
    const wanted = new Set(rows.slice(first, last).map((job) => job.jobId));
    for (const [id, { element }] of shown) {
      if (wanted.has(id)) continue;
      element.remove();
      shown.delete(id);
    }
    // They are in the order of the screen, for keyboards and screen readers.
    let next = body.firstChild;
    for (let at = first; at < last; at += 1) {
      const job = rows[at];
      const print = `${job.state} ${job.progress} ${when(job.createdAt).textContent}`;
      let known = shown.get(job.jobId);
      if (known?.print !== print) {
        const element = row(job);
        if (known) exchange(known.element, element);
        if (next === known?.element) next = element;
        known = { element, print };
        shown.set(job.jobId, known);
      }
      if (known.element === next) next = next.nextSibling;
      else body.insertBefore(known.element, next);
      known.element.style.top = `${at * each}px`;
      known.element.setAttribute("aria-rowindex", at + 2);
    }
    count.textContent = rows.length === 1 ? "1 job" : `${rows.length}${cursor === null ? "" : "+"} jobs`;
    // Trouble is told by the look for news.
    if (last > rows.length - 30) more().catch(() => {});
  }

  const path = (at) => {
    const asked = new URLSearchParams(query);
    asked.set("limit", PAGE);
    if (at) asked.set("cursor", at);
    return `jobs?${asked}`;
  };

  async function more() {
    if (loading || cursor === null) return;
    loading = true;
    try {
      const page = await get(path(cursor));
      const known = new Set(rows.map((job) => job.jobId));
      rows.push(...page.data.filter((job) => !known.has(job.jobId)));
      cursor = page.nextCursor ?? null;
    } finally {
      loading = false;
    }
    draw();
  }

  /// Looks at the first page anew, and at jobs on screen behind it that have not ended.
  async function look() {
    const before = changes;
    const page = await get(path());
    if (isClosed || loading || changes !== before) return;
    // What is read stays where it is.
    const top = Math.floor(scroller.scrollTop / height());
    const read = top > 0 ? rows[top]?.jobId : null;
    const end = page.data.at(-1)?.jobId;
    if (!page.nextCursor || (rows.length && rows[0].jobId < end)) {
      // The page is the whole list, or so much is new that the pages do not meet.
      [rows, cursor] = [page.data, page.nextCursor ?? null];
    } else {
      // Ids grow with time: the rest is older than the last job of the page.
      rows = [...page.data, ...rows.filter((job) => job.jobId < end)];
    }
    const behind = rows.slice(page.data.length).filter((job) => shown.has(job.jobId) && !hasEnded(job));
    for (const { jobId } of behind.slice(0, 20)) {
      const now = await get(`jobs/${jobId}`).catch((error) => (error.status === 404 ? null : undefined));
      if (isClosed) return;
      if (now !== undefined) put(jobId, now);
    }
    const at = rows.findIndex((job) => job.jobId === read);
    if (read && at >= 0) scroller.scrollTop += (at - top) * height();
    draw();
  }

  await more();
  let waiting = false;
  scroller.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  });
  const redraw = () => draw();
  addEventListener("resize", redraw);
  let timer;
  const tick = async () => {
    if (!document.hidden) await look().catch((error) => { count.textContent = `${error.message}; what is shown may be old`; });
    if (!isClosed) timer = setTimeout(tick, EVERY);
  };
  timer = setTimeout(tick, EVERY);

  const node = h("div", { class: "list" },
    h("div", { class: "heading" }, h("h1", {}, "Jobs"), count, h("a", { href: "#/new", class: "button" }, "New job")),
    h("div", { class: "filters" },
      chosen("Any state", "state", STATES), chosen("Any recipe", "recipe", [...recipes, "ffmpeg"]), pair),
    empty, scroller);
  return {
    node,
    shown: draw,
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      removeEventListener("resize", redraw);
    },
  };
}
