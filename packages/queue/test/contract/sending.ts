import { expect, it } from "@jest/globals";
import type { Current } from "../client.ts";

export function sending({ client, name }: Current): void {
  it("gives a message the id on pop that it had on push", async () => {
    const queue = name();

    const pushed = await client().post(`/push/${queue}`, { n: 1 });
    const popped = await client().get(`/pop/${queue}?timeout=0`);

    const decoded = decodeURIComponent(queue);
    expect(pushed.json).toEqual({ status: "pushed", queue: decoded, message_id: expect.stringMatching(/./) });
    expect(popped.json).toEqual({
      message: { id: pushed.json.message_id, payload: { n: 1 }, received_at: expect.stringMatching(/^\d{4}-.*Z$/) },
      queue: decoded,
    });
  });

  it.each([
    ["JSON with all its digits", '{"big": 12345678901234567890, "small":1e-400, "a":[ ]}', undefined],
    ["a JSON string", '"ünï😀"', undefined],
    ["null", "null", undefined],
    ["text", "plain “text” 😀\n", { data: "plain “text” 😀\n" }],
    ["nothing", "", { data: "" }],
    ["bytes that are no text", Buffer.from([0xff, 0, 0xfe]), { base64: "/wD+" }],
    ["a long text", "x".repeat(300_000), { data: "x".repeat(300_000) }],
  ] as const)("hands out %s as it came", async (_what, body, payload) => {
    const queue = name();

    await client().post(`/push/${queue}`, body, { "Content-Type": "application/json" });
    const { text, json } = await client().get(`/pop/${queue}?timeout=0`);

    if (payload === undefined) expect(text).toContain(`"payload":${body.toString()}`);
    else expect(json.message.payload).toEqual(payload);
  });

  it("keeps the order, over single messages and batches", async () => {
    const queue = name();

    await client().post(`/push/${queue}`, 0);
    const batch = await client().post(`/push/${queue}/batch`, { messages: [1, "two", { three: [3] }, null] });
    await client().post(`/push/${queue}`, 5);

    expect(await popAll(queue)).toEqual([0, 1, "two", { three: [3] }, null, 5]);
    expect(new Set(batch.json.message_ids).size).toBe(4);
    expect(batch.json).toMatchObject({ status: "pushed", queue: decodeURIComponent(queue) });
  });

  it("keeps integers of a batch exactly", async () => {
    const queue = name();

    await client().post(`/push/${queue}/batch`, '{"messages":[{"n":9007199254740993}]}', {
      "Content-Type": "application/json",
    });

    expect((await client().get(`/pop/${queue}?timeout=0`)).text).toContain('"payload":{"n":9007199254740993}');
  });

  it.each(["a.b:c*#{}", "übung", "😀/👍", "%25", " ", "..", "-", "q".repeat(180)])(
    "takes %p in the name of a queue and of a topic, and they are apart",
    async (label) => {
      const it = name(label);

      await client().post(`/push/${it}`, { to: "queue" });
      await client().post(`/publish/${it}`, { to: "topic" });

      expect(await popAll(it)).toEqual([{ to: "queue" }]);
      const { json } = await client().get(`/subscribe/${it}?timeout=0`);
      expect(json.messages.map((message: { payload: unknown }) => message.payload)).toEqual([{ to: "topic" }]);
    },
  );

  it("hides a delayed message until it is due, and then wakes who waits", async () => {
    const queue = name();
    const begin = performance.now();
    const { json } = await client().post(`/push/${queue}?delay=0.6`, { late: true });
    await client().post(`/push/${queue}`, { late: false });

    const first = await client().get(`/pop/${queue}?timeout=0`);
    const none = await client().get(`/pop/${queue}?timeout=0`);
    const second = await client().get(`/pop/${queue}?timeout=10`);

    expect([first.json.message.payload, none.json.message]).toEqual([{ late: false }, null]);
    expect(second.json.message).toMatchObject({ id: json.message_id, payload: { late: true } });
    expect(performance.now() - begin).toBeGreaterThanOrEqual(599);
  });

  it("puts a message that is due behind those that came before, and before those that come after", async () => {
    const queue = name();
    await client().post(`/push/${queue}?delay=0.2`, '"delayed"');
    await client().post(`/push/${queue}`, '"before"');
    await client().post(`/push/${queue}?delay=0.4`, '"marker"');
    await due(queue, 3);

    await client().post(`/push/${queue}`, '"after"');

    const all = (await popAll(queue)) as string[];
    expect(all.indexOf("before")).toBe(0);
    expect(all.indexOf("delayed")).toBeLessThan(all.indexOf("after"));
  });

  it("sends once what comes twice with one idempotency key, also at once", async () => {
    const queue = name();
    const key = { "Idempotency-Key": "order 4711" };

    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => client().post(`/push/${queue}`, { n }, key)),
    );
    const later = await client().post(`/push/${queue}`, { n: "later" }, key);
    const other = await client().post(`/push/${queue}`, { n: "other" }, { "Idempotency-Key": "order 4712" });
    const elsewhere = await client().post(`/push/${name("elsewhere")}`, { n: "elsewhere" }, key);

    expect(new Set([...answers, later].map(({ json }) => json.message_id)).size).toBe(1);
    expect(await popAll(queue)).toHaveLength(2);
    expect(new Set([later, other, elsewhere].map(({ json }) => json.message_id)).size).toBe(3);
  });

  it("holds the idempotency key of a batch and of a publish, too", async () => {
    const it = name();
    const key = { "Idempotency-Key": "twice" };

    const [first, second] = await Promise.all(
      [0, 1].map(() => client().post(`/push/${it}/batch`, { messages: [1, 2, 3] }, key)),
    );
    const published = await Promise.all([0, 1].map(() => client().post(`/publish/${it}`, 1, key)));

    expect(second?.json.message_ids).toEqual(first?.json.message_ids);
    expect(await popAll(it)).toEqual([1, 2, 3]);
    expect(published[0]?.json.message_id).toBe(published[1]?.json.message_id);
    expect((await client().get(`/subscribe/${it}?timeout=0`)).json.count).toBe(1);
  });

  async function popAll(queue: string): Promise<unknown[]> {
    const payloads: unknown[] = [];
    for (;;) {
      const { json } = await client().get(`/pop/${queue}?timeout=0`);
      if (json.message === null) return payloads;
      payloads.push(json.message.payload);
    }
  }

  /** Resolves when so many could be taken. */
  async function due(queue: string, count: number): Promise<void> {
    for (;;) {
      const { json } = await client().get(`/len/${queue}`);
      if (json.length === count) return;
    }
  }
}
