// The image that is looked at: shown at once, its faces as soon as they are known.

import { ask, here, Refusal } from "./api.js";
import { announce, el, plural } from "./dom.js";
import { byDetector } from "./faces.js";
import { words } from "./row.js";
import { countOf } from "./uploads.js";

export class Stage {
  item = null;
  #viewer;
  #names;
  #onErased;
  #shown = null;
  #isComplete = false;

  /** `names` shows whose faces they are. */
  constructor(viewer, names, onErased) {
    this.#viewer = viewer;
    this.#names = names;
    this.#onErased = onErased;
  }

  /** Look at an item of `Uploads`, or at one like it without a file. */
  look(item) {
    this.item = item;
    this.#names.leave();
    this.#isComplete = false;
    this.#shown = this.#show(item);
    return this.changed(item);
  }

  /** The item has got further. */
  async changed(item) {
    if (item !== this.item) return;
    this.#viewer.say(said(item), item.state === "failed");
    const shown = this.#shown;
    const isShown = await shown;
    const isLeft = () => item !== this.item || shown !== this.#shown; // it may have been opened again since
    if (isLeft()) return;
    if (item.state === "failed" && !isShown) this.#viewer.blank("There is no picture to show.");
    if (item.state !== "done" || this.#isComplete) return;
    this.#isComplete = true;
    if (!isShown && item.imageUrl) await this.#show(item);
    if (!isLeft()) await this.#complete(item, isLeft);
  }

  clear() {
    this.item = null;
    this.#names.leave();
    this.#viewer.clear();
  }

  #show(item) {
    const address = item.originalUrl && here(item.originalUrl);
    const fallback = item.imageUrl && here(item.imageUrl);
    return this.#viewer.show({ file: item.file, address, fallback, name: item.name }, { title: item.name, says: said(item) });
  }

  async #complete(item, isLeft) {
    this.#viewer.mark(item.faces); // at once; all else about them takes another question
    this.#viewer.tools(this.#tools(item));
    announce(`${item.name}: ${words(item)}`);
    if (!countOf(item)) return;
    try {
      item.full ??= byDetector((await ask(`/image/${item.id}/faces/`)).body);
      if (isLeft()) return;
      item.faces = item.full; // a list has only their number
      await this.#viewer.found(item.full);
      if (!isLeft()) await this.#names.about(item);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (!isLeft()) this.#viewer.say(error.status === 404 ? "It was erased." : error.message, true);
    }
  }

  #tools(item) {
    const erase = () => confirm(`Erase ${item.name} and its results from the service?`) && this.#erase(item);
    const result = item.imageUrl && el("a", { class: "button slim", href: here(item.imageUrl), download: `${item.name}-faces.jpg` }, "Save with boxes");
    const name = countOf(item) > 0 && el("a", { class: "button slim", href: here(`/people/?image=${item.id}`) }, "Name the people");
    const button = el("button", { class: "button slim", type: "button", onclick: erase }, "Erase");
    return [name, result, button].filter(Boolean);
  }

  async #erase(item) {
    try {
      await ask(`/image/${item.id}/`, { method: "DELETE" });
      announce(`${item.name} was erased`);
      this.#onErased(item);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (item === this.item) this.#viewer.say(error.message, true);
    }
  }
}

function said(item) {
  if (item.state === "failed") return item.note;
  if (item.state !== "done") return words(item);
  const took = item.tookMs ? `, ${(item.tookMs / 1000).toFixed(1)} s after it was sent` : "";
  return countOf(item) ? `${plural(countOf(item), "face")}${took}` : `No face was found${took}`;
}
