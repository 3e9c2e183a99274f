import { expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import type { Current } from "../client.ts";

interface Leased {
  readonly id: string;
  readonly payload: unknown;
  readonly deliveries: number;
}

export function leases({ client, name, has }: Current): void {
  it("hides a leased message until it is acknowledged, and then it is gone", async () => {
    const queue = name();
    await client().post(`/push/${queue}`, { n: 1 });

    const message = await lease(queue);
    const hidden = await lease(queue);
    const acked = await settle("ack", queue, message?.id);
    const again = await settle("ack", queue, message?.id);

    expect([message?.payload, message?.deliveries, hidden]).toEqual([{ n: 1 }, 1, undefined]);
    expect([acked.status, again.status]).toEqual([200, 404]);
    expect(again.json.code).toBe("NOT_FOUND");
    expect((await client().get(`/len/${queue}`)).json).toMatchObject({ length: 0, dead: 0 });
  });

  it("hands a message out again when its lease has run out, counted, and a waiting poll gets it", async () => {
    const queue = name();
    await client().post(`/push/${queue}`, { n: 1 });
    const first = await lease(queue, "&visibility=0.3");
    const begin = performance.now();

    const second = await lease(queue, "&visibility=5", 10);

    expect([second?.id, second?.deliveries]).toEqual([first?.id, 2]);
    expect(performance.now() - begin).toBeGreaterThan(100);
    expect((await settle("ack", queue, second?.id)).status).toBe(200);
  });

  it("refuses the acknowledgement of a lease that has run out", async () => {
    const queue = name();
    await client().post(`/push/${queue}`, 1);
    const first = await lease(queue, "&visibility=0.1");
    await until("it can be taken again", async () => (await client().get(`/len/${queue}`)).json.length === 1);

    expect((await settle("ack", queue, first?.id)).status).toBe(404);
    expect((await settle("nack", queue, first?.id)).status).toBe(404);
    expect(await lease(queue)).toMatchObject({ deliveries: 2 });
  });

  it("hands out again what was given back, at once or after its delay", async () => {
    const queue = name();
    await client().post(`/push/${queue}`, 1);

    const first = await lease(queue);
    const back = await settle("nack", queue, first?.id);
    const second = await lease(queue, "", 5);
    await settle("nack", queue, second?.id, "?delay=0.4");
    const begin = performance.now();
    const none = await lease(queue);
    const third = await lease(queue, "", 10);

    expect([back.status, back.json]).toEqual([
      200,
      { status: "rejected", topic: decodeURIComponent(queue), message_id: first?.id },
    ]);
    expect([second?.id, second?.deliveries, none]).toEqual([first?.id, 2, undefined]);
    expect([third?.id, third?.deliveries]).toEqual([first?.id, 3]);
    expect(performance.now() - begin).toBeGreaterThan(300);
  });

  it("buries a message with its last reason after max_deliveries, and redrives it", async () => {
    const queue = name();
    const { json } = await client().post(`/push/${queue}`, { n: 12345678901234567890n.toString() });

    for (const reason of ["first", "second", "third: ü"]) {
      const message = await lease(queue, "", 5);
      await settle("nack", queue, message?.id, `?reason=${encodeURIComponent(reason)}`);
    }
    const nothing = await lease(queue);
    const dead = await client().get(`/dead/${queue}`);
    const counted = await client().get(`/len/${queue}`);
    const redriven = await client().post(`/dead/${queue}/redrive`);
    const again = await lease(queue, "", 5);

    expect(nothing).toBeUndefined();
    expect(dead.json).toEqual({
      messages: [
        {
          id: json.message_id,
          payload: { n: "12345678901234567890" },
          deliveries: 3,
          reason: "third: ü",
          died_at: expect.stringMatching(/^\d{4}-.*Z$/),
        },
      ],
      queue: decodeURIComponent(queue),
      count: 1,
    });
    expect(counted.json).toMatchObject({ length: 0, dead: 1 });
    expect(redriven.json).toEqual({ status: "redriven", queue: decodeURIComponent(queue), count: 1 });
    expect([again?.id, again?.deliveries]).toEqual([json.message_id, 1]);
    expect((await client().get(`/dead/${queue}`)).json.count).toBe(0);
  });

  it("buries a message whose leases ran out", async () => {
    const queue = name();
    await client().post(`/push/${queue}`, 1);

    for (let count = 0; count < 3; count++) await lease(queue, "&visibility=0.1", 5);

    await until("it is dead", async () => (await client().get(`/len/${queue}`)).json.dead === 1);
    expect((await client().get(`/dead/${queue}`)).json.messages[0]).toMatchObject({
      reason: "not acknowledged in time",
      deliveries: 3,
    });
    expect(await lease(queue)).toBeUndefined();
  });

  it("redrives as many as it is asked for, the oldest first", async () => {
    const queue = name();
    await client().post(`/push/${queue}/batch`, { messages: [1, 2, 3] });
    for (let round = 0; round < 3; round++) {
      const messages = [await lease(queue, "", 5), await lease(queue, "", 5), await lease(queue, "", 5)];
      for (const message of messages.sort((a, b) => Number(a?.payload) - Number(b?.payload)))
        await settle("nack", queue, message?.id);
    }

    const { json } = await client().post(`/dead/${queue}/redrive?max_messages=2`);

    expect(json.count).toBe(2);
    const payloads = [await lease(queue, "", 5), await lease(queue, "", 5)].map((message) => message?.payload);
    expect(payloads).toEqual([1, 2]);
    expect((await client().get(`/len/${queue}`)).json).toMatchObject({ length: 0, dead: 1 });
  });

  it("knows no lease of a message that waits, or of one that never was", async () => {
    const queue = name();
    const { json } = await client().post(`/push/${queue}`, 1);

    expect((await settle("ack", queue, json.message_id)).status).toBe(404);
    expect((await settle("nack", queue, json.message_id)).status).toBe(404);
    expect((await settle("ack", queue, "no/such id %25 ü")).status).toBe(404);
    expect((await client().get(`/len/${queue}`)).json.length).toBe(1);
  });

  it("counts what waits, is leased, delayed and dead", async () => {
    const queue = name();
    await client().post(`/push/${queue}/batch`, { messages: [1, 2, 3] });
    await client().post(`/push/${queue}?delay=100`, 4);
    await lease(queue);

    const { json } = await client().get(`/len/${queue}`);

    const unknown = has("leases-are-not-counted");
    expect(json).toEqual({
      queue: decodeURIComponent(queue),
      length: 2,
      leased: unknown ? null : 1,
      delayed: unknown ? null : 1,
      dead: 0,
    });
  });

  async function lease(queue: string, more = "", timeout = 0): Promise<Leased | undefined> {
    const { json } = await client().get(`/pop/${queue}?timeout=${timeout}&ack=manual${more}`);
    return json.message ?? undefined;
  }

  function settle(
    how: "ack" | "nack",
    queue: string,
    id = "",
    more = "",
  ): ReturnType<ReturnType<typeof client>["post"]> {
    return client().post(`/${how}/${queue}/${encodeURIComponent(id)}${more}`);
  }
}
