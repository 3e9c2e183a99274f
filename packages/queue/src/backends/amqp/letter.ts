/** What stands on a message: its id, how often it was handed out, and why it died. */

import { randomUUID } from "node:crypto";
import type { GetMessage, Options } from "amqplib";

/** Marks the messages that this service has sent: their ids are unique. */
const APP = "mikcar";
const DELIVERIES = "x-mikcar-deliveries";
const REASON = "x-mikcar-reason";
const DIED_AT = "x-mikcar-died-at";
/** Of a message that was sent again after it had died, or that others have sent: what its id is unique with. */
const LIFE = "x-mikcar-life";
/** `CC` and `BCC` would send copies once more; the broker refuses or rewrites the others. */
const NOT_PASSED_ON = /^(?:CC|BCC|x-death|x-first-death-.*|x-last-death-.*|x-delivery-count|x-mikcar-.*)$/;
const OWN = /^x-mikcar-/;
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

export interface Letter {
  readonly id: string;
  /** Its id is no other message's. */
  readonly isUnique: boolean;
  readonly life: string;
  /** How often it has been handed out before. */
  readonly deliveries: number;
  readonly reason: string;
  readonly diedAt: Date;
}

/** Other programs' messages may have no id, or one that cannot be ours: they get one here. */
export function readLetter({ properties }: GetMessage): Letter {
  const { appId, messageId } = properties as { appId?: unknown; messageId?: unknown }; // as amqplib decodes them
  const headers = (properties.headers ?? {}) as Record<string, unknown>;
  const hasId = typeof messageId === "string" && messageId !== "" && !CONTROL.test(messageId);
  const life = headers[LIFE];
  return {
    id: hasId ? messageId : randomUUID(),
    isUnique: hasId && (appId === APP || life !== undefined),
    life: typeof life === "string" ? life : "",
    deliveries: whole(headers[DELIVERIES]),
    reason: String(headers[REASON] ?? ""),
    diedAt: new Date(whole(headers[DIED_AT])),
  };
}

function whole(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

/** Of a new message. */
export function newLetter(id: string): Options.Publish {
  return { persistent: true, mandatory: true, messageId: id, appId: APP, contentType: "application/json" };
}

/** Without the headers of other programs. */
export function withOwnHeaders(options: Options.Publish): Options.Publish {
  const own = Object.entries((options.headers ?? {}) as Record<string, unknown>).filter(([name]) => OWN.test(name));
  return { ...options, headers: Object.fromEntries(own) };
}

/** What is to be read on a message that is sent again. */
export interface Change {
  readonly deliveries: number;
  readonly death?: { readonly reason: string; readonly at: Date };
  /** It begins a new life, with the same id. */
  readonly isReborn?: boolean;
}

/** Everything else stays as its sender wrote it. It no longer expires: it has been handed out. */
export function changedLetter(letter: Letter, { properties }: GetMessage, change: Change): Options.Publish {
  const { death, deliveries, isReborn = false } = change;
  const life = isReborn || !letter.isUnique ? randomUUID() : letter.life;
  const { expiration: _expiration, userId: _userId, clusterId: _clusterId, deliveryMode: _mode, ...kept } = properties;
  const passedOn = Object.entries(properties.headers ?? {}).filter(([name]) => !NOT_PASSED_ON.test(name));
  const headers = {
    ...Object.fromEntries(passedOn),
    ...(deliveries === 0 ? {} : { [DELIVERIES]: deliveries }),
    ...(life === "" ? {} : { [LIFE]: life }),
    ...(death === undefined ? {} : { [REASON]: death.reason, [DIED_AT]: death.at.getTime() }),
  };
  return { ...kept, persistent: true, mandatory: true, messageId: letter.id, headers } as Options.Publish; // of the same properties
}
