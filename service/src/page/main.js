// The frame of the page: who is signed in, which view is open, light or dark.

import { base, get, key, signIn, signOut } from "./api.js";
import { button, decoded, field, fill, h, tell } from "./dom.js";
import * as create from "./create.js";
import * as hooks from "./hooks.js";
import * as job from "./job.js";
import * as jobs from "./jobs.js";
import * as keys from "./keys.js";
import * as presets from "./presets.js";
import * as providers from "./providers.js";
import * as system from "./system.js";

/// The views by the first part of the address behind `#/`: their name in the menu, and the scope that a
/// key needs for them.
const VIEWS = {
  jobs: { name: "Jobs", scope: "jobs:read", open: (parts, query) => (parts[0] ? job.open(parts[0]) : jobs.open(query)) },
  new: { name: "New job", scope: "jobs:write", open: (_, query) => create.open(query) },
  presets: { name: "Presets", scope: "jobs:read", open: () => presets.open() },
  keys: { name: "Keys", scope: "tokens", open: () => keys.open() },
  storage: { name: "Storage", scope: "settings", open: () => providers.open() },
  webhooks: { name: "Webhooks", scope: "settings", open: () => hooks.open() },
  system: { name: "System", scope: "jobs:read", open: () => system.open() },
};

const [top, content] = [document.getElementById("top"), document.getElementById("content")];

/// What closes the open view.
let close = () => {};
/// How often a view was asked for. Where that has changed during a wait, another view is wanted by now.
let turns = 0;
/// Who is signed in: the key's name, project and scopes.
let holder = null;
/// The key that this tab uses.
let used = null;

function theme(wanted) {
  if (wanted) localStorage.setItem("avocet-theme", wanted);
  const set = localStorage.getItem("avocet-theme");
  if (set) document.documentElement.dataset.theme = set;
  return set ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function menu(open) {
  const items = permitted().map((name) => h("li", {},
    h("a", { href: `#/${name}`, "aria-current": name === open ? "page" : null }, VIEWS[name].name)));
  const other = () => (theme() === "dark" ? "Light" : "Dark");
  const shade = button(other(), () => {
    theme(other().toLowerCase());
    shade.textContent = other();
  }, { class: "small plain" });
  fill(top,
    h("a", { href: "#/jobs", class: "brand" }, h("img", { src: "page/icon.svg", alt: "", width: "24", height: "24" }), "Avocet"),
    h("nav", { "aria-label": "Views" }, h("ul", {}, items)),
    h("div", { class: "who" },
      h("span", { class: "project" }, `Project ${holder.projectName}`),
      h("a", { href: "docs/" }, "API"),
      shade,
      button("Sign out", () => {
        signOut();
        show();
      }, { class: "small plain" })));
}

/// The views that the key may see.
const permitted = () => Object.keys(VIEWS).filter((name) => holder.scopes.includes(VIEWS[name].scope));

/// The form for a key, with why it is shown.
function door(why) {
  turns += 1;
  holder = null;
  fill(top, h("span", { class: "brand" }, h("img", { src: "page/icon.svg", alt: "", width: "24", height: "24" }), "Avocet"));
  const input = h("input", { type: "password", autocomplete: "current-password", required: true, spellcheck: false });
  const name = field("API key", input, "The first one is in the file api-key of the data folder; avocet token create makes more.");
  const stays = h("input", { type: "checkbox", id: "stays" });
  const form = h("form", { class: "card narrow" },
    h("h1", {}, "Sign in"),
    why ? h("p", { class: "note bad", role: "alert" }, why) : null,
    name,
    h("p", {}, stays, " ", h("label", { for: "stays" }, "Stay signed in on this computer")),
    h("button", { type: "submit" }, "Sign in"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    signIn(input.value.trim(), stays.checked);
    try {
      holder = await get("key");
      show();
    } catch (error) {
      signOut();
      name.tellFault(error.message);
      input.focus();
    }
  });
  fill(content, form);
  input.focus();
}

/// Exchanges the code of a one-time link for a key.
async function enter(code) {
  history.replaceState(null, "", "#/jobs");
  const response = await fetch(new URL("page/sign-in", base), {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ code }),
  }).catch(() => null);
  if (!response) return door("The service can not be reached");
  const body = await response.json().catch(() => null);
  if (!response.ok) return door(body?.error?.message ?? "The link does not work");
  signIn(body.key, false);
  holder = null;
  return show();
}

async function show() {
  turns += 1;
  const turn = turns;
  close();
  close = () => {};
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...parts] = path.split("/").map(decoded);
  if (name === "sign-in") return enter(parts[0] ?? "");
  if (!key()) return door();
  try {
    const who = holder ?? await get("key");
    if (turn !== turns) return undefined;
    [holder, used] = [who, key()];
  } catch (error) {
    if (turn !== turns) return undefined;
    if (error.status !== 401) return fill(content, failure(error));
    signOut();
    return door("The key is unknown, was revoked or has expired.");
  }
  if (!permitted().length) return fill(content, failure(new Error("The key may see nothing here.")));
  const chosen = permitted().includes(name) ? name : permitted()[0];
  menu(chosen);
  document.title = `${VIEWS[chosen].name} · Avocet`;
  fill(content, h("p", { class: "loading" }, "Loading…"));
  try {
    const view = await VIEWS[chosen].open(parts, new URLSearchParams(query));
    if (turn !== turns) return view.close?.();
    close = view.close ?? close;
    fill(content, view.node);
    view.shown?.();
  } catch (error) {
    if (turn === turns) fill(content, failure(error));
  }
  return undefined;
}

function failure(error) {
  return h("div", { class: "card" }, h("h1", {}, "This can not be shown"),
    h("p", { class: "note bad", role: "alert" }, error.message),
    button("Try again", () => show()));
}

addEventListener("hashchange", () => {
  show();
  content.focus({ preventScroll: true });
  scrollTo(0, 0);
});
addEventListener("signed-out", () => {
  if (!holder) return;
  signOut();
  tell("The key does not work any more", "bad");
  show();
});
// Another tab has signed in or out.
addEventListener("storage", (event) => {
  if ((event.key === "avocet-key" || event.key === null) && key() !== used) {
    holder = null;
    show();
  }
});
theme();
show();
