// Two pictures: the same person?

import { fits, patiently, Refusal, send, TOO_LARGE } from "./api.js";
import { nameDetector } from "./detector.js";
import { el, find } from "./dom.js";
import { crop } from "./faces.js";
import { Newest } from "./newest.js";
import { Picture } from "./picture.js";
import { takeDrops } from "./transfer.js";

const SCALE = 1.2; // the distance at the right end of the scale; two people rarely exceed it

export function setUpComparison() {
  const result = find("[data-verdict]");
  const comparisons = new Newest();
  const sides = [];

  const choose = async () => {
    const isNewest = comparisons.next();
    sides.forEach((side) => side.unmark());
    if (!sides.every(({ file }) => file)) {
      result.replaceChildren(hint(sides));
      return;
    }
    result.replaceChildren(el("p", { class: "quiet" }, "Comparing …"));
    try {
      const answer = await compared(sides.map(({ file }) => file));
      if (isNewest()) await pairs(answer, sides, result, isNewest);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (isNewest()) result.replaceChildren(refused(error));
    }
  };
  for (const element of document.querySelectorAll("[data-side]")) sides.push(new Side(element, choose));
  result.append(hint(sides));
}

const hint = (sides) => el("p", { class: "quiet" }, sides.some(({ file }) => file) ? "And now the other one." : "Choose or drop one picture on each side.");

/** Shows the verdict of the most similar pair, and of each other pair that is picked. */
async function pairs(answer, sides, result, isNewest) {
  const picked = [answer.pair.face_1, answer.pair.face_2];
  const show = () => {
    const distance = answer.distances[picked[0]][picked[1]];
    sides.forEach((side, index) => side.pick(picked[index]));
    const isSame = answer.threshold === null ? null : distance <= answer.threshold;
    result.replaceChildren(verdict({ ...answer, distance, same_person: isSame }, picked));
  };
  await Promise.all(sides.map(({ shown }) => shown));
  if (!isNewest()) return;
  sides.forEach((side, index) => side.mark(answer[`faces_${index + 1}`], (face) => {
    picked[index] = face;
    show();
  }));
  show();
}

/** One of the two pictures, with a box and a button for each of its faces. */
class Side {
  file = null;
  shown = null;
  #picture = new Picture();
  #strip = el("div", { class: "strip", role: "group" });
  #name = el("p", { class: "small quiet file" }, "Choose or drop one");
  #words;
  #onFile;

  constructor(element, onFile) {
    const { side } = element.dataset;
    this.#words = side === "1" ? "First picture" : "Second picture";
    this.#onFile = onFile;
    this.#strip.setAttribute("aria-label", `Faces of the ${this.#words.toLowerCase()}`);
    const input = el("input", { type: "file", id: `side-${side}`, class: "visually-hidden", accept: "image/*,.heic,.heif,.avif" });
    input.addEventListener("change", () => {
      this.#take([...input.files]);
      input.value = "";
    });
    takeDrops(element, (files) => this.#take(files));
    element.append(this.#picture.element, input, el("label", { for: input.id, class: "pick" }, el("strong", {}, this.#words), this.#name), this.#strip);
  }

  mark(boxes, onPick) {
    const faces = boxes.map((box) => ({ box }));
    this.#picture.mark(faces, onPick);
    this.#strip.replaceChildren(...(faces.length < 2 ? [] : faces.map(({ box }, index) => this.#thumb(box, index, faces.length, onPick))));
  }

  pick(index) {
    this.#picture.pick(index);
    [...this.#strip.children].forEach((thumb, each) => thumb.setAttribute("aria-pressed", String(each === index)));
  }

  unmark() {
    this.mark([], () => {});
  }

  #thumb(box, index, count, onPick) {
    const { image } = this.#picture;
    const label = `Face ${index + 1} of ${count}`;
    const onclick = () => onPick(index);
    return el("button", { type: "button", class: "thumb", "aria-label": label, onclick }, image ? crop(image, box, 96) : String(index + 1));
  }

  #take([file]) {
    if (!file) return;
    this.file = file;
    this.#name.textContent = file.name;
    this.shown = this.#show(file);
    this.#onFile();
  }

  async #show(file) {
    const isShown = await this.#picture.show({ file, name: this.#words });
    if (!isShown) this.#picture.element.replaceChildren(el("p", { class: "quiet blank" }, "No preview"));
  }
}

async function compared(files) {
  const form = nameDetector(new FormData());
  form.append("faces", "all");
  files.forEach((file, index) => {
    if (!fits(file)) throw new Refusal(TOO_LARGE, { body: { side: index + 1 } });
    form.append(`image_${index + 1}`, file, file.name || "picture.png");
  });
  return patiently(() => send("/verify", form));
}

function verdict({ distance, same_person: isSame, threshold, false_accept_rate: rate, faces_1: ones, faces_2: twos }, picked) {
  const scale = el("div", { class: "scale", "aria-hidden": "true" }, el("span", { class: "bound" }), el("span", { class: "needle" }));
  scale.style.setProperty("--at", `${Math.min(100, (100 * distance) / SCALE)}%`);
  scale.style.setProperty("--bound", `${Math.min(100, (100 * threshold) / SCALE)}%`);
  return el(
    "div",
    { class: isSame ? "answer same" : "answer different" },
    el("h3", {}, threshold === null ? "No verdict" : isSame ? "The same person" : "Two different people"),
    ones.length * twos.length > 1 && el("p", { class: "small quiet", "data-pair": true }, `Face ${picked[0] + 1} of ${ones.length} and face ${picked[1] + 1} of ${twos.length}`),
    el("p", {}, "Their encodings are ", el("strong", { class: "number", "data-distance": distance }, distance.toFixed(3)),
      ...threshold === null
        ? [" apart. The encoder of this service has no thresholds."]
        : [" apart; up to ", el("span", { class: "number" }, String(threshold)), " counts as the same person."]),
    threshold !== null && scale,
    el("p", { class: "small quiet" }, meaning(rate)),
  );
}

function meaning({ at_most: atMost, measured_at_threshold: measuredAt }) {
  if (atMost === null) return "No rate of false matches is published for this threshold.";
  const one = Math.round(1 / atMost);
  return `At a threshold of ${measuredAt}, 1 in ${one} pairs of different people is taken for one person, as published with the model. The rate is higher for children, twins and poor pictures.`;
}

function refused(error) {
  const side = { 1: "First picture: ", 2: "Second picture: " }[error.body?.side] ?? "";
  return el("p", { class: "notice bad" }, side + error.message);
}
