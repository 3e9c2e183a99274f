import { describe, expect, it } from "@jest/globals";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EchoService } from "./echo.ts";

describe("a service", () => {
  it("opens the backend of its URL's scheme", async () => {
    const sidecar = await EchoService.fromUrl("memory://?size=3");

    expect(sidecar).toMatchObject({ name: "echo", backend: "memory", url: "memory://?size=3" });
  });

  it.each([
    ["s4://x", 'ECHO_URL: unknown scheme "s4"; known: memory'],
    ["constructor://x", 'ECHO_URL: unknown scheme "constructor"; known: memory'],
    ["memory://?seize=1", 'ECHO_URL: unknown parameter "seize"; known for memory: size'],
    ["memory://?size=x", 'ECHO_URL: parameter "size" is "x"; expected an integer from 0 to 10'],
    ["memory", "ECHO_URL: not a URL; expected scheme://…"],
  ])("refuses %s with its variable, what came and what is known", async (url, message) => {
    await expect(EchoService.fromUrl(url)).rejects.toMatchObject({ code: "CONFIG_ERROR", message });
  });

  it("takes its URL from its variable, from the file that the _FILE twin names, or from its default", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "mikcar-")), "url");
    writeFileSync(file, "memory://?size=2\n");

    expect((await EchoService.fromEnv({ ECHO_URL: "memory://?size=1" })).url).toBe("memory://?size=1");
    expect((await EchoService.fromEnv({ ECHO_URL_FILE: file })).url).toBe("memory://?size=2");
    expect((await EchoService.fromEnv({ ECHO_URL: "" })).url).toBe("memory://");
  });

  it("refuses a variable that is set twice, and a file that is not there", async () => {
    await expect(EchoService.fromEnv({ ECHO_URL: "memory://", ECHO_URL_FILE: "/x" })).rejects.toThrow(/both set/);
    const empty = join(mkdtempSync(join(tmpdir(), "mikcar-")), "url");
    writeFileSync(empty, "\n");
    await expect(EchoService.fromEnv({ ECHO_URL_FILE: empty })).rejects.toThrow(/is empty; write the value into it/);
    await expect(EchoService.fromEnv({ ECHO_URL_FILE: "/no/such" })).rejects.toThrow(
      'ECHO_URL_FILE: cannot read "/no/such" (ENOENT)',
    );
  });
});
