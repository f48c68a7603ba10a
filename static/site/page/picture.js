// A picture with a box round each face, as large as there is room, the boxes crisp at any zoom.
//
// Boxes are in pixels of the upright image, and browsers show images upright (image-orientation:
// from-image), so a box is placed by its share of the picture's width and height.

import { el } from "./dom.js";
import { Draft } from "./draft.js";
import { isShown } from "./faces.js";
import { Newest } from "./newest.js";

const LARGEST = 2; // a small picture is shown at most at twice its size

export class Picture {
  element = el("div", { class: "stage" });
  image = null;
  #frame = null;
  #boxes = [];
  #url = null;
  #draft = null;
  #pictures = new Newest();

  /** Show a file, or the address of an image; false if the browser knows neither. */
  async show({ file, address, fallback, name }) {
    this.clear();
    const isNewest = this.#pictures.current();
    const url = file ? URL.createObjectURL(file) : null;
    for (const source of [url ?? address, fallback]) {
      if (!source) continue;
      const image = new Image();
      image.alt = name ?? "";
      image.src = source;
      const isKnown = await image.decode().then(() => true, () => false);
      if (!isNewest() || !isKnown) continue; // another picture was asked for meanwhile
      this.#url = url;
      this.#place(image);
      return true;
    }
    // Not before its end: the browser would miss what it still loads.
    if (url) URL.revokeObjectURL(url);
    return !isNewest();
  }

  /** Put boxes on it; `onPick(index)` when one is clicked. Returns whether they lie within it. */
  mark(faces, onPick) {
    this.#boxes.forEach((box) => box?.remove());
    this.#boxes = faces.map((face, index) => (isShown(face) ? this.#box(face.box, () => onPick(index)) : null));
    this.#frame?.append(...this.#boxes.filter(Boolean));
    const { naturalWidth = 0, naturalHeight = 0 } = this.image ?? {};
    return faces.every(({ box }) => box.right <= naturalWidth && box.bottom <= naturalHeight);
  }

  /** Words at a box, and how sure they are: "named", "sure", "guess" or "unknown". */
  label(index, text, certainty) {
    const box = this.#boxes[index];
    if (!box) return;
    Object.assign(box.dataset, { name: text, certainty });
    // Within the picture, also for a box at its edge.
    const middle = parseFloat(box.style.left) + parseFloat(box.style.width) / 2;
    box.dataset.side = middle < 15 ? "start" : middle > 85 ? "end" : "middle";
    box.dataset.above = parseFloat(box.style.top) + parseFloat(box.style.height) > 88;
  }

  /** Show it `factor` times as large; beyond 1 it is scrolled within its place. */
  zoom(factor) {
    this.element.style.setProperty("--zoom", factor);
    this.element.classList.toggle("zoomed", factor > 1);
    this.element.tabIndex = factor > 1 ? 0 : -1; // scrolled by the keys as well
  }

  /** Make one of the boxes stand out. */
  pick(index) {
    this.#boxes.forEach((box, each) => box?.classList.toggle("picked", each === index));
  }

  /** Let a box be drawn, by mouse, finger or keys: `onDrawn(box)` in pixels of the image. `{stop}`. */
  draw(onDrawn) {
    this.#draft?.stop();
    this.#draft = new Draft(this.#frame, this.image, onDrawn);
    return this.#draft;
  }

  clear() {
    this.#draft = null; // it goes with the frame
    this.#pictures.next();
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = this.image = this.#frame = null;
    this.#boxes = [];
    this.element.replaceChildren();
  }

  #place(image) {
    this.image = image;
    this.#frame = el("div", { class: "frame" }, image);
    this.#frame.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
    this.#frame.style.setProperty("--largest", `${LARGEST * image.naturalWidth}px`);
    this.element.replaceChildren(this.#frame);
  }

  #box({ top, right, bottom, left }, onclick) {
    const { naturalWidth: width, naturalHeight: height } = this.image ?? { naturalWidth: 1, naturalHeight: 1 };
    // For who points. The same faces stand below as buttons, large enough for a thumb.
    const box = el("div", { class: "box", "data-box": true, onclick });
    const share = (part, whole) => `${(100 * part) / whole}%`;
    box.style.left = share(left, width);
    box.style.top = share(top, height);
    box.style.width = share(right - left, width);
    box.style.height = share(bottom - top, height);
    return box;
  }
}
