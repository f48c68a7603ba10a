// One image looked at: the picture with its boxes, and below it each face.

import { announce, el, plural } from "./dom.js";
import { crop, details, isShown } from "./faces.js";
import { Newest } from "./newest.js";
import { Picture } from "./picture.js";

const LARGE_STRIP = 24;
const LARGEST_ZOOM = 8;

export class Viewer {
  #picture = new Picture();
  #title = el("p", { class: "title" });
  #says = el("p", { class: "quiet" });
  #tools = el("div", { class: "row" });
  #strip = el("div", { class: "strip", role: "group", "aria-label": "Faces" });
  #panel = el("div", { class: "panel" });
  #zoomed = 1;
  #zooms = [["Zoom out", "−", 0.5], ["Zoom in", "+", 2]].map(([label, sign, by]) =>
    el("button", { type: "button", class: "button slim", "aria-label": label, onclick: () => this.#zoom(this.#zoomed * by) }, sign));
  #faces = [];
  #picked = 0;
  #thumbs = [];
  #shown = null;
  #images = new Newest();

  /** `asks(index)` is what is asked about a face, beside what is measured of it: an element, or null. */
  asks = () => null;

  constructor(element) {
    element.append(
      this.#picture.element,
      el("div", { class: "caption" }, el("div", {}, this.#title, this.#says), el("div", { class: "row" }, ...this.#zooms, this.#tools)),
      this.#strip,
      this.#panel,
    );
    this.#strip.addEventListener("keydown", (event) => this.#step(event));
    this.#zoom(1);
  }

  get image() {
    return this.#picture.image;
  }

  /** Show an image, and whether that went; its faces come later. `source` as in `Picture.show`. */
  async show(source, { title, says }) {
    this.#images.next();
    this.#clearFaces();
    this.#zoom(1);
    this.#title.textContent = title;
    this.say(says);
    this.#tools.replaceChildren();
    this.#shown = source;
    const isShown = await this.#picture.show(source);
    if (!isShown) this.blank(why(source));
    return isShown;
  }

  /** Buttons for what can be done with the image. */
  tools(buttons) {
    this.#tools.replaceChildren(...buttons);
  }

  say(text, isBad = false) {
    this.#says.textContent = text;
    this.#says.classList.toggle("bad", isBad);
  }

  /** Words where the picture would be. */
  blank(text) {
    this.#picture.element.replaceChildren(el("p", { class: "quiet blank" }, text));
  }

  clear() {
    this.#images.next();
    this.#clearFaces();
    this.#picture.clear();
    this.#title.textContent = this.#says.textContent = "";
    this.#tools.replaceChildren();
  }

  /** Put the boxes on the picture, as soon as they are known. */
  mark(faces) {
    return this.#picture.mark(faces, (index) => this.pick(index, true));
  }

  /** All about the faces: `[{box, encoding, quality}]`. */
  async found(faces) {
    const isNewest = this.#images.current();
    if (!this.mark(faces) && this.#shown.fallback) {
      // The browser has not turned it upright as the service does: show how the service sees it.
      await this.#picture.show({ address: this.#shown.fallback, name: this.#shown.name });
      if (!isNewest()) return;
      this.mark(faces);
    }
    this.#faces = faces;
    this.#thumbs = faces.map((face, index) => (isShown(face) ? this.#thumb(face, index) : null));
    this.#strip.replaceChildren(...this.#thumbs.filter(Boolean));
    this.#strip.classList.toggle("dense", faces.length > LARGE_STRIP);
    const first = faces.findIndex(isShown);
    if (first >= 0) this.pick(first);
  }

  pick(index, isAsked = false) {
    this.#picked = index;
    this.#picture.pick(index);
    this.#thumbs.forEach((thumb, each) => thumb?.setAttribute("aria-pressed", String(each === index)));
    this.#panel.replaceChildren(details(this.#faces[index], index, this.image));
    this.question();
    if (isAsked) announce(`Face ${index + 1} of ${plural(this.#faces.length, "face")}`);
  }

  /** A name at a face; `certainty` as in `Picture.label`. */
  label(index, text, certainty) {
    this.#picture.label(index, text, certainty);
    const thumb = this.#thumbs[index];
    if (!thumb) return;
    thumb.setAttribute("aria-label", certainty === "unknown" ? this.#labelOf(index) : `${this.#labelOf(index)}: ${text}`);
  }

  /** Ask about the face that is picked, or ask it anew. */
  question() {
    const [about] = this.#panel.querySelectorAll(".about");
    const question = about && this.asks(this.#picked);
    if (question && question.parentElement !== about) about.querySelector("dl").before(question);
  }

  #zoom(factor) {
    this.#zoomed = Math.min(LARGEST_ZOOM, Math.max(1, factor));
    this.#picture.zoom(this.#zoomed);
    const [out, into] = this.#zooms;
    out.disabled = this.#zoomed === 1;
    into.disabled = this.#zoomed === LARGEST_ZOOM;
  }

  /** From face to face by the arrow keys. */
  #step(event) {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    let next = this.#picked + move;
    while (this.#thumbs[next] === null) next += move; // hidden by hand
    if (!this.#thumbs[next]) return;
    event.preventDefault();
    this.pick(next, true);
    this.#thumbs[next].focus();
  }

  #thumb(face, index) {
    return el(
      "button",
      { type: "button", class: "thumb", "aria-label": this.#labelOf(index), "aria-pressed": "false", onclick: () => this.pick(index, true) },
      this.image ? crop(this.image, face.box, 128) : String(index + 1),
    );
  }

  #labelOf(index) {
    return `Face ${index + 1} of ${this.#faces.length || "all"}`;
  }

  #clearFaces() {
    this.#faces = this.#thumbs = [];
    this.#strip.replaceChildren();
    this.#panel.replaceChildren();
  }
}

const why = ({ file, address }) => (file || address ? "Your browser cannot show this kind of file. The service's picture appears here when the faces were found." : "");
