// Why a face is taken for a person: both faces, how sure that is in words, and who else comes near.

import { el } from "../page/dom.js";
import { fill } from "./tiles.js";

// The bands of docs/confidence.md.
const BANDS = {
  sure: "Sure: of 20 such answers fewer than 1 is wrong.",
  likely: "Likely: of 3 such answers fewer than 1 is wrong.",
  possible: "Possible: such answers are wrong more often than 1 time in 3.",
};

export class Why {
  element = el("details", { class: "why", hidden: true, ontoggle: () => this.#fill() }, el("summary", {}, "Why?"));
  #content = el("div", {});
  #cropOf;
  #asked = null;

  /** `cropOf(candidate)` is the address of the picture of the known face. */
  constructor(cropOf) {
    this.#cropOf = cropOf;
    this.element.append(this.#content);
  }

  /** About this answer, `best` of `candidates`; null where nobody is recognised. */
  about(best, candidates = []) {
    this.element.hidden = !best;
    // The photo is compared again after each name: the same answer stays as it is.
    const key = JSON.stringify([best, candidates]);
    if (this.#asked?.key === key) return;
    this.#asked = { key, best, candidates };
    this.#content.replaceChildren();
    this.#fill();
  }

  #fill() {
    const { best, candidates } = this.#asked ?? {};
    if (!best || !this.element.open || this.#content.children.length) return;
    const known = el("span", { class: "portrait" });
    fill(known, this.#cropOf(best));
    const rivals = candidates.filter((each) => each !== best);
    this.#content.append(
      el("figure", {}, known, el("figcaption", { class: "small" }, `The nearest face of ${nameOf(best)}`)),
      el("div", {},
        el("p", {}, best.is_enrolled ? "This name was given to this very face." : BANDS[best.certainty]),
        el("p", { class: "small quiet" }, `${percent(best)}, ${best.distance.toFixed(2)} apart; above 0.6 are mostly two people.`),
        el("p", { class: "small" }, rivals.length
          ? `Next: ${rivals.map((each) => `${nameOf(each)} (${percent(each)})`).join(", ")}.`
          : "No other known person comes near.")),
    );
  }
}

const nameOf = ({ name, contact_id: contact }) => name || `Person ${contact}`;
const percent = ({ recognition_confidence: confidence }) => `${Math.round(100 * confidence)} %`;
