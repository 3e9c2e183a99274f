/** Resolves as `work` does. @throws when it has not settled within `milliseconds`; it goes on then, and nobody waits for it. */
export async function inTime<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  work.catch(() => undefined); // it may fail after the deadline
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
