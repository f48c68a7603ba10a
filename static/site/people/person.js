// One person: the name, the faces by which they are recognised, and how to correct and forget them.

import { Refusal } from "../page/api.js";
import { announce, el, find, plural } from "../page/dom.js";
import { Newest } from "../page/newest.js";
import { nameOf } from "../page/gallery.js";
import { done } from "../page/message.js";
import { fill, stop } from "./tiles.js";

export class Person {
  #dialog = find("[data-person]");
  #gallery;
  #change;
  #questions = new Newest();
  #says = el("p", { class: "bad", role: "alert" });

  /** `gallery()` is the one that is shown; `change(work)` does it in its turn, and shows what came of it. */
  constructor(gallery, change) {
    this.#gallery = gallery;
    this.#change = change;
    this.#dialog.addEventListener("close", () => this.#dialog.open || this.#stopLoading());
  }

  async open(person) {
    const isNewest = this.#questions.next();
    const [faces, odd] = await Promise.all([this.#gallery().faces(person), this.#gallery().oddFaces(person)]);
    if (!isNewest()) return; // another one was asked for meanwhile
    const doubts = new Map(odd.map((each) => [each.face_id, each]));
    const ticks = faces.map((_, index) => el("input", { type: "checkbox", "aria-label": `Choose face ${index + 1}` }));
    const list = el("ul", { class: "crops" }, ...faces.map((face, index) => this.#face(person, face, index, ticks[index], doubts.get(face.face_id))));
    this.#show(
      el("h2", { id: "person-title", tabindex: -1 }, nameOf(person)),
      this.#naming(person),
      this.#says,
      el("h3", {}, plural(faces.length, "face")),
      odd.length ? el("p", { class: "small" }, `${plural(odd.length, "face")} may be another person's. Choose faces to move them.`) : "",
      list,
      this.#moving(person, list, () => faces.filter((_, index) => ticks[index].checked)),
      el("div", { class: "row spread" },
        el("div", { class: "row" },
          el("button", { type: "button", class: "button", onclick: () => this.#forget(person, faces.length) }, `Forget ${nameOf(person)}`),
          el("button", { type: "button", class: "button", onclick: () => this.#hide(person) }, person.is_hidden ? "Show again" : "Hide")),
        this.#close()),
    );
  }

  #show(title, ...rest) {
    this.#stopLoading();
    this.#says.textContent = "";
    this.#dialog.replaceChildren(title, ...rest);
    if (!this.#dialog.open) this.#dialog.showModal();
    title.focus();
  }

  #close(words = "Close") {
    return el("button", { type: "button", class: "button main", onclick: () => this.#dialog.close() }, words);
  }

  #naming(person) {
    const input = el("input", { id: "person-name", value: person.name, maxlength: 200, autocomplete: "off", required: true });
    const onsubmit = (event) => {
      event.preventDefault();
      this.#rename(person, input.value.trim());
    };
    return el("form", { onsubmit },
      el("div", { class: "field" }, el("label", { for: "person-name" }, "Name"), input),
      el("button", { class: "button" }, "Rename"));
  }

  /** Of no interest, or of interest again. */
  #hide(person) {
    const gallery = this.#gallery();
    return this.#act(async () => {
      await gallery.setHidden(person, !person.is_hidden);
      return [person.is_hidden ? `${nameOf(person)} is shown again.` : `${nameOf(person)} is hidden.`, () => gallery.setHidden(person, person.is_hidden)];
    });
  }

  #face(person, face, index, tick, doubt) {
    const image = el("span", { class: "portrait" });
    fill(image, face.crop_url);
    const take = () => confirm(`Remove this face of ${nameOf(person)}? This cannot be undone.`)
      && this.#act(() => this.#gallery().withdraw(face).then(() => null));
    const near = doubt && (doubt.near_contact_id === null ? "Unlike the others" : `More like ${nameOf({ name: doubt.near_name, contact_id: doubt.near_contact_id })}`);
    return el("li", { class: doubt ? "odd" : null }, el("label", {}, image, tick),
      doubt ? el("span", { class: "small" }, near) : null,
      face.is_used ? null : el("span", { class: "small quiet" }, face.is_face ? "Not used: 50 others are better" : "Not used: it shows no face"),
      el("button", { type: "button", class: "button slim", "aria-label": `Remove face ${index + 1}`, onclick: take }, "Remove"));
  }

  /** The chosen faces are another person's, who may be new. */
  #moving(person, list, chosen) {
    const input = el("input", { id: "person-other", maxlength: 200, autocomplete: "off", list: "people-names", required: true, placeholder: "A name" });
    const button = el("button", { class: "button" }, "Move");
    const form = el("form", { hidden: true, onsubmit: (event) => {
      event.preventDefault();
      const [name, faces] = [input.value.trim(), chosen()];
      if (name && faces.length && name.toLocaleLowerCase() !== person.name.toLocaleLowerCase()) this.#move(person, faces, name);
    } },
    el("div", { class: "field" }, el("label", { for: "person-other" }, "The chosen faces are of"), input), button);
    list.addEventListener("change", () => {
      const count = chosen().length;
      form.hidden = !count;
      button.textContent = `Move ${plural(count, "face")}`;
    });
    return form;
  }

  #move(person, faces, name) {
    return this.#act(async () => {
      const gallery = this.#gallery();
      const to = await gallery.move(person, faces, name);
      return [`Moved ${plural(faces.length, "face")} to ${name}.`, () => gallery.moveBack(person, faces, to)];
    });
  }

  /** A name that another person has: they may be one. */
  #rename(person, name) {
    const other = this.#gallery().named(name);
    if (!name) return null;
    if (other && other.contact_id !== person.contact_id) return this.compare(person, other).catch((error) => this.#refused(error));
    return this.#act(() => this.#gallery().rename(person, name).then(() => null));
  }

  /** Both sides of a merge; a no to what the page `asks` by itself lasts. */
  async compare(person, other, asks = false) {
    const isNewest = this.#questions.next();
    const faces = await Promise.all([person, other].map((each) => this.#gallery().faces(each)));
    if (!isNewest()) return;
    const sides = [person, other].map((each, index) => this.#side(each, faces[index]));
    const merge = () => this.#act(async () => {
      const gallery = this.#gallery();
      const operation = await gallery.merge(person, other);
      return [`${nameOf(person)} and ${nameOf(other)} are one person now.`, () => gallery.undo(operation)];
    });
    const no = () => this.#act(async () => {
      const gallery = this.#gallery();
      await gallery.setDistinct(person, other, true);
      return [`${nameOf(person)} and ${nameOf(other)} are two people.`, () => gallery.setDistinct(person, other, false)];
    });
    this.#show(
      el("h2", { id: "person-title", tabindex: -1 }, "Are they one person?"),
      el("div", { class: "sides" }, ...sides),
      this.#says,
      el("p", { class: "small quiet" }, `Together they are ${nameOf(other)}. It can be undone for a day.`),
      el("div", { class: "row spread" },
        el("button", { type: "button", class: "button", onclick: merge }, "Yes, put them together"),
        asks ? el("button", { type: "button", class: "button", onclick: no }, "No, two people") : "", this.#close(asks ? "Later" : "No")),
    );
  }

  #side(person, faces) {
    const crops = faces.slice(0, 6).map((face) => {
      const image = el("span", { class: "portrait" });
      fill(image, face.crop_url);
      return el("li", {}, image);
    });
    return el("section", {}, el("h3", {}, nameOf(person)), el("p", { class: "quiet small" }, plural(faces.length, "face")), el("ul", { class: "crops" }, ...crops));
  }

  #forget(person, count) {
    const name = nameOf(person);
    if (!confirm(`Forget ${name}, and ${plural(count, "face")} with all pictures? This cannot be undone.`)) return;
    this.#act(() => this.#gallery().forget(person).then(() => null));
    announce(`${name} was forgotten`);
  }

  /** All people of the gallery: only once their number was typed. */
  forgetAll() {
    this.#questions.next();
    const people = this.#gallery().people;
    const faces = people.reduce((sum, each) => sum + each.faces_count, 0);
    const input = el("input", { id: "person-count", inputmode: "numeric", autocomplete: "off", required: true });
    const button = el("button", { class: "button", disabled: true }, "Forget everybody");
    input.addEventListener("input", () => { button.disabled = input.value.trim() !== String(people.length); });
    const onsubmit = (event) => {
      event.preventDefault();
      if (!button.disabled) this.#act(() => this.#gallery().forgetAll().then(() => null));
    };
    this.#show(
      el("h2", { id: "person-title", tabindex: -1 }, "Forget everybody?"),
      el("p", {}, `${plural(people.length, "person", "people")} with ${plural(faces, "face")}, their names, pictures and answers are deleted. This cannot be undone. The photos stay.`),
      this.#says,
      el("form", { onsubmit },
        el("div", { class: "field" }, el("label", { for: "person-count" }, `Type ${people.length} to confirm`), input), button),
      el("div", { class: "row spread" }, el("span", {}), this.#close("Cancel")),
    );
  }

  /** Pictures that were not there when the dialog was left may be gone by now. */
  #stopLoading() {
    this.#dialog.querySelectorAll(".portrait").forEach(stop);
  }

  /** Do `work`; it gives what to say and the way back, if there is one. */
  async #act(work) {
    const isNewest = this.#questions.current();
    let made = null;
    try {
      this.#says.textContent = "";
      await this.#change(async () => { made = await work(); });
      if (isNewest()) this.#dialog.close();
      if (made) done(made[0], () => this.#back(made[1]));
    } catch (error) {
      this.#refused(error);
    }
  }

  #refused(error) {
    if (!(error instanceof Refusal)) throw error;
    this.#says.textContent = error.message;
  }

  async #back(undo) {
    try {
      await this.#change(undo);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      done(error.message);
    }
  }
}
