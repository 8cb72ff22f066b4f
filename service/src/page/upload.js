// Sends a file in parts, and goes on where it stopped: after a broken connection, and after the page was
// closed. The protocol is tus 1.0.0.

import { base, errorOf, key } from "./api.js";

/// How much is sent in one request, in bytes.
const PART = 32 << 20;

/// The pauses after failures in a row, in seconds.
const PAUSES = [1, 2, 5, 10, 10, 30, 30, 60];

const wait = (seconds, signal) => new Promise((resolve, reject) => {
  const stop = () => reject(new DOMException("stopped", "AbortError"));
  if (signal.aborted) return stop();
  setTimeout(resolve, seconds * 1000);
  signal.addEventListener("abort", stop, { once: true });
});

const headers = (more) => ({ Authorization: `Bearer ${key()}`, "Tus-Resumable": "1.0.0", ...more });

/// The same file gets the same name, so that it is known again.
const nameOf = (file) => `avocet-upload:${file.name}:${file.size}:${file.lastModified}`;

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

async function begin(file, signal) {
  const more = { "Upload-Length": file.size, "Upload-Metadata": `filename ${base64(file.name)}` };
  const url = new URL("v1/uploads", base);
  const response = await fetch(url, { method: "POST", headers: headers(more), signal });
  if (!response.ok) throw await errorOf(response);
  return response.json();
}

/// How many bytes of an upload have come; null where it is not known any more.
async function offset(id, signal) {
  const response = await fetch(new URL(`v1/uploads/${id}`, base), { method: "HEAD", headers: headers(), signal });
  if (response.status === 404) return null;
  if (response.status === 401) dispatchEvent(new Event("signed-out"));
  if (!response.ok) throw Object.assign(new Error(`The service answered ${response.status}`), { status: response.status });
  return Number(response.headers.get("Upload-Offset"));
}

/// Sends one part; `fetch` does not tell how much was sent.
function send(id, file, from, signal, tell) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", new URL(`v1/uploads/${id}`, base));
    const all = headers({ "Content-Type": "application/offset+octet-stream", "Upload-Offset": from });
    for (const [name, value] of Object.entries(all)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => tell(from + event.loaded);
    request.onload = () => {
      if (request.status === 204) return resolve(Number(request.getResponseHeader("Upload-Offset")));
      let error;
      try {
        error = JSON.parse(request.responseText).error;
      } catch {
        error = { message: `The service answered ${request.status}` };
      }
      reject(Object.assign(new Error(error.message), { status: request.status }));
    };
    request.onerror = () => reject(new Error("the connection broke"));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file.slice(from, from + PART));
  });
}

/// Whether the same request can succeed later: broken connections, a full disk, a lost turn.
const passes = (error) => error.name !== "AbortError" && (!error.status || error.status === 409 || error.status >= 500);

/// Sends a file; returns `upload:ID`. `tell(sent, trouble)` is called as it goes on.
export async function upload(file, signal, tell) {
  let id = localStorage.getItem(nameOf(file));
  let [sent, failures] = [null, 0];
  for (;;) {
    try {
      if (id && sent === null) sent = await offset(id, signal);
      if (sent === null) {
        id = (await begin(file, signal)).uploadId;
        localStorage.setItem(nameOf(file), id);
        sent = 0;
      }
      tell(sent);
      while (sent < file.size) {
        sent = await send(id, file, sent, signal, tell);
        failures = 0;
      }
      localStorage.removeItem(nameOf(file));
      return `upload:${id}`;
    } catch (error) {
      if (!passes(error) || failures >= PAUSES.length) throw error;
      tell(sent ?? 0, `${error.message}; it goes on in ${PAUSES[failures]} s`);
      await wait(PAUSES[failures], signal);
      failures += 1;
      sent = null;
    }
  }
}
