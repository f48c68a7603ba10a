// One person: the name, the faces by which they are recognised, and how to forget them.

import { Refusal } from "../page/api.js";
import { announce, el, find, plural } from "../page/dom.js";
import { nameOf } from "./gallery.js";
import { fill, stop } from "./tiles.js";

export class Person {
  #dialog = find("[data-person]");
  #gallery;
  #change;
  #turn = 0;

  /** `gallery()` is the one that is shown; `change(work)` does it in its turn, and shows what came of it. */
  constructor(gallery, change) {
    this.#gallery = gallery;
    this.#change = change;
    this.#dialog.addEventListener("close", () => this.#dialog.open || this.#stopLoading());
  }

  async open(person) {
    this.#turn += 1;
    const turn = this.#turn;
    const faces = await this.#gallery().faces(person);
    if (turn !== this.#turn) return; // another one was asked for meanwhile
    this.#stopLoading();
    const says = el("p", { class: "bad", role: "alert" });
    const act = (work) => this.#act(work, says);
    this.#dialog.replaceChildren(
      el("h2", { id: "person-title", tabindex: -1 }, nameOf(person)),
      this.#naming(person, act),
      says,
      el("h3", {}, plural(faces.length, "face")),
      el("ul", { class: "crops" }, ...faces.map((face, index) => this.#face(person, face, index, act))),
      el("div", { class: "row spread" },
        el("button", { type: "button", class: "button", onclick: () => this.#forget(person, faces.length, act) }, `Forget ${nameOf(person)}`),
        el("button", { type: "button", class: "button main", onclick: () => this.#dialog.close() }, "Close")),
    );
    if (!this.#dialog.open) this.#dialog.showModal();
    find("h2", this.#dialog).focus();
  }

  #naming(person, act) {
    const input = el("input", { id: "person-name", value: person.name, maxlength: 200, autocomplete: "off", required: true });
    const onsubmit = (event) => {
      event.preventDefault();
      act(() => this.#rename(person, input.value.trim()));
    };
    return el("form", { onsubmit },
      el("div", { class: "field" }, el("label", { for: "person-name" }, "Name"), input),
      el("button", { class: "button" }, "Rename"));
  }

  #face(person, face, index, act) {
    const image = el("span", { class: "portrait" });
    fill(image, face.crop_url);
    const take = () => confirm(`Remove this face of ${nameOf(person)}? This cannot be undone.`)
      && act(() => this.#gallery().withdraw(face));
    return el("li", {}, image,
      el("button", { type: "button", class: "button slim", "aria-label": `Remove face ${index + 1}`, onclick: take }, "Remove"));
  }

  /** A name that another person has: they may be one. */
  async #rename(person, name) {
    const other = this.#gallery().named(name);
    if (!name || !other || other.contact_id === person.contact_id) {
      if (name) await this.#gallery().rename(person, name);
    } else if (confirm(`${name} is known already. Are they one person? Their faces are put together, which cannot be undone.`)) {
      await this.#gallery().merge(person, other);
    }
  }

  #forget(person, count, act) {
    const name = nameOf(person);
    if (confirm(`Forget ${name}, and ${plural(count, "face")} with all pictures? This cannot be undone.`)) {
      act(() => this.#gallery().forget(person));
      announce(`${name} was forgotten`);
    }
  }

  /** Pictures that were not there when the dialog was left may be gone by now. */
  #stopLoading() {
    this.#dialog.querySelectorAll(".portrait").forEach(stop);
  }

  async #act(work, says) {
    const turn = this.#turn;
    try {
      says.textContent = "";
      await this.#change(work);
      if (turn === this.#turn) this.#dialog.close();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      says.textContent = error.message;
    }
  }
}
