/** `--workers`: several processes that answer as one. */

import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import {
  type Answer,
  ask,
  type Ask,
  type Launch,
  type RunningProgram,
  runProgram,
  startProgram,
  temporaryFolder,
  until,
} from "@mikcar/devkit";

const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Crew extends RunningProgram {
  readonly folder: string;
  /** Over a new connection, so that the workers take turns. */
  call(path: string, options?: Ask): Promise<Answer>;
  post(path: string, body: unknown): Promise<Answer>;
  workers(): number[];
}

/** @param atEnd Gets what is to be done then; absent: done after the test. */
async function start(
  args: readonly string[] = ["--all"],
  env: Launch["env"] = {},
  atEnd: (() => unknown)[] = ends,
): Promise<Crew> {
  const { path: folder, remove } = temporaryFolder();
  atEnd.push(remove);
  const program = await startProgram(BIN, { args: ["--port", "0", "--workers", "4", ...args], env, cwd: folder });
  atEnd.push(async () => {
    const workers = childrenOf(program.pid);
    await program.stop("SIGKILL");
    await until("its workers have ended", () => workers.every((pid) => !isAlive(pid)));
  });
  const call = (path: string, options?: Ask): Promise<Answer> => ask(program.url, path, options);
  return {
    ...program,
    folder,
    call,
    post: (path, body) =>
      call(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      }),
    workers: () => childrenOf(program.pid),
  };
}

/** https://man7.org/linux/man-pages/man5/proc_pid_task.5.html */
function childrenOf(pid: number): number[] {
  if (!isAlive(pid)) return [];
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

/** The trace ids of one process begin alike. */
async function processesThatAnswer({ call }: Crew, calls = 40): Promise<number> {
  const answers = await Promise.all(Array.from({ length: calls }, () => call("/health")));
  return new Set(answers.map(({ headers }) => String(headers["x-trace-id"]).slice(0, 16))).size;
}

function times<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => work(index)));
}

/** What comes over one connection until `isAll`, or the connection ends. @param text Sent as it stands. */
function overSocket({ url }: RunningProgram, text: string, isAll: (answer: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(text));
    const timer = setTimeout(() => socket.destroy(new Error(`no more than this came: ${answer}`)), 10_000);
    socket.on("data", (piece) => {
      answer += piece.toString("latin1");
      if (isAll(answer)) socket.destroy();
    });
    socket.once("error", reject).once("close", () => {
      clearTimeout(timer);
      resolve(answer);
    });
  });
}

describe("four workers", () => {
  it("share a port, and add up what they count", async () => {
    const crew = await start();
    expect(await processesThatAnswer(crew)).toBe(4);
    expect((await crew.call("/ready")).json.status).toBe("ready");

    await times(30, () => crew.call("/kv/exists/a"));
    const { text } = await crew.call("/metrics");

    expect(text).toContain('http_route="/kv/exists/{key}",http_response_status_code="200"} 30\n');
    expect(text).toMatch(/^mikcar_backend_up\{service="kv",backend="file"\} 1$/m);
    expect(text).not.toContain('{service="storage",backend="file"} 4');
  });

  it("keep every backend exact under mixed load", async () => {
    const crew = await start();
    const { call, post } = crew;
    await post("/sql/execute", { sql: "CREATE TABLE accounts (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL)" });
    await post("/sql/execute", { sql: "INSERT INTO accounts VALUES (1, 1000), (2, 1000)" });
    const transfer = `export default function ({ from, to }) {
      const [{ amount }] = sql.query("SELECT amount FROM accounts WHERE id = $1", [from]);
      sql.execute("UPDATE accounts SET amount = $1 WHERE id = $2", [amount - 1, from]);
      sql.execute("UPDATE accounts SET amount = amount + 1 WHERE id = $1", [to]);
    }`;
    const counted = times(200, () => call("/kv/increment/n", { method: "POST" }));
    const stored = times(60, (index) => call(`/storage/object/f/${index % 20}`, { method: "PUT", body: `v${index}` }));
    const first = times(40, () =>
      call("/storage/object/once", { method: "PUT", body: "x", headers: { "If-None-Match": "*" } }),
    );
    const moved = times(40, (index) =>
      post("/sql/script", { script: transfer, input: index % 2 === 0 ? { from: 1, to: 2 } : { from: 2, to: 1 } }),
    );
    const inserted = times(40, () =>
      post("/sql/execute", { sql: "UPDATE accounts SET amount = amount + 1 WHERE id = 1" }),
    );
    const pushed = times(100, (index) => post("/queue/push/jobs", index));
    const kept = times(20, (index) => post(`/secrets/secret/s${index}`, { value: `v${index}` }));

    const answers = (await Promise.all([counted, stored, moved, inserted, pushed, kept])).flat();

    expect(answers.filter(({ status }) => status >= 300).map(({ text }) => text)).toEqual([]);
    expect((await first).map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 39 }, () => 412)]);
    expect((await call("/kv/get/n")).text).toBe("200");
    expect((await call("/storage/list/f")).json.objects).toHaveLength(20);
    const { rows } = (await post("/sql/query", { sql: "SELECT sum(amount) AS total FROM accounts" })).json;
    expect(rows).toEqual([{ total: 2040 }]);
    const popped = await times(100, () => call("/queue/pop/jobs?ack=manual&timeout=5"));
    expect(new Set(popped.map(({ json }) => json.message.payload)).size).toBe(100);
    const acked = await Promise.all(
      popped.map(({ json }) => call(`/queue/ack/jobs/${json.message.id}`, { method: "POST" })),
    );
    expect(acked.filter(({ status }) => status !== 200)).toEqual([]);
    expect((await call("/queue/len/jobs")).json).toMatchObject({ length: 0, leased: 0 });
  }, 60_000);

  it("wake a poll in one by a push through another, and find the lease for its ack", async () => {
    const { call, post } = await start(["--queue"]);
    const polls = times(8, () => call("/queue/pop/jobs?ack=manual&timeout=20"));
    await until("all wait", async () => /^mikcar_queue_takers 8$/m.test((await call("/metrics")).text));

    await times(8, (index) => post("/queue/push/jobs", index));
    const messages = (await polls).map(({ json }) => json.message);

    expect(messages.map(({ payload }) => payload).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const acked = await Promise.all(messages.map(({ id }) => call(`/queue/ack/jobs/${id}`, { method: "POST" })));
    expect(acked.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
  });

  it("replace one that dies, and keep what was acknowledged", async () => {
    const crew = await start();
    const { call } = crew;
    await times(8, (index) => call(`/storage/object/o${index}`, { method: "PUT", body: "o" }));
    for (const pid of crew.workers()) {
      const count = Number((await call("/kv/increment/n", { method: "POST" })).json.value);
      process.kill(pid, "SIGKILL");
      await until("it is replaced", () => crew.workers().length === 4 && !crew.workers().includes(pid), 20_000);
      await until(
        "all services are back",
        async () => {
          const answer = await call("/ready").catch(() => undefined);
          return answer?.status === 200;
        },
        20_000,
      );
      expect(Number((await call("/kv/get/n")).text)).toBe(count);
      expect((await call("/storage/object/o7")).text).toBe("o");
    }
    expect(crew.output()).toContain("a worker has died; another one takes its place");
  }, 90_000);

  it("answer long polls at once on SIGTERM, end with code 0, and leave no process", async () => {
    const crew = await start(["--queue", "--kv"]);
    const workers = crew.workers();
    const polls = times(6, () => crew.call("/queue/pop/jobs?ack=manual&timeout=20"));
    await until("all wait", async () => /^mikcar_queue_takers 6$/m.test((await crew.call("/metrics")).text));

    const { code } = await crew.stop();

    expect((await polls).map(({ status, json }) => [status, json.message])).toEqual(times6([200, null]));
    expect(code).toBe(0);
    expect(workers.filter(isAlive)).toEqual([]);
  });

  it("end at once on a second signal, whatever is under way", async () => {
    const crew = await start(["--storage", "--workers", "2"]);
    const workers = crew.workers();
    async function* endless(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(1024);
      await new Promise(() => undefined);
    }
    const upload = crew.call("/storage/object/x", { method: "PUT", body: endless() });
    upload.catch(() => undefined); // it breaks off
    await until("it is under way", async () =>
      /^http_server_active_requests 2$/m.test((await crew.call("/metrics")).text),
    );

    const ended = crew.stop();
    await until("it is impatient", () => {
      if (isAlive(crew.pid)) process.kill(crew.pid, "SIGTERM");
      return !isAlive(crew.pid);
    });

    expect((await ended).code).toBe(1);
    await until("no worker is left", () => !workers.some(isAlive), 3000);
  });

  it("end when their main process is killed, and leave no socket behind", async () => {
    const { path, remove } = temporaryFolder();
    ends.push(remove);
    const crew = await start(["--kv"], { TMPDIR: path });
    const workers = crew.workers();
    expect(readdirSync(path)).toHaveLength(1);
    await crew.stop("SIGKILL");

    await until("all have ended", () => !workers.some(isAlive));
    expect(readdirSync(path)).toEqual([]);
  });

  it("do not wait for one that hangs: its calls are 503, and the end is told as it was", async () => {
    const crew = await start(["--storage", "--queue", "--workers", "2"], {
      TIMEOUT_SECONDS: "1",
      DRAIN_SECONDS: "0.1",
    });
    const [, hanging = 0] = crew.workers();
    process.kill(hanging, "SIGSTOP");
    ends.push(() => isAlive(hanging) && process.kill(hanging, "SIGKILL"));
    // Every second connection goes to the one that hangs; nobody can answer there.
    const answers = await Promise.any(times6(0).map(() => crew.call("/queue/len/a")));

    expect([answers.status, answers.json.code]).toEqual([503, "UNAVAILABLE"]);
    expect((await crew.stop()).code).toBe(1);
    expect(isAlive(hanging)).toBe(false);
  }, 20_000);

  it("share a Unix socket, and join it when they replace another", async () => {
    const { path, remove } = temporaryFolder();
    ends.push(remove);
    const socketPath = join(path, "s.sock");
    const crew = await start(["--kv", "--socket", socketPath]);
    const call = (): Promise<Answer> => ask("http://localhost", "/health", { socketPath });
    const ids = new Set((await times(40, call)).map(({ headers }) => String(headers["x-trace-id"]).slice(0, 16)));
    const [victim = 0] = crew.workers();
    process.kill(victim, "SIGKILL");
    await until("it is replaced", () => crew.workers().length === 4 && !crew.workers().includes(victim), 20_000);

    expect(ids.size).toBe(4);
    await until(
      "four answer again",
      async () => {
        const again = await times(40, call);
        return new Set(again.map(({ headers }) => String(headers["x-trace-id"]).slice(0, 16))).size === 4;
      },
      20_000,
    );
  });
});

describe("a call that another worker serves", () => {
  const atEnd: (() => unknown)[] = [];
  let crew: Crew;
  beforeAll(async () => {
    crew = await start(["--storage", "--queue"], { MAX_OBJECT_BYTES: String(30 * 1024 * 1024) }, atEnd);
  });
  afterAll(async () => {
    for (const end of atEnd.reverse()) await end();
  });

  it("is answered as by itself: ranges, conditions, HEAD, gzip, errors, an empty body", async () => {
    const { call, post } = crew;
    const body = "line\n".repeat(1000);
    await call("/storage/object/t", {
      method: "PUT",
      body,
      headers: { "Content-Type": "text/plain", "X-Meta-A": "b" },
    });
    const [whole] = await times(4, () => call("/storage/object/t", { headers: { "Accept-Encoding": "gzip" } }));
    const etag = String((await call("/storage/object/t", { method: "HEAD" })).headers["etag"]);
    const ranges = await times(4, () => call("/storage/object/t", { headers: { Range: "bytes=1-3" } }));
    const fresh = await times(4, () => call("/storage/object/t", { headers: { "If-None-Match": etag } }));
    const heads = await times(4, () => call("/storage/object/t", { method: "HEAD" }));
    const missing = await times(4, () => call("/storage/object/none", { headers: { "X-Trace-Id": "mine" } }));
    const wrong = await times(4, () => post("/storage/copy", { from: 1 }));
    const waits = await times(4, () =>
      call("/storage/object/e", { method: "PUT", headers: { Expect: "100-continue" }, body: "e" }),
    );

    expect([whole?.headers["content-encoding"], whole?.headers["x-meta-a"]]).toEqual(["gzip", "b"]);
    expect(ranges.map(({ status, text }) => [status, text])).toEqual(times4([206, "ine"]));
    expect(fresh.map(({ status }) => status)).toEqual(times4(304));
    expect(heads.map(({ status, headers }) => [status, headers["content-length"]])).toEqual(times4([200, "5000"]));
    expect(missing.map(({ json, headers }) => [json.code, headers["x-trace-id"]])).toEqual(
      times4(["NOT_FOUND", "mine"]),
    );
    expect(wrong.map(({ json }) => [json.code, Array.isArray(json.details)])).toEqual(times4(["UNPROCESSABLE", true]));
    expect(waits.map(({ status }) => status)).toEqual(times4(201));
    const { text } = await call("/metrics");
    expect(text).toContain('http_response_status_code="404",error_type="NOT_FOUND"} 4\n');
  });

  it("streams both ways, and refuses what is too large early", async () => {
    const { call } = crew;
    const pieces = (count: number): Buffer[] =>
      Array.from({ length: count }, (_, index) => Buffer.alloc(1024 * 1024, index));

    const stored = await times(4, (index) => call(`/storage/object/big${index}`, { method: "PUT", body: pieces(20) }));
    const read = await times(4, (index) => call(`/storage/object/big${index}`));
    const refused = await times(4, () => call("/storage/object/huge", { method: "PUT", body: pieces(40) }));
    const declared = await times(4, () =>
      call("/storage/object/huge", { method: "PUT", body: Buffer.alloc(40 * 1024 * 1024) }),
    );

    expect(stored.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
    expect(read.every(({ body }) => body.equals(Buffer.concat(pieces(20))))).toBe(true);
    expect(crew.output()).not.toContain("MaxListenersExceededWarning");
    expect([...refused, ...declared].map(({ json }) => json.code)).toEqual(times8("PAYLOAD_TOO_LARGE"));
    expect((await times(8, () => call("/storage/object/huge"))).map(({ status }) => status)).toEqual(times8(404));
  }, 60_000);

  it("keeps its framing: what is in a body is no request", async () => {
    const hidden = "GET /queue/pop/theirs?timeout=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const chunked = `Transfer-Encoding: chunked\r\n\r\n${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
    const ends = (answer: string): boolean => answer.endsWith("}");

    const answers = await times(8, () =>
      overSocket(crew, `GET /queue/len/theirs HTTP/1.1\r\nHost: localhost\r\n${chunked}`, ends),
    );
    const others = await times(24, (index) => crew.call(`/queue/len/q${index}`));

    expect(answers.filter((answer) => answer.includes('{"queue":"theirs","length":0'))).toHaveLength(8);
    expect(others.map(({ json }) => json.queue)).toEqual(Array.from({ length: 24 }, (_, index) => `q${index}`));
  });

  it("keeps its time limit, and waits for no body that it does not need", async () => {
    const crew = await start(["--storage", "--queue"], { TIMEOUT_SECONDS: "1" });
    const { call } = crew;
    await call("/storage/object/big", { method: "PUT", body: Buffer.alloc(20 * 1024 * 1024) });
    const send = (request: string): Promise<string> =>
      overSocket(crew, `${request.replace(" HTTP/1.1", " HTTP/1.1\r\nHost: localhost")}\r\n\r\n`, (text) =>
        /"status":\d+\}/.test(text),
      );

    const ended = await times(8, () => send("POST /queue/ack/jobs/x HTTP/1.1\r\nTransfer-Encoding: chunked"));
    const slow = await times(8, () => send("PUT /storage/object/slow HTTP/1.1\r\nContent-Length: 10"));
    const large = await times(8, () => send(`GET /storage/object/none HTTP/1.1\r\nX-Large: ${"x".repeat(16_320)}`));
    const readers = Array.from({ length: 8 }, () => connect(Number(new URL(crew.url).port), "127.0.0.1"));
    for (const reader of readers) {
      ends.push(() => reader.destroy());
      reader.on("error", () => undefined).write("GET /storage/object/big HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    const active = async (): Promise<number> =>
      Number(/^http_server_active_requests (\d+)$/m.exec((await call("/metrics")).text)?.[1]);

    expect(ended.map((answer) => answer.slice(9, 12))).toEqual(times8("404"));
    expect(slow.map((answer) => answer.slice(9, 12))).toEqual(times8("408"));
    expect(large.map((answer) => answer.slice(9, 12))).toEqual(times8("404"));
    await until("they have begun", async () => (await active()) > 8);
    await until("those who do not read are cut off", async () => (await active()) === 1);
  });

  it("has its token, scopes and limits looked at once, and URLs signed by any worker", async () => {
    const tokens = {
      t: { scopes: ["storage"], prefix: "a/" },
      r: { scopes: ["storage:read"], requests_per_second: 40 },
    };
    const { call } = await start(["--storage", "--kv"], { SIDECAR_TOKENS: JSON.stringify(tokens) });
    const as = (token: string, path: string, method = "GET"): Promise<Answer> =>
      call(path, {
        method,
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        ...(method === "POST" ? { body: "{}" } : {}),
      });

    expect((await times(4, () => as("t", "/storage/object/b/x", "PUT"))).map(({ status }) => status)).toEqual(
      times4(403),
    );
    expect((await times(4, () => as("t", "/storage/object/a/x", "PUT"))).map(({ status }) => status)).toEqual(
      times4(201),
    );
    expect((await times(4, () => as("r", "/storage/object/a/x", "PUT"))).map(({ status }) => status)).toEqual(
      times4(403),
    );
    expect((await times(4, () => as("t", "/kv/get/a%2Fx"))).map(({ status }) => status)).toEqual(times4(403));
    expect((await times(4, () => call("/storage/object/a/x"))).map(({ status }) => status)).toEqual(times4(401));
    const signed = await times(4, () => as("t", "/storage/presign/a/x", "POST"));
    const followed = await times(4, (index) =>
      call(new URL(signed[index]?.json.url).pathname + new URL(signed[index]?.json.url).search),
    );
    expect(followed.map(({ status }) => status)).toEqual(times4(200));
  });

  it("has URLs signed without a token that every worker knows", async () => {
    const { call, post } = crew;
    await call("/storage/object/x", { method: "PUT", body: "x" });
    const signed: string = (await post("/storage/presign/x", {})).json.url;
    const path = signed.slice(new URL(signed).origin.length);

    expect((await times(8, () => call(path))).map(({ text }) => text)).toEqual(times8("x"));
    expect((await times(4, () => call(path.replace("/x?", "/y?")))).map(({ status }) => status)).toEqual(times4(403));
  });

  it("leaves nothing of an upload that its client gave up", async () => {
    const { call } = crew;
    const given = new AbortController();
    async function* body(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(1024 * 1024);
      given.abort();
      yield Buffer.alloc(1024 * 1024);
    }
    await expect(call("/storage/object/half", { method: "PUT", body: body(), signal: given.signal })).rejects.toThrow();

    await until("it is forgotten", async () => /^http_server_active_requests 1$/m.test((await call("/metrics")).text));
    expect((await call("/storage/object/half")).status).toBe(404);
  });
});

describe("workers that cannot be", () => {
  it.each([
    [
      "KV_URL",
      "memory://",
      ["--kv"],
      "KV_URL: memory:// lives in one process, and --workers asks for 4; choose another backend, or one worker",
    ],
    ["DATABASE_URL", "sqlite::memory:", ["--sql"], "DATABASE_URL: sqlite://:memory: lives in one process"],
    ["KV_URL", "s4://x", ["--kv"], 'KV_URL: unknown scheme "s4"; known: memory, file'],
  ])("are refused for %s=%s", async (variable, url, flags, sentence) => {
    const ending = await runProgram(BIN, {
      args: [...flags, "--workers", "4", "--port", "0"],
      env: { [variable]: url },
    });

    expect(ending.code).toBe(1);
    expect(ending.stderr.trim().split("\n")).toEqual([expect.stringContaining(sentence)]);
    const checked = await runProgram(BIN, { args: [...flags, "--workers", "4", "--check"], env: { [variable]: url } });
    expect([checked.code, checked.stdout]).toEqual([1, expect.stringContaining(sentence)]);
  });

  it("say once that the port is taken", async () => {
    const { url } = await start(["--kv"]);
    const args = ["--kv", "--workers", "3", "--port", new URL(url).port];
    const { path, remove } = temporaryFolder();
    ends.push(remove);

    const ending = await runProgram(BIN, { args, cwd: path });

    expect(ending.code).toBe(1);
    expect(ending.stderr.trim().split("\n")).toEqual([
      expect.stringMatching(/port \d+ on 127\.0\.0\.1 is already in use/),
    ]);
  });

  it("are no number", async () => {
    const ending = await runProgram(BIN, { args: ["--kv", "--workers", "many"] });

    expect([ending.code, ending.stderr]).toEqual([1, 'mikcar: --workers is "many"; expected 0 to 1024\n']);
  });
});

const times4 = (value: unknown): unknown[] => Array.from({ length: 4 }, () => value);
const times6 = (value: unknown): unknown[] => Array.from({ length: 6 }, () => value);
const times8 = (value: unknown): unknown[] => Array.from({ length: 8 }, () => value);
