// What others send, as it comes: newest first, a bounded number, and never moved under a pointer.

import { el, find, plural } from "./dom.js";
import { here } from "./api.js";

const SHOWN = 24;
const SOON_MS = 200;
const WHEN_BUSY_MS = 1000;

export class Live {
  #list = find("[data-feed]");
  #empty = find("[data-feed-empty]");
  #state = find("[data-feed-state]");
  #fresh = find("[data-feed-fresh]");
  #held = [];
  #timer = null;
  #drawnAt = 0;
  #countdown = null;
  #onOpen;

  constructor(onOpen) {
    this.#onOpen = onOpen;
    this.#fresh.addEventListener("click", () => {
      this.#list.scrollTop = 0;
      this.#flush();
    });
    for (const leave of ["pointerleave", "focusout"]) {
      this.#list.addEventListener(leave, () => this.#soon());
    }
  }

  /** An event with faces. */
  add(event) {
    this.#held.push(event);
    if (this.#held.length > SHOWN) this.#held.shift();
    this.#soon();
  }

  /** It turned out to be one's own. */
  drop(id) {
    this.#held = this.#held.filter((event) => event.submission_id !== id);
    find(`[data-id="${id}"]`, this.#list)?.remove();
    this.#tell();
  }

  state(kind, seconds) {
    clearInterval(this.#countdown);
    this.#state.dataset.state = kind;
    const words = { live: "Live", connecting: "Connecting …", closed: "Not connected" };
    this.#state.textContent = words[kind] ?? "";
    if (kind !== "waiting") return;
    const tell = () => {
      this.#state.textContent = `Connecting again in ${Math.max(1, seconds)} s`;
      seconds -= 1;
    };
    tell();
    this.#countdown = setInterval(tell, 1000);
  }

  gap() {
    find(".gap", this.#list)?.remove();
    this.#list.prepend(el("li", { class: "small quiet gap" }, "Earlier events are no longer available."));
  }

  clear() {
    this.#held = [];
    this.#list.replaceChildren();
    this.#tell();
  }

  // The first is drawn at once, and many that follow each other together.
  #soon() {
    const isBusy = performance.now() - this.#drawnAt < 2 * WHEN_BUSY_MS;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      const isInUse = this.#list.matches(":hover, :focus-within") || this.#list.scrollTop > 0;
      if (!isInUse || !this.#list.children.length) this.#flush();
      else this.#tell();
    }, isBusy ? WHEN_BUSY_MS : SOON_MS);
  }

  #flush() {
    this.#drawnAt = performance.now();
    this.#list.prepend(...this.#held.splice(0).reverse().map((event) => this.#tile(event)));
    while (this.#list.children.length > SHOWN) this.#list.lastElementChild.remove();
    this.#tell();
  }

  #tell() {
    this.#fresh.hidden = !this.#held.length;
    this.#fresh.textContent = `${this.#held.length} new`;
    this.#empty.hidden = this.#list.children.length > 0;
  }

  #tile(event) {
    const when = new Date(event.processed_at);
    const faces = plural(event.faces_count, "face");
    const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
    const image = el("img", { alt: "", decoding: "async", width: 160, height: 120 });
    sources.set(image, here(event.image_url));
    inSight.observe(image);
    image.addEventListener("load", () => { image.style.objectPosition = centred(image, event.faces); });
    image.addEventListener("error", () => image.classList.add("missing"));
    return el(
      "li",
      { "data-id": event.submission_id },
      el("button", { type: "button", "aria-label": `${faces}, ${time}`, onclick: () => this.#onOpen(event) },
        image,
        el("span", { class: "small" }, el("strong", {}, faces), el("time", { datetime: event.processed_at, class: "quiet" }, time))),
    );
  }
}

// These are whole pictures: only those that are looked at are loaded.
const sources = new WeakMap();
const inSight = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    inSight.unobserve(target);
    target.src = sources.get(target);
  }
});

/** Where to cut a picture to the tile's 4:3 so that its faces stay in sight, as `object-position`. */
function centred({ naturalWidth: width, naturalHeight: height }, faces) {
  const scale = Math.max(4 / width, 3 / height);
  const middle = (low, high) => (Math.min(...faces.map(({ box }) => box[low])) + Math.max(...faces.map(({ box }) => box[high]))) / 2;
  const share = (at, whole, seen) => {
    const spare = whole * scale - seen;
    return spare > 0 ? Math.round(100 * Math.min(1, Math.max(0, (at * scale - seen / 2) / spare))) : 50;
  };
  return `${share(middle("left", "right"), width, 4)}% ${share(middle("top", "bottom"), height, 3)}%`;
}
