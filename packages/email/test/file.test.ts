import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { afterAll, expect, it } from "@jest/globals";
import { configUrl, fileUrl } from "@mikcar/core";
import { temporaryFolder } from "@mikcar/devkit";
import type { EmailBackend } from "../src/backend.ts";
import { open } from "../src/backends/file.ts";
import { emailContract } from "./contract.ts";
import { parse } from "./mail-server.ts";
import { outboxContract } from "./outbox.ts";

const root = temporaryFolder();
afterAll(() => root.remove());

let folder = "";
let count = 0;
const reopen = (): Promise<EmailBackend> => {
  folder = `${root.path}/${count++}/100% of #1`;
  return open(configUrl(fileUrl(folder)));
};
const files = (): string[] => readdirSync(folder).filter((name) => name.endsWith(".eml"));
const message = (id: string) => ({
  id,
  sender: "a@x",
  recipients: ["b@x"],
  raw: Buffer.from("Subject: s\r\n\r\nt\r\n"),
});
const ID = "00000000-0000-4000-8000-000000000000@x";

emailContract("file", {
  open: reopen,
  arrived: async (id) => {
    const name = files().find((file) => file.includes(id.split("@")[0] ?? ""));
    if (name === undefined) return undefined;
    const raw = readFileSync(`${folder}/${name}`);
    const envelope = JSON.parse(readFileSync(`${folder}/.mikcar/${name.replace(/eml$/, "json")}`, "utf8"));
    return { ...envelope, raw, mail: await parse(raw) };
  },
  count: async () => files().length,
});
outboxContract("file", reopen);

it("finds its messages again, and those of another process", async () => {
  const first = await reopen();
  const second = await open(configUrl(fileUrl(folder)));
  await first.send(message(ID));
  await first.close();

  expect(await second.getCaught(ID)).toEqual(message(ID));
  expect(await second.getCaught(ID.replace("@x", "@y"))).toBeUndefined();
});

it("leaves files alone that are not its own", async () => {
  const outbox = await reopen();
  writeFileSync(`${folder}/other.eml`, "Subject: other\r\n\r\n");
  await outbox.send(message(ID));

  expect((await outbox.listCaught(50, undefined)).messages.length).toBe(1);
  expect(await outbox.clearCaught()).toBe(1);
  expect(readdirSync(folder).sort()).toEqual([".mikcar", "other.eml"]);
  expect(readdirSync(`${folder}/.mikcar`)).toEqual([]);
});

it("clears away what a process that was killed has left half written", async () => {
  await (await reopen()).close();
  const left = `${folder}/.mikcar/20260101T000000000Z-000001-${ID.split("@")[0]}`;
  for (const ending of ["tmp", "json"]) writeFileSync(`${left}.${ending}`, "{}");
  writeFileSync(`${folder}/.mikcar/fresh.tmp`, "");
  utimesSync(`${left}.tmp`, 0, 0);

  await open(configUrl(fileUrl(folder)));

  expect(readdirSync(`${folder}/.mikcar`)).toEqual(["fresh.tmp"]);
});

it("answers UNAVAILABLE when its folder is gone, and leaves nothing half written", async () => {
  const outbox = await reopen();
  rmSync(folder, { recursive: true });

  await expect(outbox.send(message(ID))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(outbox.ping()).rejects.toMatchObject({ code: "UNAVAILABLE" });

  mkdirSync(`${folder}/.mikcar`, { recursive: true });
  await outbox.send(message(ID));
  expect(files().length).toBe(1);
});

it("shows a message whose envelope is damaged, and the others", async () => {
  const outbox = await reopen();
  await outbox.send(message(ID));
  await outbox.send(message(ID.replace("0", "1")));
  const [envelope = ""] = readdirSync(`${folder}/.mikcar`).filter((name) => name.endsWith(".json"));

  writeFileSync(`${folder}/.mikcar/${envelope}`, "");

  const { messages } = await outbox.listCaught(10, undefined);
  expect(messages.map(({ raw }) => raw.toString())).toEqual(["Subject: s\r\n\r\nt\r\n", "Subject: s\r\n\r\nt\r\n"]);
  await outbox.close();
});
