import { expect, it } from "@jest/globals";
import type { Current } from "../client.ts";

export function looking({ client, name }: Current): void {
  it("peeks at the next messages without taking, counting or moving them", async () => {
    const queue = name();
    const { json } = await client().post(`/push/${queue}/batch`, { messages: [1, { n: 12 }, 3] });

    const peeked = await client().get(`/peek/${queue}?max_messages=2`);
    const again = await client().get(`/peek/${queue}`);
    const popped = await client().get(`/pop/${queue}?timeout=5&ack=manual`);

    const [first, second] = json.message_ids as string[];
    expect(peeked.json).toEqual({
      messages: [
        { id: first, payload: 1, deliveries: 0 },
        { id: second, payload: { n: 12 }, deliveries: 0 },
      ],
      queue: decodeURIComponent(queue),
      count: 2,
    });
    expect(again.json.count).toBe(3);
    expect(popped.json.message).toMatchObject({ id: first, deliveries: 1 });
  });

  it("purges the waiting messages, and leaves those leased, delayed and dead", async () => {
    const queue = name();
    await client().post(`/push/${queue}/batch`, { messages: [1, 2, 3, 4] });
    await client().post(`/push/${queue}?delay=0.5`, '"delayed"');
    const leased = await client().get(`/pop/${queue}?timeout=0&ack=manual`);

    const purged = await client().post(`/purge/${queue}`);

    expect(purged.json).toEqual({ status: "purged", queue: decodeURIComponent(queue), count: 3 });
    expect((await client().get(`/pop/${queue}?timeout=0`)).json.message).toBeNull();
    const id = encodeURIComponent(leased.json.message.id);
    expect((await client().post(`/ack/${queue}/${id}`)).status).toBe(200);
    expect((await client().get(`/pop/${queue}?timeout=10`)).json.message.payload).toBe("delayed");
    await client().post(`/push/${queue}`, '"new"');
    expect((await client().get(`/pop/${queue}?timeout=5`)).json.message.payload).toBe("new");
  });

  it("finds nothing in a queue that nobody has used", async () => {
    const queue = name();
    const decoded = decodeURIComponent(queue);

    expect((await client().get(`/len/${queue}`)).json).toMatchObject({ queue: decoded, length: 0, dead: 0 });
    expect((await client().get(`/peek/${queue}`)).json).toEqual({ messages: [], queue: decoded, count: 0 });
    expect((await client().get(`/dead/${queue}`)).json).toEqual({ messages: [], queue: decoded, count: 0 });
    expect((await client().post(`/purge/${queue}`)).json.count).toBe(0);
    expect((await client().post(`/dead/${queue}/redrive`)).json.count).toBe(0);
  });

  it("answers a ping", async () => {
    await expect(client().backend.ping()).resolves.toBeUndefined();
  });
}
