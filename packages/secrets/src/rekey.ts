/** `mikcar-secrets rekey`: the encrypted file under another key. */

import { type Command, configError, configUrl, urlFromEnv } from "@mikcar/core";
import { SecretsService } from "./service.ts";

export const rekeyCommand: Command = {
  name: "rekey",
  summary: "give the encrypted file a new key (NEW_SECRETS_KEY)",
  run: async (env) => {
    const url = configUrl(urlFromEnv(SecretsService, env));
    if (url.scheme !== "file")
      throw configError(`SECRETS_URL: only a file has a key of ours; this is "${url.scheme}:"`);
    const [{ filePath }, { rekeyFile }] = await Promise.all([
      import("./backends/file/index.ts"),
      import("./backends/file/rekey.ts"),
    ]);
    process.stdout.write(`${await rekeyFile(filePath(url), env)}\n`);
  },
};
