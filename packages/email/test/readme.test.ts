/** The README, line by line. */

import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import { configUrl } from "@mikcar/core";
import { ask, runProgram, startProgram, temporaryFolder } from "@mikcar/devkit";
import { readSmtpUrl } from "../src/backends/smtp/url.ts";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(`${PACKAGE}README.md`, "utf8");

function block(language: string, containing: string): string {
  const blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  const found = blocks.find(([, name, code = ""]) => name === language && code.includes(containing));
  if (found?.[2] === undefined) throw new Error(`the README has no ${language} block with ${containing}`);
  return found[2];
}

it("has a library example that prints what it says", async () => {
  const file = `${PACKAGE}.readme-example.mjs`; // in the package, so that it finds the package by its name
  writeFileSync(file, block("ts", "EmailService"));
  try {
    const { code, stdout } = await runProgram(file);

    expect([code, stdout.trim().split("\n").at(-1)]).toEqual([0, "Hello"]);
  } finally {
    rmSync(file);
  }
});

it("starts with the URL it shows and answers the calls it shows", async () => {
  const folder = temporaryFolder();
  const [, url = ""] = /EMAIL_URL=(\S+)/.exec(block("sh", "EMAIL_URL")) ?? [];
  const calls = block("sh", "curl");
  const [, send = "", type = "", body = ""] = /localhost:3001(\S+) -H '(.+?)' -d '(.+)'/.exec(calls) ?? [];
  const [, outbox = ""] = /curl localhost:3001(\S+)$/m.exec(calls) ?? [];
  const [name = "", value] = type.split(": ");
  const program = await startProgram(`${PACKAGE}dist/bin.js`, {
    args: ["--port", "0"],
    env: { EMAIL_URL: url.replace("/tmp", folder.path) },
  });
  try {
    const sent = await ask(program.url, send, { method: "POST", headers: { [name]: value }, body });
    const { json } = await ask(program.url, outbox);

    expect(readme).toContain(`\`${sent.text.replace(/"id":"[^@]+@/, '"id":"…@')}\``);
    expect([json.emails.length, json.emails[0].subject]).toEqual([1, JSON.parse(body).subject]);
    expect(readdirSync(`${folder.path}/outbox`)).toEqual([".mikcar", expect.stringMatching(/\.eml$/)]);
  } finally {
    await program.stop();
    folder.remove();
  }
});

it("names URLs that can be read, and the parameters there are", () => {
  const urls = [...readme.matchAll(/`(smtps?:\/\/[^`]+)`/g)].map(([, url = ""]) => url);
  for (const url of urls) readSmtpUrl(configUrl(url));
  const known = readSmtpUrl(configUrl("smtp://h?timeout_ms=1&connections=1&name=n&starttls=true"));

  expect(urls.length).toBe(4);
  expect(known).toMatchObject({ timeoutMs: 1, connections: 1, name: "n", startsTls: true });
  for (const name of ["timeout_ms", "connections", "ca=", "name", "starttls="]) expect(readme).toContain(`\`${name}`);
});
