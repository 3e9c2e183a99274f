/** The prepared statements of one connection. */

import type { Field, RowPlan } from "./values.ts";
import type { Int64 } from "../../backend.ts";

export interface Prepared {
  readonly name: string;
  readonly text: string;
  /** The server has it. */
  isKnown: boolean;
  paramTypes: readonly number[];
  fields: readonly Field[];
  /** Made on first use. */
  plans: Partial<Record<Int64, RowPlan>>;
}

/** Each costs the server some kilobytes for as long as the connection lives. */
const MAX_STATEMENTS = 200;
/** In characters; longer texts are prepared anew each time. */
const MAX_LENGTH = 16 * 1024;

export class PreparedStatements {
  readonly #byText = new Map<string, Prepared>();
  #count = 0;
  #given: string[] = [];
  #generation = 0;

  /** @param generation A number that grows when the schema may have changed: older statements are not used then. */
  get(text: string, generation: number): Prepared {
    if (generation !== this.#generation) this.#forgetAll(generation);
    const known = this.#byText.get(text);
    if (known !== undefined) {
      this.#byText.delete(text); // to the end: the first is the one not used for longest
      this.#byText.set(text, known);
      return known;
    }
    const prepared: Prepared = {
      name: `m${this.#count++}`,
      text,
      isKnown: false,
      paramTypes: [],
      fields: [],
      plans: {},
    };
    this.#byText.set(text, prepared);
    return prepared;
  }

  /** Gives up what is too much, the longest unused first. Not while an exchange is under way: it may use any of them. */
  trim(used: readonly string[]): void {
    for (const text of used) if (text.length > MAX_LENGTH) this.forget(text);
    while (this.#byText.size > MAX_STATEMENTS) this.forget(this.#byText.keys().next().value ?? "");
  }

  forget(text: string): void {
    const prepared = this.#byText.get(text);
    this.#byText.delete(text);
    if (prepared?.isKnown === true) this.#given.push(prepared.name);
  }

  /** Names that the server may give up now; each is told once. */
  takeForgotten(): readonly string[] {
    const names = this.#given;
    if (names.length > 0) this.#given = [];
    return names;
  }

  #forgetAll(generation: number): void {
    for (const text of this.#byText.keys()) this.forget(text);
    this.#generation = generation;
  }
}
