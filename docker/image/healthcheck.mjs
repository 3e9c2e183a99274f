/** What the image asks of itself from time to time: exits 0 when the program in it answers, else 1. */

const { get } = process.getBuiltinModule("node:http");

const host = ["", "0.0.0.0", "::", "[::]"].includes(process.env.HOST ?? "") ? "127.0.0.1" : process.env.HOST;
const request = get({ host, port: process.env.PORT || 3001, path: "/health", timeout: 2000 }, ({ statusCode }) => {
  process.exit(statusCode === 200 ? 0 : 1);
});
request.on("timeout", () => request.destroy(new Error("no answer within 2 s")));
request.on("error", ({ message }) => {
  console.error(message);
  process.exit(1);
});
