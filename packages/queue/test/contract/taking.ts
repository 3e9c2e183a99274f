import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import type { Current } from "../client.ts";

const ROUNDS = process.env["MIKCAR_TEST_LONG"] === "1" ? 50 : 2;

export function taking({ client, name }: Current): void {
  it("answers null at once without a timeout, and after the timeout with one", async () => {
    const queue = name();

    const now = await client().get(`/pop/${queue}?timeout=0`);
    const begin = performance.now();
    const later = await client().get(`/pop/${queue}?timeout=0.3`);

    expect([now.json, later.json]).toEqual([
      { message: null, queue: decodeURIComponent(queue) },
      { message: null, queue: decodeURIComponent(queue) },
    ]);
    expect(performance.now() - begin).toBeGreaterThanOrEqual(299);
  });

  it("wakes a poll by a push", async () => {
    const queue = name();
    const polls = [0, 1, 2].map(() => client().get(`/pop/${queue}?timeout=30`));

    await client().post(`/push/${queue}`, 1);
    await client().post(`/push/${queue}/batch`, { messages: [2, 3] });

    const payloads = (await Promise.all(polls)).map(({ json }) => json.message.payload);
    expect(payloads.sort()).toEqual([1, 2, 3]);
  });

  it("gives each of 300 messages to one of 30 consumers that come and go, and none twice", async () => {
    const queue = name();
    const seen: number[] = [];
    const consumers = Array.from({ length: 30 }, async (_, consumer) => {
      while (seen.length < 300) {
        const { json } = await client().get(`/pop/${queue}?timeout=${consumer % 2 === 0 ? 0 : 0.2}`);
        if (json.message !== null) seen.push(json.message.payload);
      }
    });

    await Promise.all(Array.from({ length: 300 }, (_, n) => client().post(`/push/${queue}`, n)));
    await Promise.all(consumers);

    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, n) => n));
    expect((await client().get(`/len/${queue}`)).json).toMatchObject({ length: 0, dead: 0 });
  }, 30_000);

  it("takes nothing for a poll that has timed out or whose client has left", async () => {
    const queue = name();
    const leaving = await request(`/queue/pop/${queue}?timeout=30`);
    await client().get(`/pop/${queue}?timeout=0.2`); // by then the first one waits, too

    leaving.destroy();
    await until("the client has left", () => leaving.closed);
    const { json } = await client().post(`/push/${queue}`, { n: 1 });

    const popped = await client().get(`/pop/${queue}?timeout=10`);
    expect(popped.json.message).toMatchObject({ id: json.message_id, payload: { n: 1 } });
  });

  it("gives a message back whose client leaves while the answer is written", async () => {
    const queue = name();
    for (let round = 0; round < ROUNDS; round++) {
      await client().post(`/push/${queue}`, "x".repeat(8_000_000));
      const leaving = await request(`/queue/pop/${queue}?timeout=0`);
      await once(leaving, "readable"); // its answer has begun

      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      leaving.resetAndDestroy();

      const again = await client().get(`/pop/${queue}?timeout=10&ack=manual`);
      expect(again.json.message.payload.data).toHaveLength(8_000_000);
      expect(again.json.message.deliveries).toBe(1);
      await client().post(`/ack/${queue}/${encodeURIComponent(again.json.message.id)}`);
    }
  }, 120_000);

  it("loses nothing to 60 clients that hang up at random moments, and holds nothing for them", async () => {
    const queue = name();
    const rounds = Array.from({ length: 60 }, (_, round) => round);

    await Promise.all(
      rounds.map(async (round) => {
        const leaving = await request(`/queue/pop/${queue}?timeout=30&ack=manual&visibility=1`);
        setTimeout(() => leaving.resetAndDestroy(), Math.random() * 40);
        await client().post(`/push/${queue}`, round);
        await until("the client has left", () => leaving.closed);
      }),
    );

    const acknowledged: number[] = [];
    while (acknowledged.length < rounds.length) {
      const { json } = await client().get(`/pop/${queue}?timeout=10&ack=manual`);
      const { status } = await client().post(`/ack/${queue}/${encodeURIComponent(json.message.id)}`);
      expect(status).toBe(200);
      acknowledged.push(json.message.payload);
    }
    expect(acknowledged.toSorted((one, other) => one - other)).toEqual(rounds);
    expect((await client().get(`/pop/${queue}?timeout=0`)).json.message).toBeNull();
  }, 30_000);

  it("takes a message for good when its answer is written", async () => {
    const queue = name();
    await client().post(`/push/${queue}`, 1);

    await client().get(`/pop/${queue}?timeout=0`);

    await until("it is gone", async () => {
      const { json } = await client().get(`/len/${queue}`);
      return json.length === 0 && (json.leased ?? 0) === 0;
    });
    expect((await client().get(`/pop/${queue}?timeout=0`)).json.message).toBeNull();
  });

  it("accepts the acknowledgement of what a final pop has taken", async () => {
    const queue = name();
    await client().post(`/push/${queue}`, 1);
    const { json } = await client().get(`/pop/${queue}?timeout=0`);

    const acked = await client().post(`/ack/${queue}/${encodeURIComponent(json.message.id)}`);

    expect([acked.status, acked.json]).toEqual([
      200,
      { status: "acknowledged", topic: decodeURIComponent(queue), message_id: json.message.id },
    ]);
  });

  async function request(path: string): Promise<Socket> {
    const { hostname, port } = new URL(client().url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined); // it may be reset, which is the point
    await once(socket, "connect");
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    return socket;
  }
}
