/**
 * Master keys by version. The newest one seals and signs, all of them open and verify, so that a key is rotated by adding
 * the next version and removed when nothing sealed under it is left. A master key is never used itself: each purpose has a
 * key of its own, derived by HKDF-SHA256 (RFC 5869), so that data sealed for one purpose does not open for another.
 */
import { err, ok, type Result } from "../result.ts"
import { type Bytes, decodeBase64, encodeList } from "./bytes.ts"

/** The format is `v<version>:<base64 of 32 bytes>`, separated by commas. The error names the entry, never its text. */
export type KeyRingError = {
  readonly reason: "empty" | "malformed_entry" | "duplicate_version"
  readonly entry: number
}

/** What a derived key is used for. */
export type KeyUse = "seal" | "sign"

const KEY_BYTES = 32
/** The version is stored in two bytes of what is sealed or signed. */
const KEY_VERSION_MAX = 0xffff
/** Payload keys differ by company and month; beyond this many the least recently used one is derived again. */
const DERIVED_KEYS_MAX = 512

const ALGORITHMS = {
  seal: { algorithm: { name: "AES-GCM", length: 256 }, usages: ["encrypt", "decrypt"] },
  sign: { algorithm: { name: "HMAC", hash: "SHA-256", length: 256 }, usages: ["sign", "verify"] },
} as const

/** Keys are in private fields, so neither a log line nor JSON shows them. Use one per isolate: it caches derived keys. */
export class KeyRing {
  /** The version that seals and signs. */
  readonly newestVersion: number
  readonly #masters: ReadonlyMap<number, Bytes>
  /** Resolved keys only: a promise of one request must not be awaited by another in workerd. */
  readonly #derived = new Map<string, CryptoKey>()

  constructor(masters: ReadonlyMap<number, Bytes>) {
    this.#masters = masters
    this.newestVersion = Math.max(...masters.keys())
  }

  /** All versions, the oldest first. */
  get versions(): readonly number[] {
    return [...this.#masters.keys()].sort((a, b) => a - b)
  }

  /** The key for one purpose under one version; null when the ring has no such version. */
  async derive(version: number, use: KeyUse, purpose: readonly string[]): Promise<CryptoKey | null> {
    const master = this.#masters.get(version)
    if (!master) return null
    const name = JSON.stringify([version, use, ...purpose])
    const key = this.#derived.get(name) ?? (await deriveKey(master, use, purpose))
    this.#derived.delete(name) // and inserted again as the most recently used
    this.#derived.set(name, key)
    for (const oldest of this.#derived.keys()) {
      if (this.#derived.size <= DERIVED_KEYS_MAX) break
      this.#derived.delete(oldest)
    }
    return key
  }

  /** The newest version, with its key for one purpose. */
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

/** Parses a key ring as it is configured. */
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
