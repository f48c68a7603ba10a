// Several faces at once, each with an answer: by click, by a swipe, or by the keys Y, N and U.

import { el } from "../page/dom.js";
import { fill, stop } from "./tiles.js";

const SWIPE_PX = 40;

export class Choices {
  element = el("ul", { class: "crops choices" });
  #words;
  #onChange;
  #faces = [];
  #answers = [];
  #buttons = [];

  /** `onChange()` after each change of an answer. */
  constructor(onChange) {
    this.#onChange = onChange;
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** Show these faces; `words` by "yes", "no" and perhaps "unsure". New ones have the answer yes. */
  show(faces, words) {
    const before = new Map(this.#faces.map((face, index) => [keyOf(face), this.#answers[index]]));
    const isSame = faces.length === before.size && faces.every((face, index) => keyOf(face) === keyOf(this.#faces[index]));
    this.#words = words;
    if (isSame) {
      this.#buttons.forEach((button, index) => this.#label(button, index));
      return;
    }
    this.#faces = faces;
    this.#answers = faces.map((face) => before.get(keyOf(face)) ?? "yes");
    this.#buttons = faces.map((face, index) => this.#button(face, index));
    this.element.querySelectorAll(".portrait").forEach(stop);
    this.element.replaceChildren(...this.#buttons.map((button) => el("li", {}, button)));
  }

  /** The faces with this answer. */
  of(answer) {
    return this.#faces.filter((_, index) => this.#answers[index] === answer).map(({ submission, face }) => ({ submission, face }));
  }

  #button(face, index) {
    const image = el("span", { class: "portrait" });
    fill(image, face.crop_url);
    const button = el("button", { type: "button", class: "choice" }, image, el("span", { class: "small answer" }));
    this.#swipes(button, index);
    this.#label(button, index);
    return button;
  }

  /** To the right is yes, to the left no. A short way is a click. */
  #swipes(button, index) {
    let from = null;
    let isSwipe = false;
    button.addEventListener("pointerdown", ({ clientX, pointerType }) => {
      from = pointerType === "mouse" ? null : clientX;
      isSwipe = false;
    });
    button.addEventListener("pointerup", ({ clientX }) => {
      const way = from === null ? 0 : clientX - from;
      isSwipe = Math.abs(way) >= SWIPE_PX;
      if (isSwipe) this.#answer(index, way > 0 ? "yes" : "no");
    });
    button.addEventListener("click", () => {
      if (!isSwipe) this.#answer(index, this.#answers[index] === "yes" ? "no" : "yes");
      isSwipe = false;
    });
  }

  #answer(index, answer) {
    this.#answers[index] = answer;
    this.#label(this.#buttons[index], index);
    this.#onChange();
  }

  #label(button, index) {
    const answer = this.#answers[index];
    button.dataset.answer = answer;
    button.setAttribute("aria-label", `Face ${index + 1}: ${this.#words[answer]}`);
    button.lastChild.textContent = this.#words[answer];
  }

  #onKey(event) {
    const index = this.#buttons.indexOf(document.activeElement);
    if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const answer = { y: "yes", n: "no", u: "unsure" }[event.key.toLowerCase()];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (answer in this.#words) this.#answer(index, answer);
    else if (!step) return;
    event.preventDefault();
    this.#buttons[index + (step ?? 1)]?.focus();
  }
}

const keyOf = ({ submission, face }) => `${submission} ${face}`;
