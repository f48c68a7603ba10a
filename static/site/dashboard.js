// Asks for the numbers every few seconds and puts them where they belong. Rows are kept by what
// they are about, so that nothing jumps, and a button keeps its focus.

import { Newest } from "./page/newest.js";

const EVERY_MS = 3000;
const SVG = "http://www.w3.org/2000/svg";
const SHORTEST_S = 0.005;
const LONGEST_S = 1800;

const page = document.getElementById("dashboard");
const place = (id) => document.getElementById(id);

/** Writes only what has changed: a screen reader and the eye are left alone otherwise. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 0.0995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function size(bytes) {
  if (bytes === null) return "–";
  let unit = 0;
  while (bytes >= 1000 && unit < 4) [bytes, unit] = [bytes / 1000, unit + 1];
  return `${bytes < 10 && unit ? bytes.toFixed(1) : Math.round(bytes)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

const age = (moment, now) => (moment ? duration(Math.max(0, (new Date(now) - new Date(moment)) / 1000)) : "");

/** Fills a table: `cells` gives texts, or functions that fill a cell themselves. */
function fill(body, items, keyOf, cells) {
  const known = new Map([...body.children].map((row) => [row.dataset.key, row]));
  items.forEach((item, index) => {
    const key = keyOf(item);
    const row = known.get(key) ?? document.createElement("tr");
    known.delete(key);
    row.dataset.key = key;
    cells(item).forEach((content, column) => {
      const cell = row.cells[column] ?? row.insertCell();
      if (typeof content === "function") content(cell);
      else say(cell, String(content));
    });
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
  known.forEach((row) => row.remove());
}

const classed = (name, text) => (cell) => {
  cell.className = name;
  say(cell, text);
};

function shape(parent, values) {
  const rect = document.createElementNS(SVG, "rect");
  Object.entries(values).forEach(([name, value]) => rect.setAttribute(name, value));
  parent.append(rect);
}

function drawMinutes(minutes) {
  const plot = place("minutes");
  const most = Math.max(1, ...minutes.map((each) => each.ended));
  const total = minutes.reduce((sum, each) => sum + each.ended, 0);
  plot.querySelectorAll("rect").forEach((rect) => rect.remove());
  const width = 600 / minutes.length;
  minutes.forEach((each, index) => {
    const height = each.ended ? Math.max(3, (120 * each.ended) / most) : 1;
    const name = each.ended ? "some" : "none";
    shape(plot, { x: index * width, y: 120 - height, width: width - 2, height, class: name });
  });
  say(place("minutes-text"), `${total} images in the last hour, ${total ? most : 0} in the busiest minute`);
  say(place("minutes-most"), `at most ${total ? most : 0} a minute`);
  fill(place("minutes-rows"), [...minutes].reverse(), (each) => each.at, (each) => [each.at, each.ended]);
  const finished = minutes.slice(-6, -1);
  const mean = finished.reduce((sum, each) => sum + each.ended, 0) / finished.length;
  say(place("rate"), mean && mean < 10 ? mean.toFixed(1) : String(Math.round(mean)));
}

/** Where a duration lies between the shortest and the longest, as their logarithms: 0 to 100. */
function along(seconds) {
  const bounded = Math.min(LONGEST_S, Math.max(SHORTEST_S, seconds));
  return (100 * Math.log(bounded / SHORTEST_S)) / Math.log(LONGEST_S / SHORTEST_S);
}

const spread = (stage) => (cell) => {
  if (!cell.firstChild) cell.append(document.createTextNode(""), document.createElementNS(SVG, "svg"));
  const [text, plot] = cell.childNodes;
  if (text.data !== duration(stage.p95_s)) text.data = duration(stage.p95_s);
  plot.setAttribute("class", "spread");
  plot.setAttribute("aria-hidden", "true");
  plot.setAttribute("viewBox", "0 0 100 6");
  plot.setAttribute("preserveAspectRatio", "none");
  plot.replaceChildren();
  if (stage.median_s === null) return;
  const from = along(stage.median_s);
  shape(plot, { x: Math.min(from, 98), y: 0, width: Math.max(2, along(stage.p95_s) - from), height: 6, rx: 2 });
};

function drawQueues(queues) {
  const waiting = queues.reduce((sum, each) => sum + each.waiting, 0);
  const oldest = Math.max(0, ...queues.map((each) => each.oldest_s));
  say(place("waiting"), String(waiting));
  say(place("oldest"), oldest ? `the oldest for ${duration(oldest)}` : "nothing is overdue");
  say(place("in-work"), String(queues.reduce((sum, each) => sum + each.in_work, 0)));
  fill(place("queues"), queues, (each) => each.kind, (each) => [
    nameOf(each.kind), each.queue, each.waiting, duration(each.oldest_s || null), each.in_work,
  ]);
}

function drawWorkers(workers, now) {
  say(place("workers-count"), `${workers.length} worker${workers.length === 1 ? "" : "s"}`);
  place("no-workers").hidden = workers.length > 0;
  fill(place("workers"), workers, (each) => `${each.host}/${each.pid}`, (each) => [
    each.host, each.pid, classed("id", each.job ?? "idle"), age(each.since, now), age(each.started, now),
  ]);
}

/** Models whose names are not words. */
const NAMES = { archiveupload: "album archive", clusteringjob: "grouping of faces", matchingjob: "matching of a member", encodedimage: "encoded image" };
const nameOf = (kind) => NAMES[kind] ?? kind;

/** What failed: a link to its row in the admin, where the viewer may open that. */
const named = (failure) => (cell) => {
  cell.className = "id";
  const text = `${nameOf(failure.kind)} ${failure.id}`;
  if (!failure.admin_url) {
    say(cell, text);
    return;
  }
  const link = cell.firstElementChild ?? cell.appendChild(document.createElement("a"));
  link.href = failure.admin_url;
  say(link, text);
};

const retryCell = (failure) => (cell) => {
  if (cell.firstChild || !("mayRetry" in page.dataset)) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button slim";
  button.textContent = "Try again";
  button.setAttribute("aria-label", `Try ${failure.kind} ${failure.id} again`);
  button.addEventListener("click", () => retry(failure, button));
  cell.append(button);
};

function drawFailures(failures, now) {
  place("no-failures").hidden = failures.length > 0;
  fill(place("failures"), failures, (each) => `${each.kind} ${each.id}`, (each) => [
    `${age(each.failed_at, now)} ago`, named(each), classed("why", each.reason), each.attempts, retryCell(each),
  ]);
}

function drawRoom(room) {
  const used = room.disk - room.free;
  place("disk-bar").style.width = `${(100 * used) / room.disk}%`;
  const facts = [
    ["Disk", `${size(used)} of ${size(room.disk)} used`],
    ["Uploads", size(room.uploads)],
    ["Database", size(room.database)],
    ["Redis", size(room.redis)],
  ];
  const list = place("room");
  facts.forEach(([name, text], index) => {
    const pair = list.children[index] ?? list.appendChild(document.createElement("div"));
    if (!pair.firstChild) pair.append(document.createElement("dt"), document.createElement("dd"));
    say(pair.children[0], name);
    say(pair.children[1], text);
  });
}

function draw(numbers) {
  drawQueues(numbers.queues);
  drawMinutes(numbers.minutes);
  drawWorkers(numbers.workers, numbers.at);
  fill(place("stages"), numbers.stages, (each) => each.name, (each) => [
    each.name, duration(each.median_s), spread(each), each.count,
  ]);
  drawFailures(numbers.failures, numbers.at);
  drawRoom(numbers.room);
  say(place("listeners"), String(numbers.listeners));
  say(place("detector"), numbers.detector);
  say(place("servers"), `${numbers.websocket_servers} websocket server${numbers.websocket_servers === 1 ? "" : "s"}`);
  say(place("as-of"), `as of ${new Date(numbers.at).toLocaleTimeString()}`);
  trouble(numbers.redis ? "" : "Redis is not reachable. Uploads are accepted, but workers, times and listeners are unknown.");
}

function trouble(text) {
  const notice = place("trouble");
  say(notice, text);
  notice.hidden = !text;
}

const questions = new Newest();

async function ask() {
  const isNewest = questions.next();
  try {
    const answer = await fetch(page.dataset.numbers, { headers: { Accept: "application/json" } });
    if (answer.status === 403) return trouble("You are logged out. Load this page again.");
    if (!answer.ok) throw new Error(String(answer.status));
    const numbers = await answer.json();
    if (isNewest()) draw(numbers); // an answer to an older question is outdated
  } catch {
    if (isNewest()) trouble("The service does not answer. These numbers are outdated.");
  }
}

async function retry(failure, button) {
  button.disabled = true;
  const body = new FormData(page);
  body.set("kind", failure.kind);
  body.set("id", failure.id);
  try {
    const answer = await fetch(page.dataset.retry, { method: "POST", body });
    const answered = await answer.json().catch(() => ({ detail: "The retry failed." }));
    place("result").hidden = false;
    say(place("result"), answer.ok ? `The ${nameOf(failure.kind)} ${failure.id} is tried again. It is listed here again if it fails again.` : answered.detail);
    if (!answer.ok) trouble(answered.detail);
  } catch {
    trouble("The service does not answer.");
  }
  button.disabled = false;
  await ask();
  if (!button.isConnected) place("failures-title").focus();
}

async function keepAsking() {
  if (!document.hidden) await ask();
  setTimeout(keepAsking, EVERY_MS);
}

page.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) ask();
});
keepAsking();
