/** A Redis Cluster for tests: three masters, no replica, each a third of the slots. */

import { join } from "node:path";
import { temporaryFolder } from "../folder.ts";
import { freePort } from "../ports.ts";
import { until } from "../wait.ts";
import { end, launch } from "./launch.ts";
import { redisCommand, findRedis, redisProgram } from "./redis-program.ts";

export interface RedisCluster {
  /** `redis+cluster://` and its three nodes. */
  readonly url: string;
  /** Of the nodes, as `redis://`. */
  readonly nodes: readonly string[];
  /** Its URL, after everything in it was removed: a cluster has one database. */
  freshUrl(): Promise<string>;
  /** Ends one of the three as a crash would, and starts it again with the same data. */
  kill(node: number): Promise<void>;
  start(node: number): Promise<void>;
  freeze(node: number): void;
  thaw(node: number): void;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
}

const SLOTS: readonly (readonly [first: string, last: string])[] = [
  ["0", "5460"],
  ["5461", "10922"],
  ["10923", "16383"],
];

const MEET_AGAIN_MS = 5000;

/** Starts one on free ports, always: `REDIS_URL` names no cluster. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const path = await findRedis();
  const folder = temporaryFolder();
  const programs = await Promise.all(SLOTS.map((_, index) => clusterNode(path, folder.path, index)));
  const servers = await Promise.all(programs.map(({ run }) => run()));
  const nodes = programs.map(({ port }) => `redis://127.0.0.1:${port}`);
  const [first = ""] = nodes;
  await Promise.all(SLOTS.map((range, at) => redisCommand(nodes[at] ?? "", ["CLUSTER", "ADDSLOTSRANGE", ...range])));
  // Again and again: a node forgets whom it was to meet when the greeting takes longer than its node timeout.
  const meetAll = async (): Promise<void> => {
    for (const { port, busPort } of programs.slice(1)) {
      await redisCommand(first, ["CLUSTER", "MEET", "127.0.0.1", String(port), String(busPort)]);
    }
  };
  const isWhole = async (node: string): Promise<boolean> => {
    const info = String(await redisCommand(node, ["CLUSTER", "INFO"]));
    return info.includes("cluster_state:ok") && info.includes("cluster_known_nodes:3");
  };
  const areWhole = async (): Promise<boolean> => (await Promise.all(nodes.map(isWhole))).every(Boolean);
  let lastMetAt = -Infinity;
  await until(
    "the cluster is whole",
    async () => {
      if (performance.now() - lastMetAt > MEET_AGAIN_MS) {
        await meetAll();
        lastMetAt = performance.now();
      }
      return areWhole();
    },
    60_000,
  );

  const url = `redis+cluster://${programs.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
  return {
    url,
    nodes,
    freshUrl: async () => {
      await Promise.all(nodes.map((node) => redisCommand(node, ["FLUSHALL"])));
      return url;
    },
    kill: (node) => end(at(servers, node), "SIGKILL"),
    start: async (node) => {
      servers[node] = await at(programs, node).run();
    },
    freeze: (node) => void at(servers, node).kill("SIGSTOP"),
    thaw: (node) => void at(servers, node).kill("SIGCONT"),
    remove: async () => {
      await Promise.all(servers.map((server) => end(server, "SIGKILL")));
      folder.remove();
    },
  };
}

interface Node {
  readonly port: number;
  readonly busPort: number;
  run(): ReturnType<typeof launch>;
}

async function clusterNode(path: string, folder: string, index: number): Promise<Node> {
  const [port, busPort] = [await freePort(), await freePort()];
  const listen = ["--bind", "127.0.0.1", "--port", String(port), "--cluster-port", String(busPort)];
  const cluster = ["--cluster-enabled", "yes", "--cluster-config-file", join(folder, `nodes-${index}.conf`)];
  const data = ["--dir", folder, "--save", "", "--appendonly", "yes", "--appenddirname", `data-${index}`];
  const args = [
    ...listen,
    ...cluster,
    ...data,
    "--cluster-node-timeout",
    "2000",
    "--cluster-require-full-coverage",
    "no",
  ];
  return { port, busPort, run: () => launch(redisProgram(path, args)) };
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`the cluster has the nodes 0 to ${items.length - 1}`);
  return item;
}
