/**
 * Compares two strings by the bytes of their UTF-8, which is also the order of their code points. JavaScript's own `<`
 * compares UTF-16 units and puts the emoji, written as surrogates, before U+E000 to U+FFFF.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const x = a.charCodeAt(index);
    const y = b.charCodeAt(index);
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? rank(x) - rank(y) : x - y;
  }
  return a.length - b.length;
}

/** Lifts surrogates (D800 to DFFF) above the rest of the basic plane. */
function rank(unit: number): number {
  return unit <= 0xdfff ? unit + 0x2000 : unit - 0x800;
}
