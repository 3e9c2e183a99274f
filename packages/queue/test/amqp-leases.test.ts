import { expect, it } from "@jest/globals";
import fc from "fast-check";
import { type Due, Heap } from "../src/backends/amqp/heap.ts";

it("has the earliest deadline first, whatever is added and removed", () => {
  const step = fc.record({ isAdding: fc.boolean(), number: fc.nat(50) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new Heap<Due>();
      const all: Due[] = [];
      for (const { isAdding, number } of steps) {
        if (isAdding || all.length === 0) {
          all.push({ deadline: number, place: -1 });
          heap.add(all.at(-1) as Due); // just pushed
        } else {
          const [removed] = all.splice(number % all.length, 1) as [Due]; // one of them
          heap.remove(removed);
          heap.remove(removed);
        }
        const earliest = all.length === 0 ? undefined : Math.min(...all.map(({ deadline }) => deadline));
        expect(heap.first?.deadline).toBe(earliest);
      }
    }),
  );
});
