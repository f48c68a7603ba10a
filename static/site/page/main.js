// The page put together.

import { ask, Refusal } from "./api.js";
import { setUpCamera } from "./camera.js";
import { setUpComparison } from "./compare.js";
import { setUpDetector } from "./detector.js";
import { announce, copy, find, place, plural } from "./dom.js";
import { askForKey, setUpEntrance } from "./entrance.js";
import { Feed } from "./feed.js";
import { key } from "./key.js";
import { Live } from "./live.js";
import { setUpLookUp } from "./look_up.js";
import { summarise } from "./progress.js";
import { row } from "./row.js";
import { Stage } from "./stage.js";
import { takeFiles } from "./transfer.js";
import { fromResource, Uploads } from "./uploads.js";
import { Viewer } from "./viewer.js";

const SHOWN_AT_START_MS = 10 * 60_000;
const ROWS_A_FRAME = 50;

const needsKey = place.hasAttribute("data-closed");
const list = find("[data-mine]");
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
  tellHowFar();
}

function tellHowFar() {
  summarise(uploads.items);
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

function forget(items) {
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

// --- what is looked at

const stage = new Stage(new Viewer(find("[data-viewer]")), (item) => forget([item]));

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
setUpCamera(take);
setUpDetector();
setUpComparison();
setUpLookUp();

const command = find("[data-command]");
find("[data-copy-command]").addEventListener("click", ({ currentTarget }) => copy(command.textContent, currentTarget, command));

setUpEntrance({ onOpen: (client) => feed.open(client?.feed_url), onClosed: close });
