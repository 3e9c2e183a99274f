/** Keys as they travel. */

export function copySource(bucket: string, key: string): string {
  return `${bucket}/${key.split("/").map(encodeURIComponent).join("/")}`;
}

/** Keys of a listing that was asked for with `encoding-type=url`. */
export function decodeKey(text: string): string {
  return decodeURIComponent(text.replaceAll("+", "%20"));
}
