// The page put together.

import { ask, patiently, Refusal } from "./api.js";
import { setUpCamera } from "./camera.js";
import { setUpComparison } from "./compare.js";
import { setUpDetector } from "./detector.js";
import { announce, copy, find, place, plural } from "./dom.js";
import { askForKey, setUpEntrance } from "./entrance.js";
import { Feed } from "./feed.js";
import { key } from "./key.js";
import { Live } from "./live.js";
import { setUpLookUp } from "./look_up.js";
import { Names } from "./names.js";
import { summarise } from "./progress.js";
import { forget as forgetIds, forgetAll, recall, remember } from "./recent.js";
import { row } from "./row.js";
import { Stage } from "./stage.js";
import { takeFiles } from "./transfer.js";
import { fromResource, Uploads } from "./uploads.js";
import { Viewer } from "./viewer.js";

const SHOWN_AT_START_MS = 10 * 60_000;
const ROWS_A_FRAME = 50;
const ERASED_AT_ONCE = 4;

const needsKey = place.hasAttribute("data-closed");
const list = find("[data-mine]");
const eraseAll = find("[data-erase-all]");
const trouble = find("[data-mine-trouble]");
const clear = find("[data-clear]");
const rows = new Map();
const changed = new Set();

// --- what is sent from here

const uploads = new Uploads({
  isLive: () => feed.isLive,
  onOwn: (id) => live.drop(id),
  onChange(item) {
    if (!changed.size) requestAnimationFrame(refresh);
    changed.add(item);
  },
});

function refresh() {
  const items = [...changed];
  changed.clear();
  for (const item of items) {
    rows.get(item)?.update();
    stage.changed(item);
  }
  remember(items);
  tellHowFar();
}

function tellHowFar() {
  summarise(uploads.items);
  eraseAll.hidden = !uploads.items.some(({ id }) => id);
  clear.hidden = !uploads.items.some(({ state }) => state === "done" || state === "failed");
  find("[data-mine-empty]").hidden = uploads.items.length > 0;
}

async function take(files) {
  if (!files.length) return;
  if (needsKey && !key()) {
    find("#key").focus();
    return;
  }
  const isFirst = !document.body.classList.contains("begun");
  document.body.classList.add("begun");
  if (isFirst) find("#find").scrollIntoView(); // the picture is what one wants to see now
  const added = uploads.add(files);
  announce(`${plural(added.length, "image")} chosen`);
  for (let at = 0; at < added.length; at += ROWS_A_FRAME) {
    list.append(...added.slice(at, at + ROWS_A_FRAME).map(line));
    if (!at) look(added[0]);
    tellHowFar();
    await new Promise(requestAnimationFrame);
  }
}

function line(item) {
  const made = row(item, { onOpen: look, onAgain: (each) => uploads.again(each) });
  rows.set(item, made);
  return made.line;
}

/** Takes items off the list; what the service has of them stays. */
function forget(items) {
  forgetIds(items.map(({ id }) => id));
  for (const item of items) {
    uploads.remove(item);
    rows.get(item)?.line.remove();
    rows.delete(item);
  }
  if (items.includes(stage.item)) {
    stage.clear();
    if (uploads.items.length) look(uploads.items.at(-1));
    else document.body.classList.remove("begun");
  }
  tellHowFar();
}

/** What was sent before the page was loaded. */
async function restore() {
  const kept = recall();
  if (!kept.length || uploads.items.length) return;
  const known = await newest();
  const isWhole = known.next === null;
  const byId = new Map(known.results.map((each) => [each.id, each]));
  forgetIds(kept.filter(({ id }) => isWhole && !byId.has(id)).map(({ id }) => id)); // erased since
  for (const { id, name } of recall()) list.append(line(uploads.adopt(id, name, byId.get(id))));
  tellHowFar();
}

async function newest() {
  try {
    return (await ask("/image/?limit=200")).body;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { results: [] };
  }
}

async function eraseAllOfThem() {
  const mine = uploads.items.filter(({ id }) => id);
  if (!confirm(`Erase ${plural(mine.length, "image")} of this list and the results from the service?`)) return;
  let refusedWith = "";
  for (let at = 0; at < mine.length; at += ERASED_AT_ONCE) {
    const outcomes = await Promise.all(mine.slice(at, at + ERASED_AT_ONCE).map(erased));
    refusedWith = outcomes.find((each) => each) ?? refusedWith;
  }
  announce(refusedWith || `${plural(mine.length, "image")} erased`);
  trouble.textContent = refusedWith;
}

/** Erases one; returns why it was refused, if it was. */
async function erased(item) {
  try {
    await patiently(() => ask(`/image/${item.id}/`, { method: "DELETE" }));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status !== 404) return error.message;
  }
  forget([item]);
  return "";
}

/** Up and down in the list, by the keys. */
function step(event) {
  const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const here = event.target.closest("li");
  const next = move && (move > 0 ? here?.nextElementSibling : here?.previousElementSibling);
  if (!next) return;
  event.preventDefault();
  open(next);
}

function showFailed() {
  const failed = [...list.children].filter((each) => each.dataset.state === "failed");
  const at = failed.findIndex((each) => each.matches(":has([aria-current=true])"));
  const next = failed[(at + 1) % failed.length];
  next.scrollIntoView({ block: "nearest" });
  open(next);
}

function open(listed) {
  const button = find("button", listed);
  button.focus();
  button.click();
}

// --- what is looked at

const viewer = new Viewer(find("[data-viewer]"));
const names = new Names(viewer);
const stage = new Stage(viewer, names, (item) => forget([item]));

let asked = null;

function look(item) {
  asked = item;
  rows.get(stage.item)?.mark(false);
  rows.get(item)?.mark(true);
  document.body.classList.add("begun");
  stage.look(item);
}

async function lookAtOthers(event) {
  const item = { id: event.submission_id, name: "From the feed", faces: event.faces };
  asked = item;
  try {
    Object.assign(item, fromResource((await ask(`/image/${item.id}/`)).body));
    if (asked !== item) return; // another one was chosen meanwhile
    look(item);
    find("[data-viewer]").scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    live.drop(item.id);
    announce(error.status === 404 ? "It was erased" : error.message);
  }
}

// --- what others send

const live = new Live(lookAtOthers);

const feed = new Feed(Math.max(0, Number(place.dataset.nowMs) - SHOWN_AT_START_MS), {
  event: (event) => {
    if (!uploads.take(event) && event.outcome === "faces") live.add(event);
  },
  gap: () => live.gap(),
  state(kind, seconds) {
    live.state(kind, seconds);
    if (kind !== "closed") return;
    close();
    askForKey("This key is no longer valid.");
  },
});

// --- the key, where one is needed

function close() {
  feed.close();
  live.state("closed");
}

// --- the ways in

takeFiles(take);
clear.addEventListener("click", () => forget(uploads.clear()));
eraseAll.addEventListener("click", eraseAllOfThem);
find("[data-failed]").addEventListener("click", showFailed);
list.addEventListener("keydown", step);
setUpCamera(take);
setUpDetector();
setUpComparison();
setUpLookUp();

const command = find("[data-command]");
find("[data-copy-command]").addEventListener("click", ({ currentTarget }) => copy(command.textContent, currentTarget, command));

setUpEntrance({
  async onOpen(client) {
    names.isAllowed = !client || client.scopes.includes("recognise");
    await restore(); // before the feed, which shows the rest as the images of others
    feed.open(client?.feed_url);
  },
  onClosed: close,
  onForget: forgetAll,
});
