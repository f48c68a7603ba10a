// What the page asks about faces of the uploads, one set of crops at a time: shared by both kinds.

import { announce, find } from "../page/dom.js";
import { Choices } from "./choices.js";

export class Review {
  current = null;
  choices;
  #section;
  #sets = [];
  #skipped = new Set();
  #answered = new Set();
  #load;
  #draw;
  #loading = null;
  #isStale = false;

  /** `load()` gives sets with `faces`; `draw(set, left)` shows one of `left`, and is repeated after each answer. */
  constructor(section, { load, draw, words }) {
    this.#section = section;
    this.#load = load;
    this.#draw = draw;
    this.words = words;
    this.choices = new Choices(() => this.#show());
    find("[data-crops]", section).append(this.choices.element);
    find("[data-skip]", section).addEventListener("click", () => this.#skip());
  }

  /** Ask for the sets, once at a time; while that is being done, once more. */
  load() {
    this.#isStale = true;
    this.#loading ??= this.#again().finally(() => { this.#loading = null; });
    return this.#loading;
  }

  async #again() {
    while (this.#isStale) {
      this.#isStale = false;
      this.#sets = await this.#load();
    }
    this.#show();
  }

  /** The set that is shown was answered: another one at once. What is asked until `saved` does not know of it. */
  answered(saved) {
    const key = keyOf(this.current);
    this.#answered.add(key);
    this.#show();
    saved.finally(() => {
      this.#answered.delete(key);
      this.#show();
    });
  }

  /** The set that is shown stays; else the first that was not skipped. */
  #show() {
    const left = this.#sets.filter((set) => !this.#skipped.has(keyOf(set)) && !this.#answered.has(keyOf(set)));
    const shown = this.current && keyOf(this.current);
    this.current = left.find((set) => keyOf(set) === shown) ?? left[0] ?? null;
    this.#section.hidden = !this.current;
    if (!this.current) return;
    this.choices.show(this.current.faces, this.words(this.current));
    this.#draw(this.current, left.length);
  }

  #skip() {
    if (this.current) this.#skipped.add(keyOf(this.current));
    this.#show();
    announce(this.#section.hidden ? "Nothing more to answer" : "The next ones");
  }
}

const keyOf = ({ contact_id: contact, faces: [{ submission, face }] }) => contact ?? `${submission} ${face}`;
