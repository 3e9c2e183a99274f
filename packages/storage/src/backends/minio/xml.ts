/** The little XML of the S3 protocol. The client library's own parser makes numbers of names such as `007`. */

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** What stands in each `<tag>`. */
export function blocks(xml: string, tag: string): string[] {
  return [...xml.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, "gs"))].map(([, inside = ""]) => inside);
}

/** The text in the first `<tag>`, "" when there is none. */
export function text(xml: string, tag: string): string {
  const begin = xml.indexOf(`<${tag}>`);
  if (begin === -1) return "";
  const start = begin + tag.length + 2;
  return unescape(xml.slice(start, xml.indexOf(`</${tag}>`, start)));
}

export function escape(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function unescape(value: string): string {
  if (!value.includes("&")) return value;
  return value.replaceAll(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (entity: string, hex = "", decimal = "", name = "") => {
    if (hex !== "") return String.fromCodePoint(Number.parseInt(hex, 16));
    return decimal === "" ? (ENTITIES[name] ?? entity) : String.fromCodePoint(Number(decimal));
  });
}
