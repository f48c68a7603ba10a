// What was just done, with a way back.

import { el, find } from "./dom.js";

const SHOWN_MS = 12_000;
const place = find("[data-message]");
let timer = null;

/** Say what was done; `undo` takes it back. */
export function done(text, undo) {
  const button = undo && el("button", { type: "button", class: "button slim", onclick: take }, "Undo");
  place.replaceChildren(el("span", {}, text), ...(button ? [button] : []));
  place.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(hide, SHOWN_MS);

  async function take() {
    hide();
    await undo();
  }
}

function hide() {
  // Not away from under the hand or the focus.
  if (place.matches(":hover, :focus-within") && place.contains(document.activeElement)) document.activeElement.blur();
  clearTimeout(timer);
  place.hidden = true;
  place.replaceChildren();
}
