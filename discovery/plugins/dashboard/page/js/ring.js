// The last so many of what was pushed, newest first when listed. Pure.

export class Ring {
  #items = [];
  #next = 0;

  constructor(size) {
    this.size = size;
    this.total = 0; // ever pushed
  }

  push(item) {
    if (this.#items.length < this.size) this.#items.push(item);
    else this.#items[this.#next] = item;
    this.#next = (this.#next + 1) % this.size;
    this.total++;
  }

  /** Newest first. */
  list() {
    const newest = this.#items.slice(0, this.#next).reverse();
    return this.#items.length < this.size ? this.#items.slice().reverse() : newest.concat(this.#items.slice(this.#next).reverse());
  }

  clear() {
    this.#items = [];
    this.#next = 0;
  }
}
