import { afterEach, describe, expect, it } from "@jest/globals";
import { runProgram, type RunningProgram, startProgram, temporaryFolder } from "@mikcar/devkit";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const here = fileURLToPath(new URL("./", import.meta.url));
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function blocks(file: string, language: "sh" | "[jt]s"): string[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(([, block = ""]) => block);
}

async function start(): Promise<RunningProgram> {
  const { path, remove } = temporaryFolder();
  const program = await startProgram(join(root, "apps/supercar/dist/bin.js"), {
    args: ["--all", "-p", "0", "--data", path],
  });
  ends.push(remove, () => program.stop("SIGKILL"));
  return program;
}

/** Each command of a tour with the answer that the page shows, `…` standing for anything. */
function steps(tour: string): { command: string; answer: RegExp }[] {
  const lines = tour.replaceAll("\\\n", " ").split("\n");
  const commands = lines.flatMap((line, at) =>
    line.startsWith("curl ") ? [{ command: line, next: lines[at + 1] ?? "" }] : [],
  );
  return commands.map(({ command, next }) => {
    const literal = next
      .replace("#> ", "")
      .split("…")
      .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return { command, answer: new RegExp(`^${literal.join(".+")}$`) };
  });
}

describe("the tour of", () => {
  it.each([
    ["README.md", 18],
    ["docs/storage.md", 9],
    ["docs/kv.md", 8],
    ["docs/sql.md", 6],
    ["docs/queue.md", 7],
    ["docs/secrets.md", 6],
    ["docs/email.md", 3],
  ])("%s works as pasted and answers what it shows", async (page, count) => {
    const tour = steps(
      blocks(page, "sh")
        .filter((block) => block.includes("#> "))
        .join("\n"),
    );
    const { url } = await start();

    for (const { command, answer } of tour) {
      const line = command.replaceAll("localhost:3001", new URL(url).host);
      const { stdout } = await promisify(execFile)("bash", ["-c", line.replace(/^curl /, "curl -sS ")]);

      expect([command, stdout]).toEqual([command, expect.stringMatching(answer)]);
    }
    expect(tour).toHaveLength(count);
  });
});

describe("the pages", () => {
  const pages = [
    "README.md",
    "CONTRIBUTING.md",
    ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`),
  ];

  it.each(pages)("%s links to what is there", (page) => {
    const text = readFileSync(join(root, page), "utf8");
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].map(([, path = "", heading]) => ({
      file: path === "" ? join(root, page) : join(root, dirname(page), path),
      heading,
    }));

    for (const { file, heading } of links) {
      expect([file, existsSync(file)]).toEqual([file, true]);
      if (heading !== undefined) expect(headings(file)).toContain(heading);
    }
  });

  /** As GitHub makes anchors of them. */
  function headings(file: string): string[] {
    const lines = readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm);
    return [...lines].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    );
  }
});

describe("the JavaScript of", () => {
  it.each([
    "README.md",
    "packages/core/README.md",
    "packages/email/README.md",
    "packages/kv/README.md",
    "packages/queue/README.md",
    "packages/secrets/README.md",
    "packages/sql/README.md",
    "packages/storage/README.md",
  ])("%s runs as it stands", async (page) => {
    const folder = mkdtempSync(join(here, ".readme-"));
    ends.push(() => rmSync(folder, { recursive: true }));
    const examples = blocks(page, "[jt]s");

    for (const [index, example] of examples.entries()) {
      const file = join(folder, `${index}.mts`);
      const freePorts = example.replaceAll(/\.(port|listen)\(\d+\)/g, ".$1(0)");
      writeFileSync(file, `${freePorts}\nprocess.exit(0);\n`);

      expect(await runProgram(file, { cwd: folder })).toMatchObject({ code: 0, stderr: "" });
    }
    expect(examples.length).toBeGreaterThan(0);
  });

  it("the service of one's own answers as the page says", async () => {
    const folder = mkdtempSync(join(here, ".readme-"));
    ends.push(() => rmSync(folder, { recursive: true }));
    const example = blocks("packages/core/README.md", "[jt]s").find((block) => block.includes("GreetService")) ?? "";
    const check = `
      const text = async (path) => { const reply = await fetch(server.url + path); return reply.status + " " + await reply.text(); };
      process.stdout.write(JSON.stringify([await text("/greet/Ada"), (await text("/greet/nobody")).slice(0, 3)]) + "\\n");
      await GreetService.fromUrl("memory://?greting=x").catch((error) => process.stdout.write(error.message + "\\n"));
      process.exit(0);`;
    writeFileSync(join(folder, "own.mjs"), example + check);

    const { stdout } = await runProgram(join(folder, "own.mjs"));

    expect(stdout).toContain('["200 Good day, Ada!","404"]');
    expect(stdout).toContain('GREET_URL: unknown parameter "greting"; known for memory: greeting');
  });
});

describe("the examples", () => {
  it("of a handler with SQL runs as it stands", async () => {
    const { url } = await start();

    const ending = await runProgram(join(root, "examples/sql-handler.mjs"), { env: { SIDECAR_URL: url } });

    expect(ending).toMatchObject({ code: 0, stderr: "" });
    expect(ending.stdout.split("\n")).toEqual([
      'inserted [{"name":"teapot","stock":1}]',
      'bought {"order":{"item":"teapot","customer":"Ada"},"left":0}',
      "refused teapot is sold out",
      'orders [{"item":"teapot","customer":"Ada"}]',
      "",
    ]);
  });
});
