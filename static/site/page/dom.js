// A few words for what every part does to the page.

export const find = (selector, root = document) => root.querySelector(selector);

export const place = find("[data-page]");

/** An element: `el("p", { class: "small", onclick }, "text", child)`. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const MEGABYTE = 1 << 20;

export function size(bytes) {
  if (bytes < MEGABYTE) return `${Math.max(1, Math.round(bytes / 1024))} KB`;
  return `${(bytes / MEGABYTE).toFixed(bytes < 10 * MEGABYTE ? 1 : 0)} MB`;
}

const speaker = find("[data-announce]");
const BREATH_MS = 1200;
let words = "";
let speaking = null;

/** Tell who listens rather than looks; when much happens, only the last of it. */
export function announce(text) {
  words = text;
  speaking ??= setTimeout(() => {
    speaking = null;
    speaker.textContent = words;
  }, BREATH_MS);
}

/** Copy, and say so on the button. Without the clipboard (no TLS), select the text instead. */
export async function copy(text, button, source) {
  try {
    await navigator.clipboard.writeText(text);
    const before = button.textContent;
    button.textContent = "Copied";
    announce("Copied");
    setTimeout(() => { button.textContent = before; }, 1500);
  } catch {
    if (source) getSelection().selectAllChildren(source);
  }
}
