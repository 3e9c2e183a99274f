import { expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import type { EmailBackend } from "../src/backend.ts";
import { open } from "../src/backends/memory.ts";
import { emailContract } from "./contract.ts";
import { parse } from "./mail-server.ts";
import { outboxContract } from "./outbox.ts";

let backend: EmailBackend;
const reopen = async (): Promise<EmailBackend> => (backend = await open(configUrl("memory:")));

emailContract("memory", {
  open: reopen,
  arrived: async (id) => {
    const message = await backend.getCaught(id);
    return message && { ...message, mail: await parse(message.raw) };
  },
  count: async () => (await backend.listCaught(1000, undefined)).messages.length,
});
outboxContract("memory", reopen);

const message = (number: number, size: number) => ({
  id: `${number}@x`,
  sender: "a@x",
  recipients: ["b@x"],
  raw: Buffer.alloc(size),
});

it("keeps the newest thousand", async () => {
  const outbox = await open(configUrl("memory:"));
  for (let number = 0; number < 1010; number++) await outbox.send(message(number, 1));

  expect(await outbox.getCaught("9@x")).toBeUndefined();
  expect(await outbox.getCaught("10@x")).toBeDefined();
  expect(await outbox.clearCaught()).toBe(1000);
});

it("keeps 64 MiB, and pages of 16", async () => {
  const outbox = await open(configUrl("memory:"));
  for (let number = 0; number < 10; number++) await outbox.send(message(number, 9 * 1024 * 1024));

  const page = await outbox.listCaught(50, undefined);

  expect(page.messages.map(({ id }) => id)).toEqual(["9@x"]);
  expect((await outbox.listCaught(50, page.cursor)).messages.map(({ id }) => id)).toEqual(["8@x"]);
  expect(await outbox.clearCaught()).toBe(7);
});
