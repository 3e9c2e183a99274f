/** The floor: what a bare `node:http` server spends to answer a constant 100 bytes. */
import { createServer } from "node:http";
const body = Buffer.alloc(100, "f");
const server = createServer((_request, response) => {
  response.writeHead(200, ["Content-Type", "text/plain", "Content-Length", "100"]);
  response.end(body);
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  console.log(`{"msg":"listening on http://127.0.0.1:${port}"}`);
});
