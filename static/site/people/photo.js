// One photo: each face with its name, and one face at a time to be named.

import { here } from "../page/api.js";
import { announce, el, plural } from "../page/dom.js";
import { shownCount, crop, isShown } from "../page/faces.js";
import { Picture } from "../page/picture.js";
import { words } from "../page/row.js";
import { openFaces, verdict } from "../page/verdicts.js";
import { Why } from "./why.js";

const DENSE = 8;

export class Photo {
  item = null;
  index = null;
  #picture = new Picture();
  #says = el("p", { class: "title" });
  #strip = el("div", { class: "strip names", role: "group", "aria-label": "Faces" });
  #form;
  #input = el("input", { id: "who", name: "who", autocomplete: "off", list: "people-names", maxlength: 200, placeholder: "A name" });
  #names = el("datalist", { id: "people-names" });
  #label = el("label", { for: "who" }, "Who is this?");
  #not = el("button", { type: "button", class: "button", hidden: true });
  #nothing = el("button", { type: "button", class: "button bare" }, "Not a face");
  #missed = el("button", { type: "button", class: "button slim", hidden: true }, "Box a missed face");
  #why;
  #thumbs = [];
  #marked = null;
  #shown = null;

  /**
   * `onName(item, index, name)`, `onNot(item, index)`, `onNothing(item, index)` of a box without a
   * face, `onDraw(item, box)` of a face that was missed; `onNext()` leaves the face as it is.
   * `cropOf(candidate)` is the address of a known face's picture.
   */
  constructor(element, { onName, onNot, onNothing, onDraw, onNext, cropOf }) {
    this.#why = new Why(cropOf);
    const skip = el("button", { type: "button", class: "button bare", onclick: onNext }, "Skip");
    this.#form = el("form", { class: "naming", hidden: true, onsubmit: (event) => {
      event.preventDefault();
      const name = this.#input.value.trim();
      if (name) onName(this.item, this.index, name);
    } },
    el("div", { class: "portrait" }),
    el("div", { class: "field grow" }, this.#label, this.#input, this.#names),
    el("div", { class: "row" }, el("button", { class: "button main" }, "Save name"), this.#not, this.#nothing, skip), this.#why.element);
    this.#nothing.addEventListener("click", () => onNothing(this.item, this.index));
    this.#missed.addEventListener("click", () => {
      const { item } = this;
      this.#picture.draw((box) => onDraw(item, box));
    });
    this.#not.addEventListener("click", () => onNot(this.item, this.index));
    element.append(this.#picture.element, el("div", { class: "caption" }, this.#says, this.#missed), this.#form, this.#strip);
  }

  /** Names to complete. */
  know(people) {
    this.#names.replaceChildren(...people.filter(({ name }) => name).map(({ name }) => el("option", { value: name })));
  }

  /** Show an item of `Uploads`, and one of its faces. */
  async open(item, index = null) {
    const isOther = item !== this.item;
    this.item = item;
    if (isOther) {
      this.index = null;
      this.#shown = null;
      this.#form.hidden = this.#missed.hidden = true;
      this.#marked = null;
      this.#strip.replaceChildren();
    }
    // Before the picture is there: what is typed meanwhile belongs to this face.
    if (index !== null && item.state === "done") this.pick(index);
    await this.changed(item);
  }

  /** The item has got further, or its names have changed. */
  async changed(item) {
    if (item !== this.item) return;
    this.#say();
    const shown = this.#shown ??= this.#show(item);
    await shown;
    if (item !== this.item || item.state !== "done") return;
    // It was left and opened again meanwhile, or there is more to be shown since it is done.
    if (shown !== this.#shown) { await this.changed(item); return; }
    if (this.#marked !== item.faces) this.#mark();
    this.#relabel();
    if (this.index !== null && !(item.faces[this.index] && isShown(item.faces[this.index]))) this.index = null;
    const first = openFaces(item)[0] ?? item.faces.findIndex(isShown);
    this.#form.hidden = first < 0;
    if (this.index === null && first >= 0) this.pick(first, false);
    else if (this.index !== null) {
      this.#point();
      this.#ask();
    }
  }

  pick(index, isAsked = true) {
    this.index = index;
    this.#point();
    const { label } = verdict(this.item, index);
    this.#form.hidden = false;
    this.#input.value = "";
    this.#ask();
    if (!isAsked) return;
    announce(`Face ${index + 1} of ${this.item.faces.length}: ${label}`);
    this.#input.focus({ preventScroll: true });
    this.#input.select();
  }

  /** Make the chosen face stand out. */
  #point() {
    const { image } = this.#picture;
    this.#picture.pick(this.index);
    this.#thumbs.forEach((thumb, each) => thumb?.setAttribute("aria-pressed", String(each === this.index)));
    this.#form.firstChild.replaceChildren(image ? crop(image, this.item.faces[this.index].box, 144) : "");
  }

  #ask() {
    const { kind, name, best } = verdict(this.item, this.index);
    this.#label.textContent = { named: "This is", sure: "This is", hidden: "A hidden person", guess: `Is this ${name}?`, unknown: "Who is this?" }[kind];
    this.#not.hidden = !best;
    this.#why.about(best, this.item.candidates?.[this.index]);
    this.#not.textContent = `Not ${name}`;
    // A name that is being typed stays.
    const isTyped = this.#input.value && this.#input.value !== this.#input.dataset.proposed;
    if (!isTyped && this.#input.value !== name) {
      this.#input.value = name;
      if (document.activeElement === this.#input) this.#input.select(); // so that typing replaces it
    }
    this.#input.dataset.proposed = name;
  }

  #say() {
    const { item } = this;
    if (item.state !== "done") this.#says.textContent = `${item.name}: ${words(item)}`;
    else if (!shownCount(item.faces)) this.#says.textContent = `${item.name}: no face was found`;
    else {
      const open = openFaces(item).length;
      this.#says.textContent = `${item.name}: ${plural(shownCount(item.faces), "face")}, ${open ? `${open} to name` : "all named"}`;
    }
  }

  async #show(item) {
    const mayGetMore = item.state !== "done" && item.state !== "failed";
    const isWell = await this.#picture.show({
      file: item.file, name: item.name,
      address: item.originalUrl && here(item.originalUrl),
      fallback: item.imageUrl && here(item.imageUrl),
    });
    // Not known before it is done: the address of what this page has not sent, or a format that browsers do not know.
    if (!isWell && mayGetMore) this.#shown = null;
  }

  #mark() {
    const { item } = this;
    this.#marked = item.faces;
    this.#missed.hidden = !this.#picture.image;
    this.#picture.mark(item.faces, (index) => this.pick(index));
    this.#picture.element.classList.toggle("many", item.faces.length > DENSE);
    this.#thumbs = item.faces.map((face, index) => isShown(face) && el("button",
      { type: "button", class: "thumb", "aria-pressed": "false", onclick: () => this.pick(index) },
      this.#picture.image ? crop(this.#picture.image, face.box, 128) : null, el("span", {})) || null);
    this.#strip.replaceChildren(...this.#thumbs.filter(Boolean));
  }

  #relabel() {
    this.item.faces.forEach((_, index) => {
      const { kind, label } = verdict(this.item, index);
      this.#picture.label(index, label, kind);
      const thumb = this.#thumbs[index];
      if (!thumb) return;
      thumb.lastChild.textContent = label;
      thumb.dataset.certainty = kind;
      thumb.setAttribute("aria-label", `Face ${index + 1}: ${label}`);
    });
  }
}
