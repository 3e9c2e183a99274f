/** The images, from their root file systems: what an engine would run, run without one. */

import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { freePort, temporaryFolder } from "@mikcar/devkit";
import { type Container, runContainer } from "./container.ts";
import { readImage, readStages } from "./dockerfile.ts";
import { succeed } from "./run.ts";
import { services, tour } from "./tour.ts";
import { foreignDependencies, isLong, programs, root } from "./workspace.ts";

const TOKEN = "a-token-for-tests";
/** Files of the volume. */
const URLS: Readonly<Record<string, string>> = {
  STORAGE_URL: "file:///data/objects",
  KV_URL: "file:///data/kv.lmdb",
  DATABASE_URL: "sqlite:///data/sql.db",
  QUEUE_URL: "file:///data/queue.lmdb",
  SECRETS_URL: "file:///data/secrets.enc",
  EMAIL_URL: "file:///data/outbox",
};

/** Clouds that are not there: each needs a client of its own, which is loaded to find that out. */
const CLOUDS: readonly (readonly [storage: string, secrets: string])[] = [
  ["s3://bucket?endpoint=http://127.0.0.1:1", "awssm://eu-west-1/a?endpoint=http://127.0.0.1:1"],
  ["minio://a:b@127.0.0.1:1/bucket", "vault://127.0.0.1:1/a"],
  ["gs://bucket?endpoint=http://127.0.0.1:1", "gcpsm://my-project/a?endpoint=http://127.0.0.1:1"],
  ["az://bucket?endpoint=https://127.0.0.1:1/a", "vault://127.0.0.1:1/a"],
  ["az://bucket?endpoint=http://127.0.0.1:1/a&account_key=YQ==", "vault://127.0.0.1:1/a"],
];
/** What those ask for before they call. */
const LOGINS = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b", VAULT_TOKEN: "c", AZURE_STORAGE_ACCOUNT: "a" };

const image = readImage();
/** Every image when there is time: else a plain one, and the one with all. */
const chosen = programs.filter(({ id }) => isLong || ["kv", "supercar"].includes(id));

describe("the Dockerfile", () => {
  it("ends in an image of what the same script assembles for a folder, and nothing else", () => {
    const last = readStages().at(-1);
    const copies = last?.steps.filter(([instruction]) => instruction === "COPY").map(([, args]) => args);

    expect(last?.from).toBe("scratch");
    expect(copies).toEqual(["--from=assembled /rootfs/ /", "--from=assembled --chown=1000:1000 /rootfs/data/ /data/"]);
    expect(
      readStages()
        .flatMap(({ steps }) => steps)
        .filter(([, args]) => args.includes("docker/image/assemble.mjs")),
    ).toHaveLength(1);
  });

  it("is strict, has a user without rights and a volume, and says what it is", () => {
    expect(image).toMatchObject({ user: "1000:1000", volumes: ["/data"] });
    expect(image.env).toMatchObject({ MIKCAR_STRICT: "1", MIKCAR_DATA: "/data", NODE_ENV: "production" });
    const labels = ["title", "description", "source", "licenses", "version", "revision"];
    expect([...image.labels].sort()).toEqual(labels.map((label) => `org.opencontainers.image.${label}`).sort());
  });
});

/** Of the README's table, in MB. */
function statedSizes(): Readonly<Record<string, readonly number[]>> {
  const [, table = ""] =
    /<!-- images -->(.*?)<!-- \/images -->/s.exec(readFileSync(join(root, "README.md"), "utf8")) ?? [];
  const rows = [...table.matchAll(/^\| (\w+) +\| +([\d.]+) MB \| +([\d.]+) MB \|$/gm)];
  return Object.fromEntries(rows.map(([, name = "", folder, gzip]) => [name, [Number(folder), Number(gzip)]]));
}

it("has the size of every image on its page", () => {
  expect(Object.keys(statedSizes()).sort()).toEqual(programs.map(({ id }) => id).sort());
  expect(statedSizes()["kv"]?.[1]).toBeLessThan(60);
});

describe.each(chosen)("the image of $id", ({ id, manifest }) => {
  const folder = temporaryFolder();
  const rootfs = join(folder.path, "rootfs");
  let data: string;
  const isService = services.includes(id);
  const command = [...image.entrypoint, ...(isService ? [] : ["--all"])];
  const running: Container[] = [];
  const start = (env: Record<string, string>, hasTmp = false, words: readonly string[] = command): Container => {
    const container = runContainer(image, { root: rootfs, data, hasTmp }, words, env);
    running.push(container);
    return container;
  };

  beforeAll(async () => {
    await succeed("node", ["docker/image/assemble.mjs", id, rootfs]);
  }, 120_000);
  beforeEach(() => {
    data = mkdtempSync(join(folder.path, "data-"));
    if (process.getuid?.() === 0) chownSync(data, 1000, 1000);
  });
  afterEach(async () => {
    for (const container of running.splice(0)) {
      container.kill("SIGKILL");
      await container.ended;
    }
  });
  afterAll(() => folder.remove());

  it("has what its program needs, and nothing of the others", () => {
    const { needed, uninvited } = foreignDependencies(id);
    const store = readdirSync(join(rootfs, "app/node_modules/.store")).map((name) =>
      name.replace(/@[^@]+$/, "").replace("+", "/"),
    );
    const optional = Object.keys(manifest.peerDependencies ?? {});

    expect([...needed].filter((name) => name !== manifest.name && !store.includes(name))).toEqual([]);
    expect(optional.filter((name) => !store.includes(name))).toEqual([]);
    if (isService)
      expect([...uninvited].filter((name) => store.includes(name) && !optional.includes(name))).toEqual([]);
    expect(store.filter((name) => /^(?:jest|typescript|esbuild|@types\/.*|@mikcar\/devkit)$/.test(name))).toEqual([]);
    expect(["bin", "usr/bin/npm"].filter((name) => existsSync(join(rootfs, name)))).toEqual([]);
  });

  // Some seconds each, so that only one is measured every time.
  const measure = isLong || id === "kv" ? it : undefined;
  measure?.("is as large as its page says", async () => {
    const [, stated = 0] = statedSizes()[id] ?? [];

    const size = Number(await succeed("sh", ["-c", 'tar -C "$0" -c . | gzip -1 | wc -c', rootfs])) / 1e6;

    expect(size / stated).toBeGreaterThan(0.95);
    expect(size / stated).toBeLessThan(1.15); // gzip is in a hurry here
  });

  it.each([
    ["without a /tmp", false],
    ["with a /tmp", true],
  ])("serves on a file system that is read-only, %s, is well, and ends in order", async (_, hasTmp) => {
    const port = await freePort();
    const env = { ...URLS, SIDECAR_TOKEN: TOKEN, PORT: String(port) };
    const container = start(env, hasTmp);
    await container.says(/listening on/);

    await tour(`http://127.0.0.1:${port}`, isService ? [id] : services, TOKEN);
    const check = await start(env, hasTmp, image.healthcheck).ended;
    container.kill("SIGTERM");

    expect(check).toEqual({ code: 0, output: "" });
    expect(await container.ended).toMatchObject({ code: 0 });
    expect(await start(env, hasTmp, image.healthcheck).ended).toMatchObject({ code: 1 });
    expect(readdirSync(data)).not.toEqual([]);
  });

  const clouds = ["storage", "secrets"].filter((name) => name === id || !isService);
  if (clouds.length > 0)
    it.each(CLOUDS)("has the clients of %s and %s, and finds them away", async (storage, secrets) => {
      const words = [...image.entrypoint, ...clouds.map((name) => `--${name}`), "--check"];
      const env = { ...LOGINS, STORAGE_URL: storage, SECRETS_URL: secrets, SIDECAR_TOKEN: TOKEN };

      const { code, output } = await start(env, false, words).ended;

      const states = [...output.matchAll(/^(?:storage|secrets) +\w+/gm)].map(([state]) => state.replace(/ +/, " "));
      expect([code, states]).toEqual([1, clouds.map((name) => `${name} down`)]);
    });

  it("does not start with a variable that is not set", async () => {
    const { code, output } = await start({ SIDECAR_TOKEN: TOKEN }).ended;

    expect([code, output]).toEqual([
      1,
      expect.stringMatching(/_URL is not set, and --strict allows no embedded default/),
    ]);
  });

  it("asks for a token", async () => {
    const { code, output } = await start({ ...URLS, PORT: "0" }).ended;

    expect([code, output]).toEqual([1, expect.stringMatching(/token/)]);
  });
});
