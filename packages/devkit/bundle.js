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
  target: "node24",
  metafile: true,
  legalComments: "none",
  ...(inlined.length > 0 ? { banner: { js: REQUIRE }, minifySyntax: true } : {}),
  plugins: [{ name: "english-only", setup: leaveLocalesOut }],
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
