// The ids of what was uploaded from this browser, so that a reload finds it again. Where a key is needed
// they stay in the tab, as the key does.

import { place } from "./dom.js";

const NAME = "faces-uploads";
const MOST = 200;

const store = () => (place.hasAttribute("data-closed") ? sessionStorage : localStorage);

/** `[{id, name}]`, the oldest first. */
export function recall() {
  try { return JSON.parse(store().getItem(NAME)) ?? []; } catch { return []; }
}

function save(kept) {
  try { store().setItem(NAME, JSON.stringify(kept.slice(-MOST))); } catch { /* then for this visit only */ }
}

/** Keep those of the items that the service has accepted. */
export function remember(items) {
  const kept = recall();
  const known = new Set(kept.map(({ id }) => id));
  const fresh = items.filter(({ id }) => id && !known.has(id)).map(({ id, name }) => ({ id, name }));
  if (fresh.length) save([...kept, ...fresh]);
}

export function forget(ids) {
  save(recall().filter(({ id }) => !ids.includes(id)));
}

export function forgetAll() {
  try { store().removeItem(NAME); } catch { /* nothing there */ }
}
