import type { DeleteReport } from "./backend.ts";

const AT_ONCE = 32;

/** `deleteMany` for a backend that deletes one by one. @param remove Tells whether there was something. */
export async function deleteEach(
  paths: readonly string[],
  remove: (path: string) => Promise<boolean>,
): Promise<DeleteReport> {
  const errors: { path: string; error: unknown }[] = [];
  const left = paths.values();
  let deleted = 0;
  const work = async (): Promise<void> => {
    for (const path of left) {
      try {
        if (await remove(path)) deleted += 1;
      } catch (error) {
        errors.push({ path, error });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { deleted, errors };
}
