/**
 * Master keys by version. The newest one writes, all of them read, so that a key is rotated by adding the next version
 * and removed when nothing is left that it has written. A master key is never used itself: each purpose has a key of its
 * own, derived by HKDF-SHA256 (RFC 5869), so that what was made for one purpose is nothing to another.
 */
import { err, ok, type Result } from "../result.ts"
import { type Bytes, decodeBase64, encodeList } from "./bytes.ts"

/** Written as `v<version>:<base64 of 32 bytes>`, separated by commas. The fault names the entry, never its text. */
export type KeyRingError = {
  readonly reason: "empty" | "malformed_entry" | "duplicate_version"
  readonly entry: number
}

/** What a derived key does. */
export type KeyUse = "seal" | "sign"

const KEY_BYTES = 32
/** The version travels as two bytes in what is sealed or signed. */
const KEY_VERSION_MAX = 0xffff
/** Payload keys differ by company and month; beyond this many the least recently used one is derived again. */
const DERIVED_KEYS_MAX = 512

const ALGORITHMS = {
  seal: { algorithm: { name: "AES-GCM", length: 256 }, usages: ["encrypt", "decrypt"] },
  sign: { algorithm: { name: "HMAC", hash: "SHA-256", length: 256 }, usages: ["sign", "verify"] },
} as const

/** Holds its keys where neither a log line nor JSON can reach them. Keep one for the life of the isolate: it caches. */
export class KeyRing {
  /** The version that writes. */
  readonly newestVersion: number
  readonly #masters: ReadonlyMap<number, Bytes>
  /** Finished keys only: a promise of one request must not be awaited by another in workerd. */
  readonly #derived = new Map<string, CryptoKey>()

  constructor(masters: ReadonlyMap<number, Bytes>) {
    this.#masters = masters
    this.newestVersion = Math.max(...masters.keys())
  }

  /** All versions, the oldest first. */
  get versions(): readonly number[] {
    return [...this.#masters.keys()].sort((a, b) => a - b)
  }

  /** The key of one purpose under one version; null when the ring has no such version. */
  async derive(version: number, use: KeyUse, purpose: readonly string[]): Promise<CryptoKey | null> {
    const master = this.#masters.get(version)
    if (!master) return null
    const name = JSON.stringify([version, use, ...purpose])
    const key = this.#derived.get(name) ?? (await deriveKey(master, use, purpose))
    this.#derived.delete(name) // and put back as the most recently used
    this.#derived.set(name, key)
    for (const oldest of this.#derived.keys()) {
      if (this.#derived.size <= DERIVED_KEYS_MAX) break
      this.#derived.delete(oldest)
    }
    return key
  }

  /** The version that writes, with its key of one purpose. */
  async deriveNewest(use: KeyUse, purpose: readonly string[]): Promise<{ version: number; key: CryptoKey }> {
    const key = await this.derive(this.newestVersion, use, purpose)
    if (!key) throw new Error("a key ring is never empty")
    return { version: this.newestVersion, key }
  }
}

async function deriveKey(master: Bytes, use: KeyUse, purpose: readonly string[]): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey("raw", master, "HKDF", false, ["deriveKey"])
  const { algorithm, usages } = ALGORITHMS[use]
  const info = encodeList(["churn-saver", use, ...purpose])
  const hkdf = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info }
  return crypto.subtle.deriveKey(hkdf, base, algorithm, false, [...usages])
}

/** Reads a key ring as it is configured. */
export function parseKeyRing(text: string): Result<KeyRing, KeyRingError> {
  if (text.trim() === "") return err({ reason: "empty", entry: 0 })
  const masters = new Map<number, Bytes>()
  for (const [index, part] of text.split(",").entries()) {
    const entry = index + 1
    const [, digits, base64] = /^v([1-9]\d{0,4}):([A-Za-z0-9+/]{43}=?)$/.exec(part.trim()) ?? []
    const version = Number(digits)
    const master = decodeBase64(base64 ?? "")
    if (!master || master.length !== KEY_BYTES || !(version <= KEY_VERSION_MAX)) {
      return err({ reason: "malformed_entry", entry })
    }
    if (masters.has(version)) return err({ reason: "duplicate_version", entry })
    masters.set(version, master)
  }
  return ok(new KeyRing(masters))
}
