// One job: live to its end, with its plan and reasons, its outputs, and its document in several languages.

import { base, get, here, post } from "./api.js";
import { badge, bar, button, bytes, copier, duration, fill, h, tell, term, when } from "./dom.js";
import { actions, hasEnded, inputOf } from "./jobs.js";
import { sprites } from "./sprites.js";

/// An output as people look at it.
function preview(file) {
  const url = here(file.storage_url);
  if (!url) return h("p", { class: "note" }, "The output was deleted.");
  const isHere = url.startsWith(base.href);
  const named = `${file.filename}`;
  if (!isHere) return h("p", { class: "note" }, "The output is in your storage: open it by its link.");
  switch (file.file_type) {
    case "video": return h("video", { src: url, controls: true, preload: "metadata", "aria-label": named });
    case "audio": return h("audio", { src: url, controls: true, preload: "metadata", "aria-label": named });
    case "image": return h("img", { src: url, alt: named, loading: "lazy" });
    default: return null;
  }
}

/// An output with its facts. `renew` is called where it can not be loaded: its link may have expired.
function output(file, renew) {
  const url = here(file.storage_url);
  const facts = [
    file.width ? `${file.width}×${file.height}` : null, file.codec, file.duration ? duration(file.duration) : null,
    file.frame_rate ? `${Number(file.frame_rate.toFixed(3))} fps` : null, bytes(file.size_mbytes * 1e6),
  ].filter(Boolean).join(" · ");
  const shown = preview(file);
  shown?.addEventListener("error", renew, { once: true });
  return h("figure", { class: "output" },
    shown,
    h("figcaption", {}, h("strong", {}, file.filename), h("span", {}, facts),
      url ? h("span", { class: "buttons" },
        h("a", { href: url, download: file.filename, class: "button small" }, "Download"),
        copier(() => here(file.storage_url), "Copy URL")) : null));
}

/// Reasons and warnings.
const notes = (list, kind) => h("ul", { class: `notes ${kind ?? ""}` },
  list.map((note) => h("li", {}, note.message, " ", h("code", {}, note.code))));

/// What is done to a stream, in a few words.
function action(of) {
  const name = typeof of === "string" ? of : Object.keys(of ?? {})[0] ?? "";
  const { name: encoder, options = [] } = of?.[name] ?? {};
  const set = options.map(([option, value]) => `${option}=${value}`).join(", ");
  return [name, encoder, set].filter(Boolean).join(" ");
}

/// What a plan does to each stream, and why.
export function plan({ plan: of }) {
  const from = (track) => track.parts?.map(({ source }) => (source ? `${source.input}:${source.stream}` : "filled")).join(", ");
  const stream = (track) => h("li", {},
    h("strong", {}, track.kind ?? "stream"), from(track) ? ` ${from(track)}: ` : ": ", action(track.action), notes(track.because ?? []));
  const tracks = (of.outputs ?? []).flatMap((out) => out.content?.tracks ?? []);
  const { bytesCopied = 0, framesDecoded = 0, framesEncoded = 0 } = of.cost ?? {};
  return h("div", { class: "plan" },
    h("p", {}, "Strategy: ", h("strong", {}, of.strategy)),
    h("p", {}, `${bytes(bytesCopied)} copied, ${framesDecoded} frames decoded, ${framesEncoded} encoded`),
    notes(of.because ?? []),
    tracks.length ? h("ul", { class: "tracks" }, tracks.map(stream)) : null,
    of.notices?.length ? notes(of.notices, "warn") : null,
    h("details", {}, h("summary", {}, "The whole plan"), h("pre", { tabindex: "0" }, JSON.stringify(of, null, 2))));
}

/// The same request in other languages; the key is left to the environment.
function programs(document) {
  const text = JSON.stringify(document, null, 2);
  const url = new URL("v1/jobs", base).href;
  const quoted = JSON.stringify(document).replaceAll("'", "'\\''");
  return {
    JSON: text,
    curl: `curl ${url} -H "Authorization: Bearer $AVOCET_KEY" -H 'Content-Type: application/json' -d '${quoted}'`,
    JavaScript: `const answer = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: {
    Authorization: \`Bearer \${process.env.AVOCET_KEY}\`,
    "Content-Type": "application/json",
  },
  body: JSON.stringify(${text.replaceAll("\n", "\n  ")}),
});
console.log(await answer.json());`,
    Python: `import json, os, urllib.request

document = json.loads(${JSON.stringify(JSON.stringify(document))})
request = urllib.request.Request(
    ${JSON.stringify(url)},
    data=json.dumps(document).encode(),
    headers={
        "Authorization": f"Bearer {os.environ['AVOCET_KEY']}",
        "Content-Type": "application/json",
    },
)
print(json.load(urllib.request.urlopen(request)))`,
  };
}

function source(document) {
  const all = programs(document);
  const text = h("pre", { tabindex: "0", id: "source" });
  const tabs = h("div", { role: "tablist", "aria-label": "The document of the job", class: "tabs" });
  const choose = (name) => {
    text.textContent = all[name];
    for (const tab of tabs.children) {
      const isChosen = tab.textContent === name;
      tab.setAttribute("aria-selected", isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
    }
  };
  const names = Object.keys(all);
  for (const name of names) {
    tabs.append(h("button", { type: "button", role: "tab", "aria-controls": "source-panel", onclick: () => choose(name) }, name));
  }
  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = (names.indexOf(event.target.textContent) + step + names.length) % names.length;
    tabs.children[at].focus();
    choose(names[at]);
  });
  choose("JSON");
  return h("section", { class: "card" },
    h("div", { class: "heading" }, h("h2", {}, "Document"), copier(() => text.textContent)),
    tabs, h("div", { role: "tabpanel", id: "source-panel", "aria-label": "Text" }, text));
}

/// When the job came into each state.
function timeline(job) {
  const step = (name, at) => h("li", {}, badge(name), " ", h("time", { datetime: at }, new Date(at).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 })));
  return h("ol", { class: "timeline" }, job.timeline.map(({ state, at }) => step(state, at)));
}

async function deliveries(id, changed) {
  const { data } = await get(`jobs/${id}/deliveries`);
  if (!data.length) return null;
  return h("section", { class: "card" }, h("h2", {}, "Webhooks"), data.map((each) => delivery(each, changed)));
}

/// A webhook with its attempts.
export function delivery(each, changed) {
  return h("div", { class: "delivery" },
    h("p", {}, badge(each.state), " ", h("span", { class: "url" }, each.url), " ",
      button("Send again", async () => {
        await post(`webhooks/${each.id}/redeliver`);
        tell("The webhook is sent again");
        await changed();
      }, { class: "small plain" })),
    h("ul", { class: "notes" }, each.attempts.map((attempt) => h("li", {}, when(attempt.at), ": ",
      attempt.status ? `answered ${attempt.status}` : attempt.error))));
}

/// How long the page waits before it asks again for a job whose events broke off, in milliseconds.
const [SOON, LATER] = [1000, 15_000];

export async function open(id) {
  const node = h("article", { class: "job" });
  let timer, events;
  let [isClosed, pause] = [false, SOON];
  let job = await get(`jobs/${id}`);
  const live = h("div", {});
  const later = h("div", {});
  let isRenewed = false;
  const renew = async () => {
    if (isRenewed) return;
    isRenewed = true;
    await get(`jobs/${id}`).then(follow).catch(() => {});
  };
  const webhooks = async () => fill(later, await deliveries(id, webhooks));

  function draw() {
    // A button that has the focus keeps it.
    const held = live.contains(document.activeElement) ? document.activeElement.textContent : null;
    const took = job.startedAt ? ((job.finishedAt ? new Date(job.finishedAt) : new Date()) - new Date(job.startedAt)) / 1000 : null;
    fill(live,
      h("div", { class: "heading" },
        h("h1", {}, `${job.recipe ?? "ffmpeg"} of ${inputOf(job)}`), badge(job.state),
        h("span", { class: "buttons" }, actions(job, (after) => {
          if (!after) location.hash = "#/jobs";
          else follow(after);
        }), h("a", { href: `#/new?from=${job.jobId}`, class: "button small" }, "Use as a draft"))),
      hasEnded(job) ? null : h("p", {}, bar(job.progress, "Progress"), ` ${job.progress} %`),
      job.error ? h("section", { class: "card" }, h("h2", {}, "Why it failed"),
        h("p", { class: "note bad", role: "alert" }, job.error.message),
        h("p", {}, h("code", {}, job.error.code), ` while it did: ${job.error.stage}. `, job.error.retryable ? "It may succeed when it is run again." : "It would fail again."),
        job.error.log ? h("details", {}, h("summary", {}, "Log"), h("pre", { tabindex: "0" }, job.error.log)) : null) : null,
      job.warnings.length ? h("section", { class: "card" }, h("h2", {}, "Warnings"), notes(job.warnings, "warn")) : null,
      job.output_files ? h("section", { class: "card" }, h("h2", {}, "Outputs"), sprites(Object.values(job.output_files)),
        h("div", { class: "outputs" }, Object.values(job.output_files).map((file) => output(file, renew)))) : null,
      h("section", { class: "card" }, h("h2", {}, "How"),
        h("dl", {}, term("Job", h("code", {}, job.jobId), " ", copier(job.jobId)),
          term("Strategy", job.strategy ?? "not planned yet"),
          term("Created", when(job.createdAt)), term("Took", duration(took)), term("Attempts", String(job.attempts)), term("Priority", job.priority),
          Object.entries(job.metadata).map(([name, value]) => term(name, value))),
        job.reasons.length ? [h("h3", {}, "Reasons"), notes(job.reasons)] : null,
        h("h3", {}, "States"), timeline(job)));
    if (held) [...live.querySelectorAll("button, a, summary")].find((each) => each.textContent === held)?.focus();
  }

  async function follow(now) {
    job = now;
    draw();
    if (events || isClosed) return;
    if (hasEnded(job)) {
      await webhooks();
      return;
    }
    let url;
    try {
      ({ url } = await post(`jobs/${id}/events-url`));
    } catch {
      return askLater();
    }
    if (events || isClosed) return;
    events = new EventSource(here(url));
    events.onmessage = (event) => {
      pause = SOON;
      job = JSON.parse(event.data);
      draw();
      if (!hasEnded(job)) return;
      stop();
      webhooks().catch(() => {});
    };
    // A service that starts again has forgotten the stream, not the job.
    events.onerror = () => {
      stop();
      askLater();
    };
  }
  /// Asks for the job until the service answers.
  function askLater() {
    clearTimeout(timer);
    if (isClosed) return;
    timer = setTimeout(() => get(`jobs/${id}`).then(follow).catch(askLater), pause);
    pause = Math.min(2 * pause, LATER);
  }
  function stop() {
    clearTimeout(timer);
    events?.close();
    events = null;
  }

  const planned = h("div", {});
  fill(node, live,
    h("section", { class: "card" },
      h("div", { class: "heading" }, h("h2", {}, "Plan"), button("Show the plan", async () => {
        fill(planned, plan(await post("jobs/plan", job.document)));
      }, { class: "small" })),
      h("p", { class: "hint" }, "The input is looked at anew; an input whose URL holds a secret can not be."), planned),
    source(job.document),
    h("section", { class: "card" }, h("h2", {}, "Keep it"), h("p", {}, "A preset is the document without its input."),
      button("Save as a preset", async () => {
        const { input, input_files, webhookUrl, presetId, ...document } = job.document;
        await post("presets", { name: `${job.recipe ?? "ffmpeg"} of ${inputOf(job)}`.slice(0, 200), document });
        location.hash = "#/presets";
      })),
    later);
  // What the job is shows without its webhooks, too.
  await follow(job).catch(() => {});
  const close = () => {
    isClosed = true;
    stop();
  };
  return { node, close };
}
