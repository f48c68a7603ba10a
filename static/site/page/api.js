// Asking the service, and what it means when it refuses, in words.

import { pause, place, size } from "./dom.js";
import { headers } from "./key.js";

const MAX_BYTES = Number(place.dataset.maxBytes);
const WAIT_S = 5;
const LONGEST_WAIT_S = 60;

/** What the service would not do. `waitS` is set where trying again helps. */
export class Refusal extends Error {
  constructor(message, { status = 0, body = null, waitS = null } = {}) {
    super(message);
    Object.assign(this, { status, body, waitS });
  }
}

export const TOO_LARGE = `This file is too large: at most ${size(MAX_BYTES)} are accepted.`;
export const fits = (file) => file.size <= MAX_BYTES;

// Of the path below which a proxy puts the service, without its last slash.
const BASE = place.dataset.home.slice(0, -1);

/** An address of the service on this page's own origin, whatever name the service has for itself. */
export function here(address) {
  const url = new URL(address.startsWith("/") ? BASE + address : address, location.href);
  return url.pathname + url.search;
}

export async function ask(path, { method = "GET", body, signal } = {}) {
  let response;
  try {
    response = await fetch(here(path), { method, body, signal, headers: headers() });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
  const answer = parsed(await response.text().catch(() => ""));
  if (!response.ok) throw refusal(response.status, answer, response.headers.get("Retry-After"));
  const [operation, wait] = ["Operation-Id", "Retry-After"].map((name) => response.headers.get(name));
  return { status: response.status, body: answer, operation, waitS: seconds(wait) };
}

/** POST a form; unlike `ask` it tells how much has been sent. */
export function send(path, form, { onSent } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", here(path));
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onSent?.(event.loaded / event.total);
    request.onerror = () => reject(unreachable());
    request.onload = () => {
      const answer = parsed(request.responseText);
      if (request.status < 300) resolve(answer);
      else reject(refusal(request.status, answer, request.getResponseHeader("Retry-After")));
    };
    request.send(form);
  });
}

/** Do `work` until it is taken or refused for good; `onWait(words, seconds)` before each wait. */
export async function patiently(work, onWait = () => {}) {
  for (let failed = 0; ; failed += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refusal) || error.waitS === null) throw error;
      const waitS = Math.min(LONGEST_WAIT_S, Math.max(error.waitS, error.status ? 0 : 2 ** failed));
      onWait(error.message, waitS);
      await rest(waitS);
    }
  }
}

/** Wait, but no longer than until the network is back. */
export function rest(waitS) {
  const back = new Promise((resolve) => { addEventListener("online", resolve, { once: true }); });
  return Promise.race([pause(1000 * waitS * (1 + Math.random() / 5)), back]);
}

function unreachable() {
  const text = navigator.onLine ? "The service does not answer." : "You are offline.";
  return new Refusal(text, { waitS: 1 });
}

function refusal(status, body, retryAfter) {
  const mayAgain = status === 429 || status === 502 || status === 503 || status === 504;
  const waitS = mayAgain ? seconds(retryAfter) : null;
  return new Refusal(inWords(status, body), { status, body, waitS });
}

const seconds = (text) => (Number(text) > 0 ? Number(text) : WAIT_S);

function parsed(text) {
  try { return JSON.parse(text); } catch { return null; }
}

function inWords(status, body) {
  if (status === 413) return TOO_LARGE;
  const said = body?.message ?? body?.detail ?? Object.values(body ?? {}).flat().join(" ");
  if (typeof said === "string" && said) return said;
  return `The service answered with an error (${status}).`;
}
