/**
 * The only source of chance in training: the same seed gives the same numbers on every machine. sfc32 by Chris
 * Doty-Humphrey (PractRand): 128 bits of state, every operation exact in 32-bit integers.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** A number seeds by its 53 bits, a text by all its characters; different seeds give unrelated streams. */
  constructor(seed: number | string) {
    const text = String(seed)
    this.#a = hashText(text, 0x9e3779b9)
    this.#b = hashText(text, 0x243f6a88)
    this.#c = hashText(text, 0xb7e15162)
    for (let round = 0; round < 12; round++) this.bits()
  }

  /** 32 random bits as an unsigned integer. */
  bits(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }

  /** A number of [0, 1) with 53 random bits. */
  next(): number {
    return ((this.bits() >>> 5) * 0x4000000 + (this.bits() >>> 6)) / 0x20000000000000
  }

  /** An integer of 0…n−1; n must be at least 1. */
  int(n: number): number {
    return Math.floor(this.next() * n)
  }

  /** A draw from the normal distribution with mean 0 and deviation 1 (Box–Muller). */
  gaussian(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()))
    return radius * Math.cos(2 * Math.PI * this.next())
  }

  /** Puts the items in random order, in place (Fisher–Yates), and hands them back. */
  shuffle<T extends { [index: number]: unknown; readonly length: number }>(items: T): T {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.int(last + 1)
      const kept = items[last]
      items[last] = items[other]
      items[other] = kept
    }
    return items
  }
}

/** 32 bits that depend on every character (FNV-1a with a final mix of MurmurHash3). Not for secrets. */
export function hashText(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return mix(hash)
}

/** Spreads 32 bits evenly (the finalizer of MurmurHash3): near numbers get unrelated ones. */
export function mix(bits: number): number {
  let hash = bits
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
