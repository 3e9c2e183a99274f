import { readFileSync } from "node:fs";

/** The version of the package that a module of its `src` or `dist` belongs to. @param moduleUrl Its `import.meta.url`. */
export function packageVersion(moduleUrl: string): string {
  const text = readFileSync(new URL("../package.json", moduleUrl), "utf8");
  return (JSON.parse(text) as { version: string }).version; // npm requires it of every package
}

/** The version of this package. */
export const VERSION: string = packageVersion(import.meta.url);
