// Names on the image that is looked at, and a field to name the face that is picked.

import { el } from "./dom.js";
import { Gallery } from "./gallery.js";
import { Naming } from "./naming.js";
import { openFaces, verdict } from "./verdicts.js";

const WORDS = { named: "This is", sure: "This is", hidden: "A hidden person", unknown: "Who is this?" };

export class Names {
  /** A key may be without the right to recognise people. */
  isAllowed = true;
  #viewer;
  #gallery = null;
  #item = null;
  #index = null;
  #label = el("label", { for: "who" });
  #input = el("input", { id: "who", name: "who", autocomplete: "off", list: "people-names", maxlength: 200, placeholder: "A name" });
  #names = el("datalist", { id: "people-names" });
  #not = el("button", { type: "button", class: "button slim", hidden: true, onclick: () => this.#naming.refuse(this.#item, this.#index) });
  #says = el("p", { class: "small bad", role: "alert" });
  #form = el("form", { class: "question", onsubmit: (event) => this.#save(event) },
    el("div", { class: "field" }, this.#label, this.#input, this.#names),
    el("div", { class: "row" }, el("button", { class: "button main slim" }, "Save name"), this.#not), this.#says);
  #naming = new Naming({
    gallery: () => this.#gallery,
    redraw: (item) => this.#redraw(item),
    refresh: (item) => this.#compare(item),
    reopen: (item, index) => item === this.#item && this.#viewer.pick(index),
    denied: () => {},
    refused: (words) => { this.#says.textContent = words; },
  });

  constructor(viewer) {
    this.#viewer = viewer;
    viewer.asks = (index) => this.#ask(index);
  }

  /** Another item is looked at: its names are shown once `about` it. */
  leave() {
    this.#item = null;
    this.#form.remove();
  }

  /** The faces of this item are shown: whose are they? */
  about(item) {
    if (!this.isAllowed) return null;
    this.#item = item;
    this.#says.textContent = "";
    return this.#naming.guarded(async () => {
      this.#gallery ??= await Gallery.first();
      await this.#compare(item);
    });
  }

  async #compare(item) {
    const asked = item.asked = Symbol("a question");
    await this.#gallery.load();
    const candidates = await this.#gallery.recognise(item.id);
    if (asked !== item.asked) return; // it was asked again meanwhile, and that answer is newer
    item.candidates = candidates;
    this.#names.replaceChildren(...this.#gallery.people.filter(({ name }) => name).map(({ name }) => el("option", { value: name })));
    this.#redraw(item);
  }

  #redraw(item) {
    if (item !== this.#item) return;
    item.faces.forEach((_, index) => {
      const { kind, label } = verdict(item, index);
      this.#viewer.label(index, label, kind);
    });
    this.#viewer.question();
  }

  /** What is asked about a face: an element, null for nothing. */
  #ask(index) {
    const item = this.#item;
    if (!item?.asked || !item.faces[index]) return null;
    const isOther = index !== this.#index || this.#input.dataset.item !== item.id;
    this.#index = index;
    this.#input.dataset.item = item.id;
    const { kind, name, best } = verdict(item, index);
    this.#label.textContent = WORDS[kind] ?? `Is this ${name}?`;
    this.#not.hidden = !best;
    this.#not.textContent = `Not ${name}`;
    // A name that is being typed stays.
    if (isOther || this.#input.value === this.#input.dataset.proposed) this.#input.value = name;
    this.#input.dataset.proposed = name;
    return this.#form;
  }

  /** And on to the next face without a name. */
  #save(event) {
    event.preventDefault();
    const [item, index, name] = [this.#item, this.#index, this.#input.value.trim()];
    if (!item || !name) return;
    this.#naming.name(item, index, name);
    const open = openFaces(item);
    const next = open.find((each) => each > index) ?? open[0];
    if (next === undefined) return;
    this.#viewer.pick(next, true);
    this.#input.focus({ preventScroll: true });
  }
}
