// One line of the list: an image on its way.

import { el, plural, size } from "./dom.js";
import { here } from "./api.js";
import { draw } from "./thumbnails.js";
import { countOf } from "./uploads.js";

/** The state of an item in words. */
export function words(item) {
  switch (item.state) {
    case "waiting": return item.note || "Waiting";
    case "uploading": return item.sent < 1 ? `Uploading, ${Math.round(100 * item.sent)} %` : "Checking";
    case "queued": return "Queued";
    case "processing": return "Looking for faces";
    case "done": return item.naming ?? (countOf(item) ? plural(countOf(item), "face") : "No face");
    default: return item.note;
  }
}

/** What is shown of an item; `update()` after it has changed. */
export function row(item, { onOpen, onAgain }) {
  const picture = el("canvas", { class: "thumbnail", width: 96, height: 96, "aria-hidden": "true" });
  const state = el("span", { class: "state" });
  const bar = el("span", { class: "bar", "aria-hidden": "true" });
  const open = el(
    "button",
    { type: "button", class: "item", onclick: () => onOpen(item) },
    picture,
    el("span", { class: "name" }, item.name),
    el("span", { class: "weight" }, item.file ? size(item.file.size) : ""),
    state,
    bar,
  );
  const again = el("button", { type: "button", class: "button slim", hidden: true, onclick: () => onAgain(item) }, "Try again");
  const line = el("li", { "data-state": item.state }, open, again);
  let isDrawn = false;
  const drawOnce = () => {
    const source = item.file ?? (item.imageUrl ?? item.originalUrl);
    if (isDrawn || !source) return;
    isDrawn = true;
    draw(item.file ?? here(source), picture);
  };
  const update = () => {
    line.dataset.state = item.state;
    state.textContent = words(item);
    drawOnce();
    bar.style.setProperty("--sent", item.sent);
    again.hidden = item.state !== "failed" || !item.mayAgain;
  };
  update();
  return { line, update, open, mark: (isOpen) => open.setAttribute("aria-current", String(isOpen)) };
}
