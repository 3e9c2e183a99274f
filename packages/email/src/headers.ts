/** Header fields of the caller's own. */

const NAME = /^[A-Za-z\d][\w-]{0,75}$/;
const CONTROL = /\p{Cc}/u;
/** Those that the other fields of an email set, those that mail servers add, and those that tell how the bytes are read. */
const OWN =
  /^(?:from|sender|to|cc|bcc|reply-to|subject|date|message-id|mime-version|content-.*|return-path|received.*|delivered-to|dkim-signature|domainkey-signature|authentication-results|arc-.*|resent-.*)$/i;
const MESSAGE_IDS = /^<[^<>\s]+>(?: <[^<>\s]+>)*$/;
const LISTS_IDS = /^(?:in-reply-to|references)$/i;
const ASCII = /^[ -~]*$/;
/** A line has at most 998 bytes, and is folded at spaces: RFC 5322, 2.1.1. */
const MAX_WORD = 900;
const MAX_VALUE = 8000;

/** Whether a field is set by this package or by mail servers, and by no caller. */
export function isOwnHeader(name: string): boolean {
  return OWN.test(name);
}

/** What is wrong with a header field; undefined: nothing. */
export function headerFault(name: string, value: string): string | undefined {
  if (!NAME.test(name)) return "a header's name has 1 to 76 letters, digits, hyphens and underscores";
  if (isOwnHeader(name)) return "this header is set from the other fields, or by mail servers";
  if (CONTROL.test(value)) return "a header has no control characters, line breaks among them";
  if (value.trim() === "") return "a header has a value";
  if (value.length > MAX_VALUE) return `a header has at most ${MAX_VALUE} characters`;
  if (ASCII.test(value) && hasLongWord(value))
    return "a header is broken at spaces, and needs one before 900 characters";
  return LISTS_IDS.test(name) && !(ASCII.test(value) && MESSAGE_IDS.test(value))
    ? "expected message ids in angle brackets, with one space between them"
    : undefined;
}

/** Whether a line of it would grow too long. A regular expression would look at each character hundreds of times. */
export function hasLongWord(text: string): boolean {
  return text.split(/\s+/).some(({ length }) => length >= MAX_WORD);
}
