// New faces: those of the uploads that show no known person, group by group.

import { announce, find, plural } from "../page/dom.js";
import { Choices } from "./choices.js";

const WORDS = { yes: "This person", no: "Another" };
const section = find("[data-new]");

export class NewFaces {
  #gallery;
  #groups = [];
  #skipped = new Set();
  #says = find("[data-new-says]", section);
  #form = find("[data-new-form]", section);
  #input = find("#new-name", section);
  #choices = new Choices(() => this.#count());
  #loading = null;
  #isStale = false;
  #current = null;

  /** `onName(faces, name)` names these; it is off where the service groups no faces. */
  constructor(gallery, onName) {
    this.#gallery = gallery;
    if (!this.#form) return;
    find("[data-new-faces]", section).append(this.#choices.element);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [name, faces] = [this.#input.value.trim(), this.#choices.of("yes")];
      if (!name || !faces.length) return;
      this.#next();
      onName(faces, name);
    });
    find("[data-new-skip]", section).addEventListener("click", () => this.#skip());
  }

  /** Ask for the groups, once at a time; where it is being done, once more. */
  load() {
    if (!this.#form) return null;
    this.#isStale = true;
    this.#loading ??= this.#load().finally(() => { this.#loading = null; });
    return this.#loading;
  }

  async #load() {
    while (this.#isStale) {
      this.#isStale = false;
      this.#groups = await this.#gallery().newFaces();
    }
    this.#show();
  }

  /** The group that is shown stays; else the first that was not skipped. */
  #show() {
    const left = this.#groups.filter((group) => !this.#skipped.has(keyOf(group)));
    const current = this.#current && keyOf(this.#current);
    this.#current = left.find((group) => keyOf(group) === current) ?? left[0] ?? null;
    section.hidden = !this.#current;
    if (!this.#current) return;
    this.#says.textContent = `${plural(left.length, "person", "people")} to name`;
    this.#choices.show(this.#current.faces, WORDS);
    this.#count();
  }

  #count() {
    const count = this.#choices.of("yes").length;
    const button = find("[data-new-save]", section);
    button.disabled = !count;
    button.textContent = count === 1 ? "Name this face" : `Name these ${count} faces`;
  }

  #skip() {
    if (this.#current) this.#skipped.add(keyOf(this.#current));
    this.#next();
    announce(section.hidden ? "No more new faces" : "The next new face");
  }

  /** Another group, at once: this one is being named. */
  #next() {
    this.#groups = this.#groups.filter((group) => group !== this.#current);
    this.#input.value = "";
    this.#show();
    if (!section.hidden) this.#input.focus();
  }
}

const keyOf = ({ faces: [{ submission, face }] }) => `${submission} ${face}`;
