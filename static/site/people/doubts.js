// What may be wrong: two people who may be one, and what was merged and answered lately.

import { el, find, plural } from "../page/dom.js";
import { nameOf } from "../page/gallery.js";
import { fill, stop } from "./tiles.js";

const section = find("[data-twins]");
const recent = find("[data-recent]");

/** `onCompare(person, other)` shows both sides, `onUndo(operation)` takes it back. `{load}`. */
export function doubts(gallery, { onCompare, onUndo }) {
  const pairs = find("[data-pairs]", section);
  let shown = "";

  const pair = ({ contacts }) => {
    const [one, other] = [...contacts].sort((each, next) => weight(each) - weight(next));
    return made(one, other);
  };

  const made = (one, other) => el("li", { class: "row" },
    ...[one, other].map(portrait),
    el("p", { class: "grow" }, `${nameOf(one)}, ${plural(one.faces_count, "face")}, and ${nameOf(other)}, ${plural(other.faces_count, "face")}`),
    el("button", { type: "button", class: "button slim", onclick: () => onCompare(one, other) }, "Compare"));

  const change = (each) => el("li", { class: "row spread" },
    el("span", {}, wordsOf(each), " ", el("span", { class: "quiet small" }, new Date(each.processed_at).toLocaleTimeString([], { timeStyle: "short" }))),
    el("button", { type: "button", class: "button slim", "aria-label": `Undo: ${wordsOf(each)}`, onclick: () => onUndo(each.operation_id) }, "Undo"));

  return {
    async load() {
      const [twins, undoable] = await Promise.all([gallery().twins(), gallery().undoable()]);
      const now = JSON.stringify([twins, undoable]);
      if (now === shown) return; // what is there stays under the hand
      shown = now;
      section.hidden = !twins.length;
      pairs.querySelectorAll(".portrait").forEach(stop);
      pairs.replaceChildren(...twins.map(pair));
      recent.hidden = !undoable.length;
      find("[data-changes]", recent).replaceChildren(...undoable.map(change));
    },
  };
}

/** The first of two becomes the second: a name stays, and else the one with more faces. */
const weight = ({ name, faces_count: count }) => (name ? Number.MAX_SAFE_INTEGER / 2 : 0) + count;

function portrait({ crop_url: address }) {
  const image = el("span", { class: "portrait" });
  fill(image, address);
  return image;
}

function wordsOf({ kind, contact_id: contact, name, from_contact_id: source, from_name: before }) {
  const person = nameOf({ name, contact_id: contact });
  if (kind !== "merge") return `Answers about ${person}`;
  return `${nameOf({ name: before, contact_id: source })} became ${person}`;
}
