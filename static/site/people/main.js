// People: photos come in, their faces are named, and the people who are known so far are shown.

import { ask } from "../page/api.js";
import { announce, find, place, plural } from "../page/dom.js";
import { setUpEntrance } from "../page/entrance.js";
import { key } from "../page/key.js";
import { row } from "../page/row.js";
import { takeFiles } from "../page/transfer.js";
import { fromResource, Uploads } from "../page/uploads.js";
import { Gallery, nameOf } from "../page/gallery.js";
import { done } from "../page/message.js";
import { Naming } from "../page/naming.js";
import { doubts } from "./doubts.js";
import { newFaces } from "./new_faces.js";
import { Person } from "./person.js";
import { Photo } from "./photo.js";
import { suggestions } from "./suggestions.js";
import * as tiles from "./tiles.js";
import { found, openFaces } from "../page/verdicts.js";

const REMEMBERED = 50;
const STORE = "faces-people";
const PARALLEL = 3;
const UNCLEAR = { small: "too small", blurred: "too blurred", turned_away: "turned too far away", cut_off: "too much cut off" };

const needsKey = place.hasAttribute("data-closed");
const query = new URLSearchParams(location.search);
const list = find("[data-mine]");
const trouble = find("[data-trouble]");
const toggle = find("[data-show-hidden]");
const rows = new Map();
let showsHidden = false;
let gallery = new Gallery(1);

const naming = new Naming({
  gallery: () => gallery,
  redraw,
  refresh,
  reopen: open,
  denied: (item, index) => photo.item === item && photo.pick(index),
  refused(words) {
    trouble.textContent = words;
    trouble.hidden = !words;
  },
});
const change = (work) => naming.change(work);
const guarded = (work) => naming.guarded(work);

const people = new Person(() => gallery, (work) => naming.inTurn(async () => {
  await work();
  await gallery.load();
  know();
  await compare(uploads.items);
  review();
}));

const photo = new Photo(find("[data-viewer]"), {
  onName: name, onNot: (item, index) => naming.refuse(item, index), onNothing: hide, onDraw: draw, onNext: () => next(true),
  cropOf: (candidate) => gallery.cropOf(candidate),
});

const unknown = newFaces(() => gallery, (faces, wanted) => change(async () => {
  const added = await gallery.enrolAll(faces, wanted);
  await refreshAll(() => done(`Named ${plural(added.length, "face")} ${wanted}.`, () => change(async () => {
    await gallery.withdrawAll(added);
    await refreshAll();
  })));
}), (faces) => change(async () => {
  const hidden = await gallery.hideAll(faces);
  await refreshAll(() => done(`Hidden: ${plural(faces.length, "face")}.`, () => change(async () => {
    await gallery.forget(hidden);
    await refreshAll();
  })));
}));

const guesses = suggestions(() => gallery, (person, yes, no) => change(async () => {
  const { operation_id: operation, added, rejected } = await gallery.decide(person, yes, no);
  const said = [added.length && `${plural(added.length, "face")} of ${nameOf(person)}`, rejected && `${rejected} not`];
  await refreshAll(() => done(`${said.filter(Boolean).join(", ") || "It was answered already"}.`, () => change(async () => {
    await gallery.undo(operation);
    await refreshAll();
  })));
}));

const doubtful = doubts(() => gallery, {
  onCompare: (person, other) => guarded(() => people.compare(person, other, true)),
  onUndo: (operation) => change(async () => {
    await gallery.undo(operation);
    await refreshAll();
  }),
});

/** What the page asks by itself. */
const review = () => Promise.all([unknown, guesses, doubtful].map((each) => guarded(() => each.load())));

const hasEnded = ({ state }) => state === "done" || state === "failed";

const uploads = new Uploads({
  isLive: () => false,
  onOwn: () => {},
  onChange(item) {
    rows.get(item)?.update();
    photo.changed(item);
    if (item.state === "done" && !item.compared) {
      item.compared = true;
      remember();
      guarded(() => compare([item]));
    }
    if (uploads.items.every(hasEnded)) review();
  },
});

// --- photos

async function take(files) {
  if (!files.length) return;
  if (needsKey && !key()) {
    find("#key").focus();
    return;
  }
  const added = uploads.add(files);
  announce(`${plural(added.length, "photo")} chosen`);
  added.forEach(line);
  open(added[0]);
}

function line(item) {
  document.body.classList.add("begun");
  find("[data-mine-empty]").hidden = true;
  const made = row(item, { onOpen: (each) => open(each), onAgain: (each) => uploads.again(each) });
  rows.set(item, made);
  list.append(made.line);
}

function open(item, index = null) {
  rows.get(photo.item)?.mark(false);
  rows.get(item)?.mark(true);
  return photo.open(item, index);
}

/** To the next face that needs a look: of this photo, or of another. */
function next(skips = false) {
  const { item, index } = photo;
  const here = openFaces(item).filter((each) => !skips || each !== index);
  const after = here.find((each) => each > index) ?? (skips ? undefined : here[0]);
  if (after !== undefined) return photo.pick(after);
  const at = uploads.items.indexOf(item);
  const others = [...uploads.items.slice(at + 1), ...uploads.items.slice(0, at)];
  const other = others.find((each) => each.state === "done" && openFaces(each).length);
  if (other) return open(other, openFaces(other)[0]);
  announce(here.length ? "This is the only face without a name" : "Every face has a name");
}

// --- names

/** Ask the gallery about these photos, a few at a time. */
async function compare(items) {
  const waiting = items.filter((item) => item.state === "done" && item.faces.length);
  const work = async () => {
    for (let item = waiting.shift(); item; item = waiting.shift()) {
      const asked = item.asked = Symbol("a question");
      const candidates = await gallery.recognise(item.id);
      if (asked !== item.asked) continue; // it was asked again meanwhile, and that answer is newer
      item.candidates = candidates;
      redraw(item);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
}

function redraw(item) {
  const open = openFaces(item).length;
  item.naming = open ? `${open} to name` : "All named";
  rows.get(item)?.update();
  photo.changed(item);
}

/** After a change: the people, then this photo, then all others. */
async function refresh(item) {
  await gallery.load();
  know();
  await compare([item]);
  guarded(() => compare(uploads.items.filter((each) => each !== item)));
  review();
}

/** `say` what was done with the people as they are then, before the page asks anew. */
async function refreshAll(say = () => {}) {
  await gallery.load();
  know();
  say();
  await review();
  guarded(() => compare(uploads.items));
}

function know() {
  const shown = gallery.people.filter(({ is_hidden: isHidden }) => showsHidden || !isHidden);
  const hidden = gallery.people.filter(({ is_hidden: isHidden }) => isHidden).length;
  toggle.hidden = !hidden;
  toggle.textContent = showsHidden ? "Leave out the hidden" : `Show ${hidden} hidden`;
  find("[data-known]").hidden = !gallery.people.length;
  tiles.show(shown, (person) => guarded(() => people.open(person)));
  photo.know(gallery.people);
}

/** The next face can be named while this name is being saved. */
function name(item, index, wanted) {
  naming.name(item, index, wanted);
  next();
}

// --- boxes by hand

/** A box holds no face: it is hidden on every copy of the photo. */
function hide(item, index) {
  return change(async () => {
    const { isGiven, best, name: before } = found(item, index);
    if (isGiven) await gallery.withdraw(best);
    await gallery.hide(item.id, index, true);
    await corrected(item);
    done("Not a face.", () => change(async () => {
      const again = await gallery.hide(item.id, index, false);
      if (isGiven) await gallery.enrol(item.id, again.face, before);
      await corrected(item);
      open(item, again.face);
    }));
  });
}

/** A face that was missed. */
function draw(item, box) {
  return change(async () => {
    const { face, quality: { too_poor: reason } } = await gallery.draw(item.id, box);
    await corrected(item);
    open(item, face);
    done(reason ? `It is kept as a box: ${UNCLEAR[reason] ?? "too unclear"} to recognise a person by.` : "A face more.", () => change(async () => {
      await gallery.hide(item.id, face, true);
      await corrected(item);
    }));
  });
}

/** The faces of a photo as they are now, and whose they are. */
async function corrected(item) {
  const { body } = await ask(`/image/${item.id}/`);
  Object.assign(item, fromResource(body));
  item.candidates = null;
  await refresh(item);
  redraw(item);
}

// --- what a reload of this tab finds again

function remember() {
  const known = uploads.items.filter((item) => item.id && item.state === "done").slice(-REMEMBERED);
  const kept = known.map((item) => ({ id: item.id, name: item.name }));
  try { sessionStorage.setItem(STORE, JSON.stringify(kept)); } catch { /* then not */ }
}

function recall() {
  let kept = [];
  try { kept = JSON.parse(sessionStorage.getItem(STORE)) ?? []; } catch { /* none */ }
  const asked = query.get("image");
  if (asked && !kept.some(({ id }) => id === asked)) kept.push({ id: asked, name: "Photo" });
  for (const { id, name: called } of kept) {
    const item = Object.assign(uploads.adopt(id), { name: called });
    line(item);
  }
  const first = uploads.items.find(({ id }) => id === asked) ?? uploads.items[0];
  if (first && !photo.item) open(first);
}

// --- the beginning

async function begin() {
  const numbers = await Gallery.all();
  const user = Number(query.get("user") ?? numbers[0] ?? 1);
  gallery = new Gallery(user);
  const choice = find("[data-gallery]");
  choice.replaceChildren(...[...new Set([...numbers, user])].map((each) => new Option(`Gallery ${each}`, each, false, each === user)));
  find("[data-gallery-field]").hidden = choice.options.length < 2;
  await gallery.load();
  know();
  recall();
  review();
  await compare(uploads.items); // what was sent before the people were known
}

toggle.addEventListener("click", () => {
  showsHidden = !showsHidden;
  know();
});

find("[data-forget-all]").addEventListener("click", () => people.forgetAll());

find("[data-gallery]").addEventListener("change", ({ target }) => {
  query.set("user", target.value);
  location.search = query;
});

takeFiles(take);
setUpEntrance({
  onOpen: (client) => (client ? naming.inTurn(begin) : change(begin)),
  onForget() {
    try { sessionStorage.removeItem(STORE); } catch { /* nothing there */ }
  },
});
