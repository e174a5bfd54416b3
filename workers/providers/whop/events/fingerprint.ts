/**
 * A hash of a text, some hundred bits long: enough that two events of one company do not collide by accident. It is not
 * collision-resistant against chosen texts; only holders of the webhook secret can choose them. WebCrypto's digests would be,
 * but they are asynchronous and `normalize` is not.
 */
export const fingerprint = (text: string): string => half(text, 0x9e3779b9) + half(text, 0x85ebca6b)

/** 53 bits in the manner of cyrb53 (github.com/bryc/code, public domain): two 32-bit lanes, mixed at the end. */
function half(text: string, seed: number): string {
  let a = 0xdeadbeef ^ seed
  let b = 0x41c6ce57 ^ seed
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 2654435761)
    b = Math.imul(b ^ unit, 1597334677)
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(16).padStart(14, "0")
}
