/** After `tsc`: zod and what it needs as one file, where its types say. */

import { build } from "esbuild";

await build({
  entryPoints: ["src/zod.ts"],
  outfile: "dist/zod.js",
  allowOverwrite: true,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node24",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "inline",
  plugins: [{ name: "english-only", setup: leaveLocalesOut }],
});

/** Messages are in English, which zod loads by itself. */
function leaveLocalesOut({ onLoad }) {
  onLoad({ filter: /[\\/]locales[\\/]index\.js$/ }, () => ({ contents: 'export { default as en } from "./en.js";' }));
}
