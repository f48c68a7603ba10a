// Small pictures of files, made only for rows that are looked at, two at a time.

import { headers } from "./key.js";

const SIDE_PX = 96;
const PARALLEL = 2;

const files = new WeakMap();
const wanted = [];
let running = 0;

const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    watcher.unobserve(target);
    wanted.push(target);
  }
  next();
}, { rootMargin: "200px" });

/** Draw a file, or the picture at an address, on `canvas` when that comes into sight. */
export function draw(source, canvas) {
  files.set(canvas, source);
  watcher.observe(canvas);
}

function next() {
  while (running < PARALLEL && wanted.length) {
    running += 1;
    const canvas = wanted.shift();
    make(canvas).finally(() => {
      running -= 1;
      next();
    });
  }
}

async function fetched(address) {
  const answer = await fetch(address, { headers: headers() });
  return answer.blob();
}

async function make(canvas) {
  const file = files.get(canvas);
  if (!canvas.isConnected || !file) return;
  let bitmap;
  try {
    bitmap = await createImageBitmap(typeof file === "string" ? await fetched(file) : file);
  } catch {
    return; // a format that the browser does not know; the service may
  }
  const side = Math.min(bitmap.width, bitmap.height);
  const [left, top] = [(bitmap.width - side) / 2, (bitmap.height - side) / 4]; // heads are rather above the middle
  canvas.width = canvas.height = SIDE_PX;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, left, top, side, side, 0, 0, SIDE_PX, SIDE_PX);
  bitmap.close();
  canvas.classList.add("drawn");
}
