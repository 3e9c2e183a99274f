import { configError } from "./errors.ts";

/**
 * Loads a package that is installed only by those who need it.
 * @param name As in `npm install`. @throws CONFIG_ERROR with the command that installs it, when it is not there.
 */
export async function optional<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code !== "ERR_MODULE_NOT_FOUND" || !message.includes(`'${name}'`)) throw cause;
    throw configError(`${name} is not installed; run: npm install ${name}`, { cause });
  }
}
