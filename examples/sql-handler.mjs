/**
 * What a request handler does with the SQL sidecar, over HTTP alone: a table, an insert that gives its row back, a
 * select, a script that commits, and one that rolls back.
 *
 *   npm start                          # in another terminal
 *   node examples/sql-handler.mjs
 *
 * SIDECAR_URL says where the sidecar is, if not on localhost:3001; SIDECAR_TOKEN is its token, if it has one.
 */

const BASE = process.env.SIDECAR_URL ?? "http://localhost:3001";
const TOKEN = process.env.SIDECAR_TOKEN;

async function call(route, body) {
  const response = await fetch(`${BASE}/sql/${route}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(TOKEN ? { Authorization: `Bearer ${TOKEN}` } : {}) },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok && response.status !== 422) throw new Error(`${route}: ${answer.error}`);
  return answer;
}

/** Buys one item: reads the stock, decides, writes. Two of them at once never sell the last item twice. */
const BUY = `export default function ({ item, customer }) {
  const [row] = sql.query("SELECT stock FROM items WHERE name = $1", [item]);
  if (row === undefined) throw new Error("we do not sell " + item);
  if (row.stock === 0) throw new Error(item + " is sold out");
  sql.execute("UPDATE items SET stock = stock - 1 WHERE name = $1", [item]);
  const [order] = sql.query("INSERT INTO orders (item, customer) VALUES ($1, $2) RETURNING item, customer", [item, customer]);
  return { order, left: row.stock - 1 };
}`;

await call("batch", {
  statements: [
    { sql: "DROP TABLE IF EXISTS orders" },
    { sql: "DROP TABLE IF EXISTS items" },
    { sql: "CREATE TABLE items (name TEXT PRIMARY KEY, stock INTEGER NOT NULL CHECK (stock >= 0))" },
    { sql: "CREATE TABLE orders (item TEXT NOT NULL REFERENCES items (name), customer TEXT NOT NULL)" },
  ],
});

const inserted = await call("query", {
  sql: "INSERT INTO items (name, stock) VALUES ($1, $2) RETURNING name, stock",
  params: ["teapot", 1],
});
console.log("inserted", JSON.stringify(inserted.rows));

const bought = await call("script", { script: BUY, input: { item: "teapot", customer: "Ada" } });
console.log("bought", JSON.stringify(bought.result));

const refused = await call("script", { script: BUY, input: { item: "teapot", customer: "Bo" } });
console.log("refused", refused.error);

const orders = await call("query", { sql: "SELECT item, customer FROM orders" });
console.log("orders", JSON.stringify(orders.rows));
