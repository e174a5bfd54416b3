/**
 * A data key for each customer's personal data. It is stored wrapped (sealed under the key ring); erasing a customer means
 * deleting the wrapped key, after which nothing that was sealed under it opens again, in backups neither.
 */
import type { Bytes } from "./bytes.ts"
import type { KeyRing } from "./key-ring.ts"
import { keyVersionOf, open, type SealContext, seal } from "./seal.ts"

/** Where a wrapped key belongs: table, column, row id, company. */
export type DataKeyContext = readonly string[]

const DATA_KEY_BYTES = 32

const sealContextOf = (context: DataKeyContext): SealContext => ({ purpose: { name: "customer-key" }, context })

/** A new random key, and the wrapped bytes to store. The key itself cannot be exported. */
export async function newDataKey(
  keyRing: KeyRing,
  context: DataKeyContext,
): Promise<{ readonly key: CryptoKey; readonly wrapped: Bytes }> {
  const raw = crypto.getRandomValues(new Uint8Array(DATA_KEY_BYTES))
  const [key, wrapped] = await Promise.all([importDataKey(raw), seal(keyRing, sealContextOf(context), raw)])
  raw.fill(0)
  return { key, wrapped }
}

/** The key that was wrapped for this place. Throws `SealError`. */
export async function unwrapDataKey(
  keyRing: KeyRing,
  context: DataKeyContext,
  wrapped: Uint8Array,
): Promise<CryptoKey> {
  const raw = await open(keyRing, sealContextOf(context), wrapped)
  const key = await importDataKey(raw)
  raw.fill(0)
  return key
}

/** The same key wrapped under the newest version; null when it already is. Data sealed under it does not change. */
export async function rewrapDataKey(
  keyRing: KeyRing,
  context: DataKeyContext,
  wrapped: Uint8Array,
): Promise<Bytes | null> {
  if (keyVersionOf(wrapped) === keyRing.newestVersion) return null
  return seal(keyRing, sealContextOf(context), await open(keyRing, sealContextOf(context), wrapped))
}

const importDataKey = (raw: Bytes): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"])
