/** The errors of `hashi-vault-js` hold the request with its token and value: nothing of them travels but what is taken out here. */

import { MikcarError, unavailable } from "@mikcar/core";

/** An answer of Vault that is no success, or the lack of an answer. */
export class VaultFault extends Error {
  /** Undefined: there was no answer. */
  readonly status: number | undefined;

  constructor(status: number | undefined, reason: string) {
    super(status === undefined ? `no answer from Vault (${reason})` : `Vault answered ${status}: ${reason}`);
    this.name = "VaultFault";
    this.status = status;
  }
}

const MAX_REASON = 300;

export function translate(error: unknown): VaultFault {
  const { response, code } = error as { response?: { status?: number; data?: { errors?: unknown } }; code?: string };
  if (response?.status === undefined) return new VaultFault(undefined, code ?? "unknown");
  const errors = response.data?.errors;
  const reason = Array.isArray(errors) ? errors.filter((text) => typeof text === "string").join("; ") : "";
  return new VaultFault(response.status, reason.slice(0, MAX_REASON) || "no reason given");
}

/**
 * What a fault means to a caller: 403 is BAD_GATEWAY, as the sidecar's own token lacks the right; sealed, standby,
 * overloaded or silent is UNAVAILABLE: https://developer.hashicorp.com/vault/api-docs#http-status-codes
 */
export function toMikcarError(fault: VaultFault): MikcarError {
  const { status } = fault;
  if (status === 403) {
    return new MikcarError("BAD_GATEWAY", `${fault.message}; does the sidecar's policy allow it?`, { cause: fault });
  }
  if (status === undefined || status === 412 || status === 429 || status >= 472 || (status >= 300 && status < 400)) {
    return unavailable(fault.message, { cause: fault });
  }
  return new MikcarError("BAD_GATEWAY", fault.message, { cause: fault });
}
