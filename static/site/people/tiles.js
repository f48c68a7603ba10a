// The known people as tiles: a crop, a name, a count.

import { el, find, plural } from "../page/dom.js";
import { nameOf, picture } from "../page/gallery.js";

const SEARCHABLE = 9;
const list = find("[data-tiles]");
const search = find("[data-search]");
const tiles = new Map();
const loads = new WeakMap();

/** Show these people, `onOpen(person)` for one; a tile that is there already stays as it is. */
export function show(people, onOpen) {
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
    stop(find(".portrait", tile.line));
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
    count.textContent = person.is_hidden ? "Hidden" : plural(person.faces_count, "face");
    if (shown === person.crop_url) return;
    shown = person.crop_url;
    fill(image, shown);
  };
  tiles.set(id, { line, update });
  return tiles.get(id);
}

/** Load a picture into `place`, instead of one that is still being loaded. */
export async function fill(place, address) {
  stop(place);
  const load = new AbortController();
  loads.set(place, load);
  place.replaceChildren();
  const url = address && (await picture(address, load.signal));
  if (!url) return;
  const image = el("img", { alt: "", src: url, width: 160, height: 160 });
  await image.decode().catch(() => {});
  URL.revokeObjectURL(url);
  if (!load.signal.aborted) place.replaceChildren(image);
}

/** What is being loaded into `place` is not wanted any more. */
export const stop = (place) => loads.get(place)?.abort();

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
