/** docker/Dockerfile, as an engine reads it. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./workspace.ts";

export interface Stage {
  readonly from: string;
  /** Each instruction with its arguments, as they stand, in order. */
  readonly steps: readonly (readonly [instruction: string, args: string])[];
}

/** Its stages; what comes before the first `FROM` belongs to none. */
export function readStages(): Stage[] {
  const text = readFileSync(join(root, "docker/Dockerfile"), "utf8")
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll("\\\n", " ");
  const steps = text.split("\n").flatMap((line) => {
    const [, instruction = "", args = ""] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    return instruction === "" ? [] : [[instruction, args] as const];
  });
  const starts = steps.flatMap(([instruction], at) => (instruction === "FROM" ? [at] : []));
  return starts.map((start, index) => ({
    from: steps[start]?.[1] ?? "",
    steps: steps.slice(start + 1, starts[index + 1]),
  }));
}

export interface Image {
  readonly env: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly healthcheck: readonly string[];
  readonly user: string;
  readonly volumes: readonly string[];
  readonly labels: readonly string[];
}

/** What the last stage says of the image. @throws when a command needs a shell, which the image has not. */
export function readImage(): Image {
  const { steps = [] } = readStages().at(-1) ?? {};
  const all = (name: string): string[] => steps.flatMap(([instruction, args]) => (instruction === name ? [args] : []));
  const pairs = (name: string): string[][] =>
    all(name).flatMap((args) =>
      [...args.matchAll(/([\w.]+)=("[^"]*"|\S*)/g)].map(([, key = "", value = ""]) => [key, value]),
    );
  const list = (args = ""): string[] => JSON.parse(args) as string[]; // the exec form is JSON
  return {
    env: Object.fromEntries(pairs("ENV")) as Record<string, string>,
    entrypoint: list(all("ENTRYPOINT")[0]),
    healthcheck: list(/CMD (\[.*\])$/.exec(all("HEALTHCHECK")[0] ?? "")?.[1]),
    user: all("USER")[0] ?? "",
    volumes: list(all("VOLUME")[0]),
    labels: pairs("LABEL").map(([key = ""]) => key),
  };
}
