/** A binary heap by deadline, from which any item can be removed. */

export interface Due {
  readonly deadline: number;
  /** Where it lies; kept by the heap, -1 outside of one. */
  place: number;
}

export class Heap<T extends Due> {
  readonly #items: T[] = [];

  get first(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    this.#put(this.#items.length, item);
    this.#rise(item);
  }

  /** Does nothing with one that is not in it. */
  remove(item: T): void {
    const { place } = item;
    if (place < 0) return;
    const last = this.#items.pop() as T; // there is at least `item`
    if (last !== item) {
      this.#put(place, last);
      this.#rise(last);
      this.#sink(last);
    }
    item.place = -1;
  }

  #rise(item: T): void {
    while (item.place > 0) {
      const parent = this.#items[(item.place - 1) >> 1] as T; // left of it
      if (parent.deadline <= item.deadline) return;
      this.#swap(parent, item);
    }
  }

  #sink(item: T): void {
    for (;;) {
      const left = this.#items[item.place * 2 + 1];
      const right = this.#items[item.place * 2 + 2];
      const child = right !== undefined && left !== undefined && right.deadline < left.deadline ? right : left;
      if (child === undefined || child.deadline >= item.deadline) return;
      this.#swap(item, child);
    }
  }

  #swap(upper: T, lower: T): void {
    const { place } = upper;
    this.#put(lower.place, upper);
    this.#put(place, lower);
  }

  #put(place: number, item: T): void {
    this.#items[place] = item;
    item.place = place;
  }
}
