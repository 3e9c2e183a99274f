import { expect, it } from "@jest/globals";
import { createLog, SidecarBuilder } from "@mikcar/core";
import { ask } from "@mikcar/devkit";
import { EmailService } from "../src/service.ts";
import { HELLO } from "./client.ts";

it("keeps the idempotency keys of callers apart", async () => {
  const tokens = JSON.stringify({ one: { scopes: ["email"] }, two: { scopes: ["email"] } });
  const builder = new SidecarBuilder()
    .port(0)
    .log(await createLog("silent"))
    .tokens(tokens);
  const server = await builder.add(await EmailService.fromUrl("memory:")).serve();
  const send = async (token: string): Promise<string> => {
    const headers = {
      Authorization: `Bearer ${token}`,
      "Content-Type": "application/json",
      "Idempotency-Key": "order 7",
    };
    return (await ask(server.url ?? "", "/email/send", { method: "POST", headers, body: JSON.stringify(HELLO) })).json
      .id;
  };

  const [first, again, other] = [await send("one"), await send("one"), await send("two")];
  await server.close();

  expect(again).toBe(first);
  expect(other).not.toBe(first);
});
