// The feed of events: connects again when it breaks, and goes on behind the last event it had.

import { ask, here } from "./api.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
const STEADY_MS = 5000;
const NEEDS_TOKEN = 4401;
const REMEMBERED = 5000;

export class Feed {
  #since;
  #address = "/faces";
  #pauseMs = FIRST_PAUSE_MS;
  #socket = null;
  #waiting = null;
  #seen = new Set();
  #isFirst = true;
  #on;

  /**
   * Hear of all since an event's id, or a moment in milliseconds.
   * `on` has `event(event)`, `gap()`, and `state("live" | "connecting" | "waiting" | "closed", seconds)`.
   */
  constructor(since, on) {
    this.#since = since;
    this.#on = on;
    addEventListener("online", () => this.#now());
    document.addEventListener("visibilitychange", () => document.hidden || this.#now());
  }

  get isLive() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Listen at `address`, which may hold a token. */
  open(address = this.#address) {
    this.close();
    this.#address = address;
    this.#connect();
  }

  close() {
    clearTimeout(this.#waiting);
    this.#waiting = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #connect() {
    this.#on.state("connecting");
    const url = new URL(here(this.#address), location.href.replace(/^http/, "ws"));
    url.searchParams.set("outcomes", "all");
    url.searchParams.set("since", this.#since);
    const socket = new WebSocket(url);
    const isFirst = this.#isFirst;
    this.#socket = socket;
    socket.onopen = () => {
      if (this.#socket !== socket) return;
      this.#isFirst = false;
      this.#on.state("live");
      setTimeout(() => { if (this.#socket === socket && this.isLive) this.#pauseMs = FIRST_PAUSE_MS; }, STEADY_MS);
    };
    socket.onmessage = ({ data }) => this.#socket === socket && this.#take(JSON.parse(data), isFirst);
    socket.onclose = ({ code }) => this.#socket === socket && this.#lost(code);
  }

  #take(event, isFirst) {
    this.#pauseMs = FIRST_PAUSE_MS;
    if (!("submission_id" in event)) {
      if (!isFirst) this.#on.gap(); // at the start nobody misses what is no longer kept
      return;
    }
    this.#since = event.event_id;
    if (this.#seen.has(event.submission_id)) return;
    this.#seen.add(event.submission_id);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.values().next().value);
    this.#on.event(event);
  }

  #lost(code) {
    this.#socket = null;
    const pauseMs = this.#pauseMs * (0.5 + Math.random() / 2);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
    this.#on.state("waiting", Math.ceil(pauseMs / 1000));
    this.#waiting = setTimeout(() => this.#again(code), pauseMs);
  }

  async #again(code) {
    this.#waiting = null;
    if (code === NEEDS_TOKEN && !(await this.#renew())) return;
    this.#connect();
  }

  /** A new token; false where there is none to be had. */
  async #renew() {
    try {
      this.#address = (await ask("/client/")).body.feed_url;
    } catch (error) {
      if (error.status === 401 || error.status === 403) {
        this.#on.state("closed");
        return false;
      }
    }
    return true;
  }

  #now() {
    if (this.#waiting === null) return;
    clearTimeout(this.#waiting);
    this.#waiting = null;
    this.#connect();
  }
}
