/**
 * Does `work` for each item, `atOnce` at a time. The first failure ends it, once the others are through.
 * @param work Gets the place of the item too, from 0.
 */
export async function overlapping<T>(
  items: AsyncIterable<T> | Iterable<T>,
  atOnce: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let index = 0;
  const start = (item: T): void => {
    const job = work(item, index++)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => running.delete(job));
    running.add(job);
  };
  try {
    for await (const item of items) {
      start(item);
      if (running.size >= atOnce) await Promise.race(running);
      if (failures.length > 0) break;
    }
  } finally {
    await Promise.all(running);
  }
  if (failures.length > 0) throw failures[0];
}
