// Requests to the API, with the key of who is signed in.

/// Where the page is; below a prefix of a proxy, too.
export const base = new URL(".", document.baseURI);

/// An answer of the API that tells of an error.
export class ApiError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.problems = error.problems ?? [];
  }
}

const NAME = "avocet-key";

/// The key, or null. It is kept for this tab, or for this browser.
export function key() {
  return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);
}

export function signIn(value, stays) {
  signOut();
  (stays ? localStorage : sessionStorage).setItem(NAME, value);
}

export function signOut() {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}

/// The error that an answer tells.
export async function errorOf(response) {
  const body = await response.json().catch(() => null);
  const fallback = { code: "", message: `The service answered ${response.status}` };
  return new ApiError(response.status, body?.error ?? fallback);
}

/// Asks the API; returns the JSON of the answer, or null where it has none.
export async function ask(method, path, body, signal) {
  const headers = { Authorization: `Bearer ${key()}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
    response = await fetch(new URL(`v1/${path}`, base), { method, headers, body: text, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(/^[\x21-\x7e]*$/.test(key()) ? "The service can not be reached" : "A key has letters and digits of ASCII only");
  }
  if (response.status === 401) dispatchEvent(new Event("signed-out"));
  if (!response.ok) throw await errorOf(response);
  const answer = await response.text();
  return answer ? JSON.parse(answer) : null;
}

export const get = (path, signal) => ask("GET", path, undefined, signal);
export const post = (path, body = {}) => ask("POST", path, body);
export const patch = (path, body) => ask("PATCH", path, body);
export const remove = (path) => ask("DELETE", path);

/// A URL that the service signed, at the address by which this page was opened. Other URLs stay.
export function here(url) {
  // Outputs may lie in folders of any name; the last of these is ours.
  const at = url?.search(/\/(files|events)\/(?!.*\/(files|events)\/)/) ?? -1;
  const isOurs = at > 0 && url.includes("signature=");
  return isOurs ? new URL(url.slice(at + 1), base).href : url;
}

let loaded;
/// The description of the API, fetched once.
export function description() {
  loaded ??= fetch(new URL("openapi.json", base)).then((response) => {
    if (!response.ok) throw new Error(`The service answered ${response.status}`);
    return response.json();
  }).catch((error) => {
    loaded = undefined;
    throw error;
  });
  return loaded;
}

/// The schema of job documents.
export async function schema() {
  return (await description()).components.schemas.Document;
}
