// Of questions that overlap, only the answer to the newest counts.

export class Newest {
  #turn = null;

  /** A new question; the function that comes back says whether there was none since. */
  next() {
    this.#turn = {};
    return this.current();
  }

  /** As `next`, about the question that is the newest already. */
  current() {
    const turn = this.#turn;
    return () => turn === this.#turn;
  }
}
