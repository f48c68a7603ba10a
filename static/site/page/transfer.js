// Images that come in by a drop, a paste or a choice; folders are walked through.

import { find } from "./dom.js";

const IMAGE = /\.(gif|jpe?g|png|webp|bmp|tiff?|hei[cf]|avif)$/i;

/** The files of a drop. Of folders only the images; of single files all, so that a refusal is told. */
export async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = await Promise.all(entries.map((entry) => within(entry, false)));
  return found.flat();
}

async function within(entry, onlyImages) {
  if (entry.isFile) {
    if (onlyImages && !IMAGE.test(entry.name)) return [];
    return [await new Promise((resolve, reject) => { entry.file(resolve, reject); })];
  }
  const found = [];
  for (const child of await children(entry)) found.push(...(await within(child, true)));
  return found;
}

async function children(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    // A reader gives a hundred at a time, and none when there are no more.
    const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!some.length) return all;
    all.push(...some);
  }
}

/** Take what is dropped on `target`; `onFiles(files)`. The innermost target gets it. */
export function takeDrops(target, onFiles) {
  let depth = 0;
  const mark = (change) => {
    depth = Math.max(0, change);
    target.classList.toggle("over", depth > 0);
  };
  target.addEventListener("dragenter", (event) => {
    if (hasFiles(event)) mark(depth + 1);
  });
  target.addEventListener("dragleave", (event) => {
    if (hasFiles(event)) mark(depth - 1);
  });
  target.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  target.addEventListener("drop", async (event) => {
    mark(0);
    if (!hasFiles(event) || event.defaultPrevented) return;
    event.preventDefault();
    onFiles(await filesOf(event.dataTransfer));
  });
}

const hasFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;

/** `take(files)` for all that the page is given: chosen, dropped anywhere, or pasted. */
export function takeFiles(take) {
  const chooser = find("#files");
  chooser.addEventListener("change", () => {
    take([...chooser.files]);
    chooser.value = "";
  });
  takeDrops(document.body, take);
  document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
}
