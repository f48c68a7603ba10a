// Two pictures: the same person?

import { fits, patiently, Refusal, send, TOO_LARGE } from "./api.js";
import { nameDetector } from "./detector.js";
import { el, find } from "./dom.js";
import { Newest } from "./newest.js";
import { Picture } from "./picture.js";
import { takeDrops } from "./transfer.js";

const SCALE = 1.2; // the distance at the right end of the scale; two people rarely exceed it

export function setUpComparison() {
  const result = find("[data-verdict]");
  const files = {};
  const comparisons = new Newest();

  const choose = async (number, file) => {
    files[number] = file;
    const isNewest = comparisons.next();
    if (!files[1] || !files[2]) {
      result.replaceChildren(hint(files));
      return;
    }
    result.replaceChildren(el("p", { class: "quiet" }, "Comparing …"));
    const shown = await compared(files).catch(refused);
    if (isNewest()) result.replaceChildren(shown);
  };
  for (const element of document.querySelectorAll("[data-side]")) setUpSide(element, choose);
  result.append(hint(files));
}

const hint = (files) => el("p", { class: "quiet" }, files[1] || files[2] ? "And now the other one." : "Choose or drop one picture on each side.");

function setUpSide(element, choose) {
  const number = element.dataset.side;
  const picture = new Picture();
  const words = number === "1" ? "First picture" : "Second picture";
  const input = el("input", { type: "file", id: `side-${number}`, class: "visually-hidden", accept: "image/*,.heic,.heif,.avif" });
  const name = el("p", { class: "small quiet file" }, "Choose or drop one");
  const take = async ([file]) => {
    if (!file) return;
    name.textContent = file.name;
    choose(Number(number), file);
    if (!(await picture.show({ file, name: words }))) picture.element.replaceChildren(el("p", { class: "quiet blank" }, "No preview"));
  };
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
  takeDrops(element, take);
  element.append(picture.element, input, el("label", { for: input.id, class: "pick" }, el("strong", {}, words), name));
}

async function compared(files) {
  const form = nameDetector(new FormData());
  for (const number of [1, 2]) {
    if (!fits(files[number])) throw new Refusal(TOO_LARGE, { body: { side: number } });
    form.append(`image_${number}`, files[number], files[number].name || "picture.png");
  }
  return verdict(await patiently(() => send("/verify", form)));
}

function verdict({ distance, same_person: isSame, threshold, false_accept_rate: rate }) {
  const scale = el("div", { class: "scale", "aria-hidden": "true" }, el("span", { class: "bound" }), el("span", { class: "needle" }));
  scale.style.setProperty("--at", `${Math.min(100, (100 * distance) / SCALE)}%`);
  scale.style.setProperty("--bound", `${Math.min(100, (100 * threshold) / SCALE)}%`);
  return el(
    "div",
    { class: isSame ? "answer same" : "answer different" },
    el("h3", {}, isSame ? "The same person" : "Two different people"),
    el("p", {}, "Their encodings are ", el("strong", { class: "number", "data-distance": distance }, distance.toFixed(3)),
      " apart; up to ", el("span", { class: "number" }, String(threshold)), " counts as the same person."),
    scale,
    el("p", { class: "small quiet" }, meaning(rate)),
  );
}

function meaning({ at_most: atMost, measured_at_threshold: measuredAt }) {
  if (atMost === null) return "No rate of false matches is published for this threshold.";
  const one = Math.round(1 / atMost);
  return `At a threshold of ${measuredAt}, 1 in ${one} pairs of different people is taken for one person, as published with the model. The rate is higher for children, twins and poor pictures.`;
}

function refused(error) {
  if (!(error instanceof Refusal)) throw error;
  const side = { 1: "First picture: ", 2: "Second picture: " }[error.body?.side] ?? "";
  return el("p", { class: "notice bad" }, side + error.message);
}
