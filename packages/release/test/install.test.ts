/** Every program as a user gets it: its tarball and those of ours that it needs, in an empty folder, by npm. */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type RunningProgram, startProgram, temporaryFolder } from "@mikcar/devkit";
import { packAll, tarball } from "./packed.ts";
import { run, succeed } from "./run.ts";
import { services, tour } from "./tour.ts";
import { foreignDependencies, isLong, type Package, programs, root, withOurs } from "./workspace.ts";

/** Every one when there is time: else one with native code and packages of ours below it, and one with optional parts. */
const chosen = programs.filter(({ id }) => isLong || ["kv", "storage"].includes(id));
const AT_ONCE = 2;
const INSTALL = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"];
const TYPES = join(root, "packages/release/node_modules/@types");

const TYPED_SUPERCAR = `import { services } from "@mikcar/supercar";
  // @ts-expect-error: a name is a text, so the types are there
  export const name: number = services[0]?.name;`;

const folder = temporaryFolder();
const running: RunningProgram[] = [];

beforeAll(async () => {
  await packAll(folder.path);
  const waiting = [...chosen];
  const next = async (): Promise<void> => {
    for (let own = waiting.shift(); own !== undefined; own = waiting.shift()) await install(own);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
}, 300_000);
afterAll(async () => {
  for (const program of running) await program.stop("SIGKILL");
  folder.remove();
});

function home(own: Package): string {
  return join(folder.path, own.id);
}

async function install(own: Package): Promise<void> {
  mkdirSync(home(own));
  write(own, "package.json", JSON.stringify({ private: true, type: "module" }));
  const tarballs = withOurs(own.id).map((needed) => tarball(folder.path, needed));
  await succeed("npm", [...INSTALL, ...tarballs], { cwd: home(own) });
}

function write(own: Package, name: string, text: string): void {
  writeFileSync(join(home(own), name), text);
}

/** `KvService`, of `@mikcar/kv`. */
function serviceOf({ id }: Package): string {
  return `${id[0]?.toUpperCase()}${id.slice(1)}Service`;
}

describe.each(chosen)("$manifest.name by itself", (own) => {
  const isService = services.includes(own.id);

  it("brings what it needs and nothing of the others", () => {
    const { needed, uninvited } = foreignDependencies(own.id);
    const has = (name: string): boolean => existsSync(join(home(own), "node_modules", name));

    expect([...needed].filter((name) => !has(name))).toEqual([]);
    expect([...uninvited].filter(has)).toEqual([]);
  });

  it("starts, is called, and ends", async () => {
    const [name = ""] = Object.keys(own.manifest.bin ?? {});
    const args = ["--port", "0", ...(isService ? [] : ["--all"])];
    const program = await startProgram(join(home(own), "node_modules/.bin", name), { args, cwd: home(own) });
    running.push(program);

    await tour(program.url, isService ? [own.id] : services);

    expect(await program.stop()).toMatchObject({ code: 0, stderr: "" });
  });

  it("is imported from JavaScript", async () => {
    const program = isService
      ? `import { SidecarBuilder } from "@mikcar/core";
         import { ${serviceOf(own)} } from "${own.manifest.name}";
         const server = await new SidecarBuilder().port(0).add(await ${serviceOf(own)}.fromEnv({ MIKCAR_DATA: "lib" })).serve();
         const { status } = await (await fetch(server.url + "/health")).json();
         await server.close();
         console.log(status);`
      : `import { services } from "${own.manifest.name}"; console.log(services.length === 6 ? "healthy" : services);`;
    write(own, "program.js", program);

    expect(await run("node", ["program.js"], { cwd: home(own) })).toEqual({ code: 0, stdout: "healthy\n", stderr: "" });
  });
});

it("is imported from TypeScript, each with all of its types checked", async () => {
  for (const own of chosen) write(own, "program.ts", services.includes(own.id) ? typedService(own) : TYPED_SUPERCAR);
  const options = [
    "--strict",
    "--noEmit",
    "--target",
    "es2024",
    "--module",
    "nodenext",
    "--moduleResolution",
    "nodenext",
  ];
  const types = ["--types", "node", "--typeRoots", TYPES];
  const files = chosen.map((own) => join(home(own), "program.ts"));

  expect(await run("tsc", [...options, ...types, ...files], { cwd: folder.path })).toEqual({
    code: 0,
    stdout: "",
    stderr: "",
  });
}, 60_000);

function typedService(own: Package): string {
  return `import { SidecarBuilder, type Server } from "@mikcar/core";
    import { ${serviceOf(own)} } from "${own.manifest.name}";
    export const server: Server = await new SidecarBuilder().port(0).add(await ${serviceOf(own)}.fromEnv({})).serve();
    // @ts-expect-error: a port is a number, so the types are there
    new SidecarBuilder().port("a");`;
}
