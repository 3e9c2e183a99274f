/** Calls for each of many things, some at a time, with the results in order. */

const AT_ONCE = 8;

/** Takes no more of `items` than it must: at most 8 are ahead of what has been asked for. */
export async function* inParallel<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const pending: Promise<R>[] = [];
  for await (const item of items) {
    const result = work(item);
    result.catch(() => undefined); // it is thrown when its turn comes, if it does
    pending.push(result);
    if (pending.length >= AT_ONCE) yield (await pending.shift()) as R; // there are eight
  }
  for (const result of pending) yield await result;
}
