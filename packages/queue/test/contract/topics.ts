import { type IncomingMessage, request } from "node:http";
import { expect, it } from "@jest/globals";
import { until } from "@mikcar/devkit";
import type { Current } from "../client.ts";

interface Leased {
  readonly id: string;
  readonly payload: unknown;
  readonly deliveries: number;
}

export function topics({ client, name }: Current): void {
  it("keeps what is published before any subscriber for the group default", async () => {
    const topic = name("topic");

    const published = await client().post(`/publish/${topic}`, { n: 1 });
    const { json } = await client().get(`/subscribe/${topic}?timeout=0`);

    expect(published.json).toEqual({
      status: "published",
      topic: decodeURIComponent(topic),
      message_id: expect.stringMatching(/./),
    });
    expect(json).toEqual({
      messages: [
        {
          id: published.json.message_id,
          payload: { n: 1 },
          deliveries: 1,
          received_at: expect.stringMatching(/^\d{4}-.*Z$/),
        },
      ],
      topic: decodeURIComponent(topic),
      count: 1,
    });
  });

  it("gives every group each message from its first subscribe on, and its consumers share them", async () => {
    const topic = name("topic");
    await client().post(`/publish/${topic}`, 1);
    expect(await payloads(topic, "&group=a")).toEqual([]);
    expect(await payloads(topic, "&group=b%2F%C3%BC")).toEqual([]);

    for (const n of [2, 3, 4, 5]) await client().post(`/publish/${topic}`, n);

    const [one, two] = await Promise.all([
      payloads(topic, "&group=a&max_messages=2"),
      payloads(topic, "&group=a&max_messages=2"),
    ]);
    expect([...(one ?? []), ...(two ?? [])].sort()).toEqual([2, 3, 4, 5]);
    expect(await payloads(topic, "&group=b%2F%C3%BC")).toEqual([2, 3, 4, 5]);
    expect(await payloads(topic)).toEqual([1, 2, 3, 4, 5]);
  });

  it("returns as soon as there is one, and wakes all groups at once", async () => {
    const topic = name("topic");
    const polls = ["", "&group=a", "&group=b"].map((group) => subscribe(topic, group, 30));
    await settled(topic, ["a", "b"]);

    await client().post(`/publish/${topic}`, '"wake"');

    for (const messages of await Promise.all(polls)) expect(messages.map(({ payload }) => payload)).toEqual(["wake"]);
  });

  it("acknowledges and gives back for one group alone", async () => {
    const topic = name("topic");
    await subscribe(topic, "&group=a");
    const { json } = await client().post(`/publish/${topic}`, 1);
    const id = encodeURIComponent(json.message_id);
    const [ofDefault] = await subscribe(topic);
    const [ofA] = await subscribe(topic, "&group=a");

    const acked = await client().post(`/ack/${topic}/${id}?group=a`);
    const again = await client().post(`/ack/${topic}/${id}?group=a`);
    const back = await client().post(`/nack/${topic}/${id}`);
    const [redelivered] = await subscribe(topic, "", 5);

    expect([ofDefault?.id, ofA?.id]).toEqual([json.message_id, json.message_id]);
    expect([acked.status, again.status, back.status]).toEqual([200, 404, 200]);
    expect([redelivered?.id, redelivered?.deliveries]).toEqual([json.message_id, 2]);
    expect(await payloads(topic, "&group=a")).toEqual([]);
    expect((await client().post(`/ack/${topic}/${id}`)).status).toBe(200);
  });

  it("delivers again what is not acknowledged in time, and buries it at last", async () => {
    const topic = name("topic");
    await client().post(`/publish/${topic}`, 1);

    const counts: (number | undefined)[] = [];
    for (let count = 0; count < 3; count++) {
      const [message] = await subscribe(topic, "&visibility=0.2", 10);
      counts.push(message?.deliveries);
    }

    expect(counts).toEqual([1, 2, 3]);
    await until("it is dead", async () => {
      const { json } = await client().get(`/len/${topic}?group=default`);
      return json.dead === 1;
    });
    expect((await client().get(`/dead/${topic}?group=default`)).json.count).toBe(1);
    expect((await client().post(`/dead/${topic}/redrive?group=default`)).json.count).toBe(1);
    expect(await payloads(topic)).toEqual([1]);
  });

  it("streams messages as events, no more than asked for at a time, and takes the rest for others", async () => {
    const topic = name("topic");
    for (const n of [1, 2, 3]) await client().post(`/publish/${topic}`, { n });
    const stream = await open(topic, "?max_messages=2&visibility=20");

    await until("two came", () => stream.events.length === 2);
    const [other] = await subscribe(topic, "", 0);
    await client().post(`/publish/${topic}`, { n: 4 });
    await client().post(`/ack/${topic}/${encodeURIComponent(stream.events[0]?.id ?? "")}`);
    await until("the fourth came", () => stream.events.length === 3);

    expect(stream.type).toBe("text/event-stream");
    expect(stream.events.map(({ payload }) => payload)).toEqual([{ n: 1 }, { n: 2 }, { n: 4 }]);
    expect(other?.payload).toEqual({ n: 3 });
    stream.close();
    await client().post(`/publish/${topic}`, { n: 5 });
    expect((await subscribe(topic, "", 10)).map(({ payload }) => payload)).toEqual([{ n: 5 }]);
  });

  async function subscribe(topic: string, more = "", timeout = 0): Promise<Leased[]> {
    const { json } = await client().get(`/subscribe/${topic}?timeout=${timeout}${more}`);
    return json.messages;
  }

  async function payloads(topic: string, more = ""): Promise<unknown[]> {
    return (await subscribe(topic, more)).map(({ payload }) => payload);
  }

  /** Resolves when these groups are there: what is published then reaches them. */
  async function settled(topic: string, groups: readonly string[]): Promise<void> {
    await Promise.all(groups.map((group) => subscribe(topic, `&group=${group}`)));
  }

  async function open(topic: string, query: string): Promise<{ events: Leased[]; type?: string; close: () => void }> {
    const stream: { events: Leased[]; type?: string; close: () => void } = {
      events: [],
      close: () => asking.destroy(),
    };
    const asking = request(`${client().url}/queue/subscribe/${topic}${query}`, {
      headers: { Accept: "text/event-stream" },
    });
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      asking.once("response", resolve).once("error", reject).end();
    });
    stream.type = response.headers["content-type"] ?? "";
    let text = "";
    response.on("error", () => undefined); // it is cut by the test
    response.on("data", (chunk: Buffer) => {
      text += chunk;
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const data = block.split("\n").filter((line) => line.startsWith("data: "));
        if (data.length > 0) stream.events.push(JSON.parse(data.map((line) => line.slice(6)).join("\n")) as Leased);
      }
    });
    return stream;
  }
}
