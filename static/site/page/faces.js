// One face: its crop, how good it is in words, and its 128 numbers.

import { copy, el } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const CROP_MARGIN = 0.25;

// The bounds of faceengine/quality.py; what lies between them is put into words here.
const POOR = {
  small: "Too small for recognition",
  blurred: "Too blurred for recognition",
  turned_away: "Turned too far away for recognition",
  cut_off: "Cut off by the edge of the picture",
  unclear: "Drawn by hand: too unclear for recognition",
};

// Scores of one detector say nothing about another's: YuNet's are from 0.7 to 1.
const SURE = { yunet: [[0.8, "unsure"], [0.9, "fairly sure"]] };
const SURE_OF_DLIB = [[0.3, "unsure"], [1, "fairly sure"]];

/** Whether a face was not hidden by hand. A hidden one keeps its number. */
export const isShown = (face) => face.by_hand !== "hidden";

/** How many of them are shown. */
export const shownCount = (faces) => faces.filter(isShown).length;

/** The faces of an answer, each with the answer's detector. */
export const byDetector = ({ faces, detector }) => faces.map((face) => ({ ...face, detector }));

/** Rows of `[what, words, number]` about a face. */
export function quality({ detector, quality: measured }) {
  const { score, size_px: sizePx, sharpness, yaw, roll } = measured;
  return [
    ["Size", band(sizePx, [[40, "too small"], [80, "small"], [160, "good"]], "large"), `${Math.round(sizePx)} px`],
    ["Sharpness", band(sharpness, [[2, "blurred"], [4, "soft"], [8, "sharp"]], "very sharp"), sharpness.toFixed(1)],
    ["Looks", sideways(yaw), degrees(yaw)],
    ["Head", Math.abs(roll) < 8 ? "upright" : `tilted ${roll > 0 ? "clockwise" : "anticlockwise"}`, degrees(roll)],
    ["Detector", band(score, SURE[detector] ?? SURE_OF_DLIB, "sure"), score.toFixed(2)],
  ];
}

export const verdict = (face) => (face.quality.too_poor ? POOR[face.quality.too_poor] ?? "Too poor for recognition" : "Good enough for recognition");

function band(value, bounds, above) {
  return bounds.find(([bound]) => value < bound)?.[1] ?? above;
}

function sideways(yaw) {
  if (Math.abs(yaw) < 12) return "straight ahead";
  return `${Math.abs(yaw) < 35 ? "a little" : "far"} to the ${yaw > 0 ? "right" : "left"}`;
}

const degrees = (value) => `${Math.round(value)}°`;

/** Draw the part of `image` round `box` on a square canvas. */
export function crop(image, box, sidePx) {
  const canvas = el("canvas", { width: sidePx, height: sidePx, class: "crop", "aria-hidden": "true" });
  const side = Math.max(box.right - box.left, box.bottom - box.top) * (1 + 2 * CROP_MARGIN);
  const left = (box.left + box.right - side) / 2;
  const top = (box.top + box.bottom - side) / 2;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, left, top, side, side, 0, 0, sidePx, sidePx);
  return canvas;
}

/** Everything about one face; `image` may be missing. */
export function details(face, index, image) {
  const rows = quality(face).map(([what, words, number]) =>
    el("div", {}, el("dt", {}, what), el("dd", {}, words, el("span", { class: "number quiet" }, number))));
  const isPoor = Boolean(face.quality.too_poor);
  return el(
    "div",
    { class: "details", role: "group", "aria-label": `Face ${index + 1}` },
    el("div", { class: "portrait" }, image ? crop(image, face.box, 288) : null),
    el("div", { class: "about" },
      el("h3", {}, `Face ${index + 1}`),
      el("p", { class: isPoor ? "small poor" : "small fine" }, verdict(face)),
      el("dl", {}, ...rows)),
    face.encoding ? encoding(face) : null,
  );
}

function encoding(face) {
  const text = JSON.stringify(face.encoding);
  const numbers = el("code", { "data-encoding": true, tabindex: 0, role: "group", "aria-label": "The 128 numbers" }, text);
  const button = el("button", { type: "button", class: "button slim", onclick: () => copy(text, button, numbers) }, "Copy");
  const more = el("details", { class: "numbers" }, el("summary", {}, "The numbers"), numbers);
  return el("div", { class: "encoding" },
    el("div", { class: "row spread" }, el("h4", {}, "Encoding"), button),
    bars(face.encoding), more);
}

/** The numbers as bars up and down: two pictures of one person look alike. */
function bars(values) {
  const [width, height] = [values.length * 4, 64];
  const most = Math.max(...values.map(Math.abs), 1e-6);
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("class", "bars");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  const strokes = values.map((value, index) => `M${4 * index + 2} ${height / 2}v${(-value / most) * (height / 2 - 1)}`);
  path.setAttribute("d", strokes.join(""));
  drawing.append(path);
  return drawing;
}
