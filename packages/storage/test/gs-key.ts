import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";

export const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

/** Tokens of another universe than Google's are signed by the account itself, without a server of tokens. */
export const OTHER_UNIVERSE = { universe_domain: "example.com" };

/** A key file of Google's. */
export function writeServiceAccount(path: string, parts: Readonly<Record<string, string>> = {}): void {
  const account = {
    type: "service_account",
    project_id: "my-project",
    private_key_id: "key-1",
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    client_email: "sidecar@my-project.iam.gserviceaccount.com",
    client_id: "1",
    ...parts,
  };
  writeFileSync(path, JSON.stringify(account));
}
