// What was chosen, dropped, pasted or taken: sent four at a time, then followed to its end.
//
//   waiting → uploading → queued → processing → done | failed
//
// The feed tells how each ends. The status resource is asked for the oldest ones meanwhile, which
// is how "processing" is known, and for more of them while there is no feed.

import { ask, fits, patiently, Refusal, send, TOO_LARGE } from "./api.js";
import { nameDetector } from "./detector.js";
import { pause } from "./dom.js";
import { shownCount } from "./faces.js";

const PARALLEL = 4;
const EVERY_MS = 700;
const ASKED_WITH_FEED = 2;
const ASKED_WITHOUT = 8;
const EARLY_EVENTS = 500;

export class Uploads {
  items = [];
  #byId = new Map();
  #early = new Map();
  #sending = 0;
  #following = false;
  #isLive;
  #onChange;
  #onOwn;

  /** `onChange(item)` after each change; `onOwn(id)` when a submission turns out to be of this page. */
  constructor({ isLive, onChange, onOwn }) {
    this.#isLive = isLive;
    this.#onChange = onChange;
    this.#onOwn = onOwn;
  }

  add(files) {
    const added = [...files].map((file) => ({
      file, name: file.name || "picture.png", state: "waiting", note: "", sent: 0, faces: [], mayAgain: true,
    }));
    this.items.push(...added);
    this.#pump();
    return added;
  }

  /** Follow an image that was sent before; `resource` is what is known of it. */
  adopt(id, name = "Photo", resource = null) {
    const item = {
      id, name, state: "queued", note: "", sent: 1, faces: [], mayAgain: false,
      since: null, statusUrl: `/image/${id}/`, ...(resource && fromResource(resource)),
    };
    this.items.push(item);
    this.#byId.set(id, item);
    this.#follow();
    return item;
  }

  again(item) {
    this.#byId.delete(item.id); // what was sent before is not followed any more
    this.#change(item, { id: null, statusUrl: null, state: "waiting", note: "", sent: 0 });
    this.#pump();
  }

  /** Forget what has ended; returns it. */
  clear() {
    const [gone, kept] = [[], []];
    for (const item of this.items) (hasEnded(item) ? gone : kept).push(item);
    this.items = kept;
    for (const item of gone) this.remove(item);
    return gone;
  }

  remove(item) {
    this.items = this.items.filter((each) => each !== item);
  }

  /** An event of the feed; false if it is of somebody else's image. */
  take(event) {
    const item = this.#byId.get(event.submission_id);
    if (!item && this.#sending) {
      // It may be ahead of the answer to the upload.
      this.#early.set(event.submission_id, event);
      if (this.#early.size > EARLY_EVENTS) this.#early.delete(this.#early.keys().next().value);
    }
    if (item && !hasEnded(item)) this.#end(item, fromEvent(event));
    return Boolean(item);
  }

  #pump() {
    const waiting = this.items.filter((item) => item.state === "waiting" && !item.held);
    for (const item of waiting.slice(0, PARALLEL - this.#sending)) {
      this.#sending += 1;
      item.held = true;
      this.#send(item).finally(() => {
        item.held = false;
        this.#sending -= 1;
        if (!this.#sending) this.#early.clear();
        this.#pump();
      });
    }
  }

  async #send(item) {
    if (!fits(item.file)) {
      this.#change(item, { state: "failed", note: TOO_LARGE, mayAgain: false });
      return;
    }
    const onWait = (words) => this.#change(item, { state: "waiting", note: `${words} Trying again soon.`, sent: 0 });
    try {
      const accepted = await patiently(() => this.#post(item), onWait);
      this.#accepted(item, accepted);
    } catch (error) {
      const isRefusal = error instanceof Refusal;
      const note = isRefusal ? error.message : "This page has a fault. Please reload it.";
      // Also after a fault: an item that waits is sent again at once.
      this.#change(item, { state: "failed", note, mayAgain: error.status !== 400 && error.status !== 413 });
      if (!isRefusal) throw error;
    }
  }

  #post(item) {
    const form = nameDetector(new FormData());
    form.append("image", item.file, item.name);
    this.#change(item, { state: "uploading", note: "", since: Date.now() });
    return send("/image/", form, { onSent: (sent) => this.#change(item, { sent }) });
  }

  #accepted(item, { id, status_url: statusUrl }) {
    this.#byId.set(id, item);
    this.#onOwn(id);
    this.#change(item, { id, statusUrl, state: "queued" });
    const early = this.#early.get(id);
    if (early) this.#end(item, fromEvent(early));
    else this.#follow();
  }

  async #follow() {
    if (this.#following) return;
    this.#following = true;
    for (;;) {
      await pause(EVERY_MS);
      const open = this.items.filter((item) => item.id && !hasEnded(item));
      if (!open.length) break;
      const some = open.slice(0, this.#isLive() ? ASKED_WITH_FEED : ASKED_WITHOUT);
      const waits = await Promise.all(some.map((item) => this.#ask(item)));
      await pause(1000 * Math.max(0, ...waits));
    }
    this.#following = false;
  }

  /** Ask how an item is; returns for how many seconds to ask nothing. */
  async #ask(item) {
    const { statusUrl } = item;
    const isOver = () => hasEnded(item) || item.statusUrl !== statusUrl;
    try {
      const { body } = await ask(statusUrl);
      if (isOver()) return 0;
      if (body.status === "done" || body.status === "failed") this.#end(item, fromResource(body));
      else if (body.status !== item.state) this.#change(item, { state: body.status });
    } catch (error) {
      if (error.status === 404 && !isOver()) this.#end(item, { state: "failed", note: "It was erased.", mayAgain: Boolean(item.file) });
      return error.waitS ?? 1;
    }
    return 0;
  }

  #end(item, outcome) {
    this.#change(item, { ...outcome, tookMs: item.since && Date.now() - item.since });
  }

  #change(item, values) {
    Object.assign(item, values);
    this.#onChange(item);
  }
}

/** How many faces were found; their boxes may come later. */
export const countOf = (item) => item.count ?? shownCount(item.faces);

const hasEnded = (item) => item.state === "done" || item.state === "failed";

export const fromEvent = (event) => ({
  state: event.outcome === "failed" ? "failed" : "done",
  faces: event.faces,
  note: event.reason ?? "",
  imageUrl: event.image_url,
});

export const fromResource = (resource) => ({
  state: resource.status,
  faces: resource.faces ?? [], // a list has only their number
  count: resource.faces_count,
  note: resource.reason ?? "",
  imageUrl: resource.image_url,
  originalUrl: resource.original_url,
});
