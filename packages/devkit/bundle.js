/**
 * `node bundle.js ENTRY… [--inline PACKAGE…]`, in a package's folder after `tsc` has written its declarations: its modules as
 * few files in `dist`, as every small one costs a start half a millisecond. An entry is `index` for `src/index.ts`, or
 * `out=in`, as in `process/main=backends/sqlite/process/main`. What is imported lazily stays so, in files of its own.
 * @param --inline Dependencies that become part of the files; their licenses go into `dist/third-party-licenses.txt`.
 */

import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";

/** What CommonJS packages ask for, when they are part of a file of ours. */
const REQUIRE = 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

const split = process.argv.indexOf("--inline");
const entries = process.argv.slice(2, split === -1 ? undefined : split);
const inlined = split === -1 ? [] : process.argv.slice(split + 1);

const { dependencies = {}, peerDependencies = {} } = JSON.parse(readFileSync("package.json", "utf8"));
const external = Object.keys({ ...dependencies, ...peerDependencies }).filter((name) => !inlined.includes(name));

/** The one place that says which Node is needed; every other package's `engines` is held against it by a test. */
const { engines } = JSON.parse(readFileSync(new URL("../core/package.json", import.meta.url), "utf8"));
const oldestNode = engines.node.replace(">=", "");

const { metafile } = await build({
  entryPoints: entries.map((entry) => {
    const [out, source = out] = entry.split("=");
    return { in: `src/${source}.ts`, out };
  }),
  outdir: "dist",
  bundle: true,
  splitting: true,
  external,
  format: "esm",
  platform: "node",
  target: `node${oldestNode}`,
  define: { OLDEST_NODE: JSON.stringify(oldestNode) },
  metafile: true,
  legalComments: "none",
  ...(inlined.length > 0 ? { banner: { js: REQUIRE }, minifySyntax: true } : {}),
  plugins: [
    { name: "english-only", setup: leaveLocalesOut },
    { name: "builtins", setup: takeBuiltinsByName },
    { name: "no-transports", setup: leaveThreadsOut },
  ],
});

const written = new Set(Object.keys(metafile.outputs).map((file) => resolve(file)));
for (const file of readdirSync("dist", { recursive: true })) {
  const path = resolve("dist", file);
  if (file.endsWith(".js") && !written.has(path)) rmSync(path); // of an earlier build
}
if (inlined.length > 0) writeFileSync("dist/third-party-licenses.txt", licenses(Object.keys(metafile.inputs)));

/** Messages are in English, which zod loads by itself. */
function leaveLocalesOut({ onLoad }) {
  onLoad({ filter: /[\\/]zod[\\/].*[\\/]locales[\\/]index\.js$/ }, () => ({
    contents: 'export { default as en } from "./en.js";',
  }));
}

/**
 * An import of `node:http` reads all its exports, those that load the whole fetch library among them, and so it is with
 * `node:fs` and others: 4 to 40 ms each. This reads what is used. Only calls can be left out when nothing needs them.
 */
function takeBuiltinsByName({ onResolve, onLoad }) {
  onResolve({ filter: /^node:/ }, ({ path, kind }) =>
    kind === "import-statement" ? { path, namespace: "builtin" } : undefined,
  );
  onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => {
    const names = Object.keys(process.getBuiltinModule(path)).filter((name) => name !== "default");
    const each = names.map(
      (name) => `const $${name} = /* @__PURE__ */ $take("${name}"); export { $${name} as ${name} };`,
    );
    const all = `const $ = process.getBuiltinModule("${path}"); const $take = (name) => $[name]; export { $ as default };`;
    return { contents: [all, ...each].join("\n") };
  });
}

/** pino can write through a thread; the core never asks for one. */
function leaveThreadsOut({ onResolve, onLoad }) {
  onResolve({ filter: /^(?:node:)?worker_threads$/ }, ({ path, importer }) =>
    /[\\/]pino[\\/]/.test(importer) ? { path, namespace: "main-thread" } : undefined,
  );
  onLoad({ filter: /.*/, namespace: "main-thread" }, () => ({ contents: "exports.isMainThread = true;" }));
  onLoad({ filter: /[\\/]thread-stream[\\/]index\.js$/ }, () => ({
    contents: 'module.exports = function () { throw new Error("no log threads in this build"); };',
  }));
}

/** The license text of every package that these files are from. */
function licenses(files) {
  const folders = new Set(
    files.flatMap((file) => /^(.*node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/.exec(file)?.[1] ?? []),
  );
  const texts = [...folders].sort().map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) throw new Error(`${name} has no license file`);
    return `${name} ${version}\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  });
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}
