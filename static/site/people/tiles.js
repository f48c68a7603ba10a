// The known people as tiles: a crop, a name, a count.

import { el, find, plural } from "../page/dom.js";
import { nameOf, picture } from "./gallery.js";

const SEARCHABLE = 9;
const list = find("[data-tiles]");
const search = find("[data-search]");
const tiles = new Map();

/** Show these people, `onOpen(person)` for one; a tile that is there already stays as it is. */
export function show(people, onOpen) {
  find("[data-known]").hidden = !people.length;
  find("[data-search-field]").hidden = people.length < SEARCHABLE;
  const left = new Map(tiles);
  for (const person of people) {
    left.delete(person.contact_id);
    const tile = tiles.get(person.contact_id) ?? made(person.contact_id, onOpen);
    tile.update(person);
    list.append(tile.line);
  }
  for (const [id, tile] of left) {
    tile.line.remove();
    tiles.delete(id);
  }
  filter();
}

function made(id, onOpen) {
  const image = el("span", { class: "portrait" });
  const name = el("span", { class: "who" });
  const count = el("span", { class: "quiet small" });
  let now = null;
  const line = el("li", {}, el("button", { type: "button", onclick: () => onOpen(now) }, image, name, count));
  let shown = null;
  const update = (person) => {
    now = person;
    name.textContent = nameOf(person);
    count.textContent = plural(person.faces_count, "face");
    if (shown === person.crop_url) return;
    shown = person.crop_url;
    fill(image, person.crop_url);
  };
  tiles.set(id, { line, update });
  return tiles.get(id);
}

export async function fill(place, address) {
  place.replaceChildren();
  const url = address && (await picture(address));
  if (!url) return;
  const image = el("img", { alt: "", src: url, width: 160, height: 160 });
  await image.decode().catch(() => {});
  URL.revokeObjectURL(url);
  place.replaceChildren(image);
}

function filter() {
  const wanted = search.value.trim().toLocaleLowerCase();
  let found = 0;
  for (const { line } of tiles.values()) {
    const matches = find(".who", line).textContent.toLocaleLowerCase().includes(wanted);
    line.hidden = !matches;
    found += matches;
  }
  find("[data-none-found]").hidden = found > 0 || !tiles.size;
}

search.addEventListener("input", filter);
