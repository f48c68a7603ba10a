// Uploads many files into an album, three at a time; archives go whole. What was skipped is listed, with
// the reason, until the page is left: a batch dropped when another has just ended adds to its list.

import { takeDrops } from "../site/page/transfer.js";
import { look } from "./live.js";

const PARALLEL = 3;
const TRIES = 5;
const PAUSE_MS = 2000;

const form = document.getElementById("upload");
const input = form.querySelector("input[type=file]");
const bar = form.querySelector("progress");
const text = form.querySelector("[data-sent-text]");
const skippedList = form.querySelector("[data-skipped-list]");
const waiting = [];
const shares = new Map();
let total = 0;
let ended = 0;
let added = 0;
let sending = 0;

function send(address, file) {
  const body = new FormData();
  body.append("file", file, file.name);
  const { value } = form.elements.detector;
  if (value) body.append("detector", value);
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("X-CSRFToken", form.querySelector("[name=csrfmiddlewaretoken]").value);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total: all }) => { shares.set(file, loaded / (all || 1)); tell(); };
    request.onloadend = () => resolve({
      status: request.status, body: request.response ?? {}, waitS: Number(request.getResponseHeader("Retry-After")),
    });
    request.send(body);
  });
}

async function patiently(address, file) {
  for (let left = TRIES; ; left -= 1) {
    const answer = await send(address, file);
    const later = answer.status === 0 || answer.status === 429 || answer.status === 503;
    if (!later || left <= 1) return answer;
    await new Promise((resolve) => { setTimeout(resolve, answer.waitS ? answer.waitS * 1000 : PAUSE_MS); });
  }
}

async function take(file) {
  const isArchive = form.dataset.endings.split(",").some((ending) => file.name.toLowerCase().endsWith(ending));
  const { status, body } = await patiently(isArchive ? form.dataset.archives : form.dataset.photos, file);
  if (status >= 200 && status < 300) {
    added += isArchive ? 1 : body.added.length;
    for (const { name, reason } of body.skipped && !isArchive ? body.skipped : []) skip(name, reason);
  } else if (status === 413) skip(file.name, "It is too large.");
  else skip(file.name, body.detail ?? body.file?.[0] ?? body.detector?.[0] ?? "It could not be sent.");
}

function skip(name, reason) {
  const line = document.createElement("li");
  const strong = document.createElement("strong");
  strong.textContent = name;
  line.append(strong, ` ${reason}`);
  skippedList.append(line);
  skippedList.parentElement.hidden = false;
}

function tell() {
  const part = [...shares.values()].reduce((sum, share) => sum + share, 0);
  bar.value = total ? (ended + part) / total : 0;
  text.textContent = ended < total ? `Uploading: ${ended} of ${total}` : `Uploaded ${added} of ${total}`;
}

function pump() {
  while (sending < PARALLEL && waiting.length) {
    const file = waiting.shift();
    sending += 1;
    take(file).finally(() => {
      shares.delete(file);
      sending -= 1;
      ended += 1;
      tell();
      look();
      pump();
    });
  }
}

function add(files) {
  if (!sending && !waiting.length) [total, ended, added] = [0, 0, 0];
  waiting.push(...files);
  total += files.length;
  form.querySelector("[data-sending]").hidden = false;
  tell();
  pump();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  add([...input.files]);
  input.value = "";
});
takeDrops(form, add);
