/** docker/compose.yaml, as far as it can be held against the specification and this repository without an engine. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "@jest/globals";
import { runProgram, temporaryFolder } from "@mikcar/devkit";
import { DCLinter } from "dclint";
import { parse } from "yaml";
import { readImage } from "./dockerfile.ts";
import { packages, programs, root } from "./workspace.ts";

interface Service {
  readonly image?: string;
  readonly build?: {
    readonly context: string;
    readonly dockerfile: string;
    readonly args: Readonly<Record<string, string>>;
  };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly volumes?: readonly string[];
  readonly secrets?: readonly string[];
  readonly ports?: readonly string[];
  readonly read_only?: boolean;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, null>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

const docker = join(root, "docker");
const file = join(docker, "compose.yaml");
const load = <T>(name: string): T => parse(readFileSync(join(docker, name), "utf8"), { strict: true }) as T; // looked at by the tests
const compose = load<Compose>("compose.yaml");
const { services } = compose;
const supercar = services["supercar"] ?? {};
const ends: (() => void)[] = [];
afterEach(() => ends.splice(0).forEach((end) => end()));

/** What dclint finds: its rules for order and quotes are not ours, the others are; `invalid-schema` is the specification's. */
function lint(path: string): string[] {
  const rules = ["order", "quotes", "no-build-and-image"];
  const [result] = new DCLinter({ rules: {}, quiet: true, debug: false, exclude: [] }).lintFiles([path], false);
  const messages: readonly { rule: string; message: string }[] = result?.messages ?? [];
  return messages
    .filter(({ rule }) => !rules.some((name) => rule.includes(name)))
    .map(({ rule, message }) => `${rule}: ${message}`);
}

it("keeps to the specification of compose files", () => {
  const built = /^service-image-require-explicit-tag: .*"mikcar\/supercar:dev"/; // ours is built here

  expect(lint(file).filter((line) => !built.test(line))).toEqual([]);
});

it("would not pass with a mistake", () => {
  const { path, remove } = temporaryFolder();
  ends.push(remove);
  writeFileSync(join(path, "compose.yaml"), readFileSync(file, "utf8").replace("read_only: true", "read_onyl: true"));

  expect(lint(join(path, "compose.yaml")).join()).toMatch(/invalid-schema/);
});

it("has the sidecar, a real server of every kind, and what watches them", () => {
  const names = "grafana jaeger mailpit minio openbao postgres prometheus rabbitmq redis supercar";
  expect(Object.keys(services).sort()).toEqual(names.split(" "));
});

describe.each(Object.entries(services))("%s", (_, service) => {
  it("has an image of a version, tells whether it is well, and is not open to others", () => {
    expect(service.image).toMatch(/^[\w./-]+:(?!latest$)[\w.-]+$/);
    expect(service.healthcheck?.test[0]).toBe("CMD");
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:(\d+):\1$/);
  });

  it("refers to what is there", () => {
    for (const volume of service.volumes ?? []) {
      const [source = ""] = volume.split(":");
      if (source.startsWith("./")) expect([source, existsSync(join(docker, source))]).toEqual([source, true]);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
    for (const secret of service.secrets ?? [])
      expect(existsSync(join(docker, compose.secrets[secret]?.file ?? "none"))).toBe(true);
    for (const [name, { condition }] of Object.entries(service.depends_on ?? {})) {
      expect(Object.keys(services)).toContain(name);
      expect(condition).toBe("service_healthy");
    }
  });
});

it("declares no volume that nobody uses", () => {
  const used = Object.values(services).flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(":")[0]));

  expect(Object.keys(compose.volumes).filter((name) => !used.includes(name))).toEqual([]);
});

describe("the sidecar in it", () => {
  const { environment = {}, build } = supercar;

  it("is the image of the Dockerfile, without rights", () => {
    expect(programs.map(({ id }) => id)).toContain(build?.args["TARGET"]);
    expect(existsSync(join(docker, build?.context ?? "", build?.dockerfile ?? ""))).toBe(true);
    expect(supercar).toMatchObject({ read_only: true, cap_drop: ["ALL"], tmpfs: ["/tmp"] });
    expect(supercar.healthcheck?.test.slice(1)).toEqual(readImage().healthcheck);
  });

  it("is given variables that the product knows", () => {
    const sources = packages.flatMap(({ folder }) => {
      const names = existsSync(join(root, folder, "src"))
        ? readdirSync(join(root, folder, "src"), { recursive: true })
        : [];
      return names
        .map(String)
        .filter((name) => name.endsWith(".ts"))
        .map((name) => join(root, folder, "src", name));
    });
    const text = [...sources, join(root, "docs/contract.md")].map((path) => readFileSync(path, "utf8")).join("\n");
    const known = (name: string): boolean => new RegExp(`\\b${name.replace(/_FILE$/, "")}\\b`).test(text);

    expect(Object.keys(environment).filter((name) => !known(name))).toEqual([]);
  });

  it("understands them: it finds every backend away, and none wrong", async () => {
    const { path, remove } = temporaryFolder();
    ends.push(remove);
    const token = join(docker, compose.secrets["token"]?.file ?? "");
    const env = Object.fromEntries(
      Object.entries(environment).map(([name, value]) => [name, value.replace("/run/secrets/token", token)]),
    );
    const bin = join(root, "apps/supercar/dist/bin.js");

    const { code, stdout, stderr } = await runProgram(bin, {
      args: [...(supercar.command ?? []), "--strict", "--check"],
      env,
      cwd: path,
    });

    const [backends = ""] = stdout.split("\n\n"); // below them are the settings, each with where it is from
    const states = [...backends.matchAll(/^\w+ +\w+/gm)].map(([state]) => state.replace(/ +/, " "));
    expect([code, stderr]).toEqual([1, ""]);
    expect(states.sort()).toEqual(["email down", "kv down", "queue down", "secrets down", "sql down", "storage down"]);
  });

  it("is read by Prometheus with its token, and shown by Grafana", () => {
    const {
      scrape_configs: [scrape],
    } = load<{
      scrape_configs: {
        metrics_path: string;
        authorization: { credentials_file: string };
        static_configs: { targets: string[] }[];
      }[];
    }>("prometheus.yml");
    expect(scrape).toMatchObject({ metrics_path: "/metrics", static_configs: [{ targets: ["supercar:3001"] }] });
    expect(services["prometheus"]?.secrets?.map((name) => `/run/secrets/${name}`)).toContain(
      scrape?.authorization.credentials_file,
    );

    const { datasources } = load<{ datasources: { type: string; url: string }[] }>(
      "grafana/provisioning/datasources/mikcar.yml",
    );
    for (const { url } of datasources) expect(Object.keys(services)).toContain(new URL(url).hostname);
    expect(datasources.map(({ type }) => type)).toEqual(["prometheus", "jaeger"]);
    const {
      providers: [provider],
    } = load<{ providers: { options: { path: string } }[] }>("grafana/provisioning/dashboards/mikcar.yml");
    expect(services["grafana"]?.volumes?.join()).toContain(`./grafana/dashboards:${provider?.options.path}:`);
  });

  it("has dashboards that are JSON", () => {
    const folder = join(docker, "grafana/dashboards");
    for (const name of readdirSync(folder).filter((entry) => entry.endsWith(".json")))
      expect(JSON.parse(readFileSync(join(folder, name), "utf8"))).toMatchObject({ panels: expect.any(Array) });
  });
});
