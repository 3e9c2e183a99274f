/** `/metrics`: what is counted, under which names, and how many series callers can make. */

import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, expect, it } from "@jest/globals";
import { type Answer, ask, until } from "@mikcar/devkit";
import type { Server } from "../src/server.ts";
import { echoBackend, serveEcho } from "./echo.ts";

let server: (Server & { readonly url: string }) | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function call(path: string, init: Parameters<typeof ask>[2] = {}): Promise<Answer> {
  return ask(server?.url ?? "", path, init);
}

/** The lines of one series or of all that begin so. */
async function series(start: string): Promise<string[]> {
  return (await call("/metrics")).text.split("\n").filter((line) => line.startsWith(start));
}

const COUNT = "http_server_request_duration_seconds_count";

it("counts calls by service, method, route, status and code, in Prometheus text", async () => {
  server = await serveEcho();
  await call("/echo/param/a");
  await call("/echo/param/b");
  await call("/echo/json", { method: "POST", body: "{}" });
  await call("/echo/away");
  await call("/health");
  await call("/nowhere");

  const answer = await call("/metrics");

  expect(answer.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  const counted = answer.text.split("\n").filter((line) => line.startsWith(COUNT));
  expect(new Set(counted)).toEqual(
    new Set([
      `${COUNT}{service="echo",http_request_method="GET",http_route="/echo/param/{name}",http_response_status_code="200"} 2`,
      `${COUNT}{service="echo",http_request_method="POST",http_route="/echo/json",http_response_status_code="415",error_type="UNSUPPORTED_MEDIA_TYPE"} 1`,
      `${COUNT}{service="echo",http_request_method="GET",http_route="/echo/away",http_response_status_code="503",error_type="UNAVAILABLE"} 1`,
      `${COUNT}{service="server",http_request_method="GET",http_route="/health",http_response_status_code="200"} 1`,
      `${COUNT}{service="server",http_request_method="GET",http_response_status_code="404",error_type="NOT_FOUND"} 1`,
    ]),
  );
});

it("puts each duration into its bucket, and adds them up", async () => {
  server = await serveEcho();
  await call("/echo/slow");
  const lines = await series("http_server_request_duration_seconds_bucket");
  const value = (le: string): number =>
    Number(
      lines
        .find((line) => line.includes(`le="${le}"`) && line.includes("/echo/slow"))
        ?.split(" ")
        .at(-1),
    );

  expect([value("0.0005"), value("0.05"), value("10"), value("+Inf")]).toEqual([0, 0, 1, 1]);
  const [sum] = (await series("http_server_request_duration_seconds_sum")).filter((line) => line.includes("slow"));
  expect(Number(sum?.split(" ").at(-1))).toBeGreaterThanOrEqual(0.06);
});

it("has no more series for whatever callers send", async () => {
  server = await serveEcho();
  const strange = async (): Promise<void> => {
    const id = Math.random().toString(36);
    await call(`/echo/param/${id}`);
    await call(`/echo/rest/${id}/${id}`);
    await call(`/${id}`);
    await call(`/echo/query?n=${id}`);
    await call("/echo/param/x", { headers: { "X-Trace-Id": id, traceparent: `00-${id}` } });
    for (const method of ["PATCH", "PURGE", "SEARCH", "MKCOL"]) await call(`/echo/${id}`, { method });
  };
  await strange();
  const before = (await series("http_server")).length; // garbage collection has series that come when they will

  for (let round = 0; round < 10; round++) await strange();

  const after = await series("http_server");
  expect(after.filter((line) => /PATCH|PURGE|SEARCH|MKCOL/.test(line))).toEqual([]);
  expect(after.filter((line) => line.includes('http_request_method="_OTHER"')).length).toBeGreaterThan(0);
  expect(after.length - before).toBeLessThanOrEqual(25); // those of /metrics itself, which was not counted before
});

it("counts a call whose client left as 499", async () => {
  server = await serveEcho();
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  await once(socket, "connect");
  socket.write("GET /echo/wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await until("it is under way", async () => (await series("http_server_active_requests 2")).length === 1);
  socket.destroy();

  await until("it is counted", async () =>
    (await series(COUNT)).some((line) => line.includes("/echo/wait") && line.includes('"499"')),
  );
});

it("tells of backends, with the gauges of their own, and of the process", async () => {
  server = await serveEcho((builder) => builder, {
    ...echoBackend(),
    gauges: () => [{ name: "mikcar_echo_things", help: "Things.", labels: { kind: "old" }, value: 3 }],
  });

  expect(await series("mikcar_backend_up")).toEqual(['mikcar_backend_up{service="echo",backend="custom"} 1']);
  expect(await series("mikcar_echo_things")).toEqual(['mikcar_echo_things{kind="old"} 3']);
  expect(Number((await series("process_resident_memory_bytes "))[0]?.split(" ")[1])).toBeGreaterThan(10_000_000);
});

it("stands behind the token, unless it is public; nothing else is then", async () => {
  server = await serveEcho((builder) => builder.authToken("t"));
  expect((await call("/metrics")).status).toBe(401);
  expect((await call("/metrics", { headers: { Authorization: "Bearer t" } })).status).toBe(200);
  await server.close();

  server = await serveEcho((builder) => builder.authToken("t").metricsPublic());
  expect((await call("/metrics", { headers: { Host: "sidecar.internal:3001" } })).status).toBe(200);
  expect((await call("/metrics?a=b", { method: "HEAD" })).status).toBe(200);
  for (const path of ["/metrics/", "/metricsx", "/ready", "/echo/param/a"]) expect((await call(path)).status).toBe(401);
});

it("names what it counts as Prometheus asks for", async () => {
  server = await serveEcho();
  const families = (await series("# TYPE ")).map((line) => line.split(" ").slice(2));

  for (const [name = "", type] of families) {
    expect(name).toMatch(/^(?:http_server|mikcar|process|nodejs)_[a-z0-9_]+$/);
    if (type === "counter") expect(name).toMatch(/_total$/);
  }
  expect(await series("# HELP ")).toHaveLength(families.length);
});
