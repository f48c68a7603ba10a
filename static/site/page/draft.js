// A box that is being drawn on a picture: dragged by mouse or finger, or moved and sized by keys.

import { announce, el } from "./dom.js";

const SMALLEST_PX = 8;
const STEP = 0.02;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HELP = "New box: arrows move it, Shift and arrows size it, Enter keeps it, Escape gives it up";

export class Draft {
  #frame;
  #size;
  #onDrawn;
  #box = { left: 0.375, top: 0.375, width: 0.25, height: 0.25 }; // shares of the picture
  #from = null;
  #element = el("button", { type: "button", class: "box draft picked", "aria-label": HELP, onclick: () => this.#end() });
  #listeners = new AbortController();

  constructor(frame, image, onDrawn) {
    this.#frame = frame;
    this.#size = [image.naturalWidth, image.naturalHeight];
    this.#onDrawn = onDrawn;
    // A square, as faces are boxed.
    this.#box.height = Math.min(0.8, (this.#box.width * this.#size[0]) / this.#size[1]);
    this.#box.top = (1 - this.#box.height) / 2;
    const { signal } = this.#listeners;
    this.#element.addEventListener("keydown", (event) => this.#onKey(event));
    for (const [kind, act] of [["pointerdown", this.#onDown], ["pointermove", this.#onMove], ["pointerup", this.#onUp], ["pointercancel", () => { this.#from = null; }]]) {
      frame.addEventListener(kind, (event) => act.call(this, event), { signal });
    }
    frame.classList.add("drawing");
    frame.append(this.#element);
    this.#draw();
    this.#element.focus({ preventScroll: true });
    announce(HELP);
  }

  stop() {
    this.#listeners.abort();
    this.#frame.classList.remove("drawing");
    this.#element.remove();
  }

  #end() {
    this.stop();
    const [width, height] = this.#size;
    const { left, top, width: across, height: down } = this.#box;
    this.#onDrawn({
      top: Math.round(top * height), right: Math.round((left + across) * width),
      bottom: Math.round((top + down) * height), left: Math.round(left * width),
    });
  }

  #place({ clientX, clientY }) {
    const { left, top, width, height } = this.#frame.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height].map((share) => Math.min(1, Math.max(0, share)));
  }

  #onDown(event) {
    if (event.button) return;
    event.preventDefault(); // the browser would drag the picture
    this.#frame.setPointerCapture(event.pointerId);
    this.#from = this.#place(event);
  }

  #onMove(event) {
    if (!this.#from) return;
    const to = this.#place(event);
    const [left, top] = to.map((share, axis) => Math.min(share, this.#from[axis]));
    const [width, height] = to.map((share, axis) => Math.abs(share - this.#from[axis]));
    this.#box = { left, top, width, height };
    this.#draw();
  }

  #onUp(event) {
    if (!this.#from) return;
    this.#onMove(event);
    this.#from = null;
    const sides = [this.#box.width * this.#size[0], this.#box.height * this.#size[1]];
    if (Math.min(...sides) >= SMALLEST_PX) this.#end();
  }

  #onKey(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.stop();
    }
    const way = ARROWS[event.key];
    if (!way) return;
    event.preventDefault();
    const box = this.#box;
    const [x, y] = way.map((each) => each * STEP);
    if (event.shiftKey) Object.assign(box, { width: box.width + x, height: box.height + y });
    else Object.assign(box, { left: box.left + x, top: box.top + y });
    box.width = Math.min(1, Math.max(STEP, box.width));
    box.height = Math.min(1, Math.max(STEP, box.height));
    box.left = Math.min(1 - box.width, Math.max(0, box.left));
    box.top = Math.min(1 - box.height, Math.max(0, box.top));
    this.#draw();
  }

  #draw() {
    for (const [side, share] of Object.entries(this.#box)) this.#element.style.setProperty(side, `${100 * share}%`);
  }
}
