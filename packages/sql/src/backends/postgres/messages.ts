/**
 * The messages that run a prepared statement, in one piece of memory and so in one write: the path of nearly every call.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** What a step of this kind needs to be known of. */
export interface Execution {
  /** Of the prepared statement: ASCII. */
  readonly name: string;
  readonly values: readonly (string | null)[];
  /** Rows at most; 0 for all. */
  readonly limit: number;
}

const BIND = 0x42;
const EXECUTE = 0x45;
const SYNC = 0x53;
/** Type and length of Bind, the empty portal name, the end of the statement name, and three counts of 16 bits. */
const BIND_BYTES = 1 + 4 + 1 + 1 + 2 + 2 + 2;
const EXECUTE_BYTES = 1 + 4 + 1 + 4;
const SYNC_BYTES = 1 + 4;

/** Bind and Execute for each, with the unnamed portal and text both ways, then one Sync. */
export function executionMessages(executions: readonly Execution[]): Buffer {
  let size = SYNC_BYTES;
  for (const { name, values } of executions) size += bindSize(name, values) + EXECUTE_BYTES;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const execution of executions) at = writeExecution(bytes, at, execution);
  bytes[at] = SYNC;
  bytes.writeInt32BE(4, at + 1);
  return bytes;
}

function bindSize(name: string, values: Execution["values"]): number {
  let size = BIND_BYTES + name.length;
  for (const value of values) size += 4 + (value === null ? 0 : Buffer.byteLength(value));
  return size;
}

function writeExecution(bytes: Buffer, start: number, { name, values, limit }: Execution): number {
  let at = start;
  bytes[at] = BIND;
  bytes[at + 5] = 0; // the unnamed portal
  at += 6;
  at += bytes.write(name, at, "latin1");
  bytes[at] = 0;
  at = bytes.writeInt16BE(0, at + 1); // all parameters are text
  at = bytes.writeInt16BE(values.length > 0x7fff ? values.length - 0x10000 : values.length, at);
  for (const value of values) {
    if (value === null) {
      at = bytes.writeInt32BE(-1, at);
      continue;
    }
    const size = bytes.write(value, at + 4, "utf8");
    bytes.writeInt32BE(size, at);
    at += 4 + size;
  }
  at = bytes.writeInt16BE(0, at); // so are all results
  bytes.writeInt32BE(at - start - 1, start + 1);

  bytes[at] = EXECUTE;
  bytes.writeInt32BE(EXECUTE_BYTES - 1, at + 1);
  bytes[at + 5] = 0;
  return bytes.writeInt32BE(limit, at + 6);
}
