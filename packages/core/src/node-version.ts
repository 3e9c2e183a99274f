/**
 * The first module of every program: with a Node that is too old for the rest it ends with a sentence, before one of
 * them fails for a reason that nobody understands. So it imports nothing and is written for Node 16.
 */

/** `engines.node` of this package, the one place that says what is needed: bundle.js puts it here. */
declare const OLDEST_NODE: string;

const [neededMajor = 0, neededMinor = 0] = OLDEST_NODE.split(".").map(Number);
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
  console.error(
    `mikcar needs Node ${OLDEST_NODE} or newer, and this is ${process.versions.node} (${process.execPath}): ` +
      "install a newer one, as https://nodejs.org/en/download shows, or put it first on the PATH",
  );
  process.exit(1);
}
