/** A README as tests read it: its blocks of code, run as they stand. */

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { type Ending, runProgram } from "./program.ts";

export interface Readme {
  readonly text: string;
  /** The first block of a language (`sh`, `ts`) that contains this text. @throws when there is none. */
  block(language: string, containing: string): string;
  /** Runs a block as a program of the package, which finds the package by its name. */
  run(language: string, containing: string): Promise<Ending>;
}

/** @param folder Of the package, with a `/` at its end. */
export function readReadme(folder: string): Readme {
  const text = readFileSync(`${folder}README.md`, "utf8");
  const block: Readme["block"] = (language, containing) => {
    const blocks = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
    const found = blocks.find(([, name, code = ""]) => name === language && code.includes(containing));
    if (found?.[2] === undefined) throw new Error(`the README has no ${language} block with ${containing}`);
    return found[2];
  };
  return {
    text,
    block,
    run: async (language, containing) => {
      const file = `${folder}.readme-example.mjs`;
      writeFileSync(file, block(language, containing));
      try {
        return await runProgram(file);
      } finally {
        rmSync(file);
      }
    },
  };
}
