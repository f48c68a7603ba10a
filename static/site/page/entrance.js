// The key that a closed service asks for, before anything else is done.

import { ask, Refusal } from "./api.js";
import { find, place } from "./dom.js";
import { key, use } from "./key.js";

const form = find("[data-key-form]");
const forget = find("[data-forget-key]");

/** Words for who has no key, or one that is refused. */
export function askForKey(words = "") {
  find("#key-says").textContent = words;
  form.hidden = false;
  forget.hidden = true;
}

/**
 * `onOpen(client)` at once, or when a key is accepted; `client` is `/client/`, null where no key is
 * needed. `onClosed` as often as a key is asked for, `onForget` before the key is forgotten.
 */
export function setUpEntrance({ onOpen, onClosed = () => {}, onForget = () => {} }) {
  const close = (words) => {
    onClosed();
    askForKey(words);
  };
  const enter = async () => {
    try {
      const { body } = await ask("/client/");
      form.hidden = true;
      forget.hidden = false;
      await onOpen(body);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      close(error.message);
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    use(form.elements.key.value.trim());
    enter();
  });
  forget.addEventListener("click", () => {
    use(null);
    onForget();
    location.reload(); // nothing of what it opened stays in sight
  });
  if (!place.hasAttribute("data-closed")) onOpen(null);
  else if (key()) enter();
  else close();
}
