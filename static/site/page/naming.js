// Names of faces, given and denied: one change after the other, and each with its way back.

import { Refusal } from "./api.js";
import { done } from "./message.js";
import { found, saving, verdict } from "./verdicts.js";

const isNamed = ({ kind, name: given }, wanted) => kind === "named" && given.toLocaleLowerCase() === wanted.toLocaleLowerCase();

export class Naming {
  #page;
  #last = Promise.resolve();

  /**
   * `page` has `gallery()`; `redraw(item)` shows the names of an item as they are; `refresh(item)` asks
   * for them after a change; `reopen(item, index)` shows a face again; `refused(words)`, empty for none.
   */
  constructor(page) {
    this.#page = page;
  }

  /** One change after the other: each sees the people of the one before. */
  inTurn(work) {
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => {}); // one that fails does not end those behind it
    return mine;
  }

  /** What the visitor does: what was refused before is read by now. */
  change(work) {
    this.#page.refused("");
    return this.inTurn(() => this.guarded(work));
  }

  /** Do it, and say so where it is refused. */
  async guarded(work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#page.refused(error.message);
    }
  }

  /** Shown at once, so that the next face can be named; saved in the order of the names. */
  name(item, index, wanted) {
    if (isNamed(verdict(item, index), wanted)) return;
    const mine = { name: wanted };
    saving(item).set(index, mine);
    this.#page.redraw(item);
    this.change(() => this.#save(item, index, wanted)).finally(() => {
      // Not if the face has got another name since, which is still to be saved.
      if (saving(item).get(index) === mine) saving(item).delete(index);
      this.#page.redraw(item);
    });
  }

  /** In its turn, by what is known then: the change before it may have been of the same face. */
  async #save(item, index, wanted) {
    const now = found(item, index);
    if (isNamed(now, wanted)) return;
    const gallery = this.#page.gallery();
    const face = await gallery.enrol(item.id, index, wanted);
    const wasNamed = now.isGiven;
    if (wasNamed) await gallery.withdraw(now.best);
    await this.#page.refresh(item);
    this.#done(`Named ${wanted}.`, item, index, async () => {
      await gallery.withdraw(face);
      if (!wasNamed) return;
      await gallery.load();
      await gallery.enrol(item.id, index, now.name);
    });
  }

  /** The face is not of the person that it is taken for. */
  refuse(item, index) {
    const asked = verdict(item, index);
    return this.change(async () => {
      const { isGiven, best, name: before } = found(item, index);
      if (best?.contact_id !== asked.best?.contact_id) return; // named otherwise meanwhile
      const gallery = this.#page.gallery();
      await gallery.reject(item.id, index, best, true);
      if (isGiven) await gallery.withdraw(best);
      await this.#page.refresh(item);
      this.#page.denied(item, index);
      this.#done(`Not ${before}.`, item, index, () => (isGiven
        ? gallery.enrol(item.id, index, before)
        : gallery.reject(item.id, index, best, false)));
    });
  }

  #done(words, item, index, undo) {
    done(words, () => this.change(async () => {
      await undo();
      await this.#page.refresh(item);
      this.#page.reopen(item, index);
    }));
  }
}
