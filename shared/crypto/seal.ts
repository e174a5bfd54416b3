/**
 * Seals bytes so that they open only in the place that they were sealed for. AES-256-GCM under a key of the purpose; the
 * place (table, column, row, company, …) is additional data, so a ciphertext that is moved elsewhere does not open.
 *
 * Layout of sealed bytes: format (1 byte), key version (2 bytes), IV (12 random bytes), ciphertext with tag.
 * Formats: 1 under the key ring, 3 the same with deflated content; 2 under a data key.
 * A random IV is safe for 2^32 messages under one key (NIST SP 800-38D, section 8.3); keys per company and month, and
 * per customer, stay far below it.
 */
import { type Bytes, concat, encodeList, fromUtf8, utf8 } from "./bytes.ts"
import { deflate, inflate } from "./deflate.ts"
import type { KeyRing } from "./key-ring.ts"

/** What is sealed; each purpose has a key of its own, payloads one for each company and month (`yyyy-mm`). */
export type SealPurpose =
  | { readonly name: "payload"; readonly companyId: string; readonly month: string }
  | { readonly name: "customer-key" }
  | { readonly name: "secret" }
  /** Deliveries in the fallback queue. */
  | { readonly name: "parked" }
  /** Addresses of the people who sign in. */
  | { readonly name: "person" }
  /** Unmapped events. */
  | { readonly name: "unmapped" }

/** Where sealed bytes belong. */
export interface SealContext {
  readonly purpose: SealPurpose
  /** Table, column, row id, company and what else identifies the place; opening needs the same parts in the same order. */
  readonly context: readonly string[]
}

/** Why sealed bytes did not open. `not_authentic`: altered, or not from this place, tenant or key. */
export type SealErrorReason = "malformed" | "unknown_key_version" | "not_authentic"

/** Sealed bytes did not open. Retrying does not help. */
export class SealError extends Error {
  readonly reason: SealErrorReason
  constructor(reason: SealErrorReason) {
    super(`sealed bytes do not open: ${reason}`)
    this.name = "SealError"
    this.reason = reason
  }
}

const FORMAT_UNDER_RING = 1
const FORMAT_UNDER_DATA_KEY = 2
const FORMAT_DEFLATED_UNDER_RING = 3
/** 96 bits, the length that GCM is made for; workerd would accept others. */
export const IV_BYTES = 12
const TAG_BYTES = 16

/** Bodies have at most 1 MiB; objects that we fetched or imported are not much larger. */
const INFLATED_BYTES_MAX = 8 * 1024 * 1024
/** Below this size deflating saves too few bytes for its cost. */
const DEFLATED_BYTES_MIN = 256

/** The purpose of payloads of a company that were received at `at`. */
export const payloadPurpose = (companyId: string, at: Date): SealPurpose => ({
  name: "payload",
  companyId,
  month: at.toISOString().slice(0, 7),
})

/** Seals bytes for one place, under the newest key. */
export const seal = (keyRing: KeyRing, place: SealContext, bytes: Uint8Array): Promise<Bytes> =>
  sealUnderRing(keyRing, place, FORMAT_UNDER_RING, bytes)

/** Seals bytes like `seal`, deflated where that makes them smaller. `open` opens both. */
export async function sealDeflated(keyRing: KeyRing, place: SealContext, bytes: Uint8Array): Promise<Bytes> {
  const isInBounds = bytes.length >= DEFLATED_BYTES_MIN && bytes.length <= INFLATED_BYTES_MAX
  const deflated = isInBounds ? deflate(bytes) : bytes
  return deflated.length < bytes.length
    ? sealUnderRing(keyRing, place, FORMAT_DEFLATED_UNDER_RING, deflated)
    : seal(keyRing, place, bytes)
}

async function sealUnderRing(keyRing: KeyRing, place: SealContext, format: number, bytes: Uint8Array): Promise<Bytes> {
  const { version, key } = await keyRing.deriveNewest("seal", purposeParts(place.purpose))
  return encrypt(key, ringHeader(format, version), place.context, bytes)
}

/** The bytes that were sealed for this place. Throws `SealError` when they were not, or were altered. */
export async function open(keyRing: KeyRing, place: SealContext, sealed: Uint8Array): Promise<Bytes> {
  const version = keyVersionOf(sealed)
  const key = await keyRing.derive(version, "seal", purposeParts(place.purpose))
  if (!key) throw new SealError("unknown_key_version")
  const [format = 0] = sealed
  const bytes = await decrypt(key, ringHeader(format, version), place.context, sealed)
  if (format === FORMAT_UNDER_RING) return bytes
  const inflated = inflate(bytes, INFLATED_BYTES_MAX)
  if (inflated === null) throw new SealError("malformed")
  return inflated
}

/** Which version of the key ring sealed these bytes. Throws `SealError` when none did. */
export function keyVersionOf(sealed: Uint8Array): number {
  const [format, high, low] = sealed
  const isUnderRing = format === FORMAT_UNDER_RING || format === FORMAT_DEFLATED_UNDER_RING
  if (!isUnderRing || high === undefined || low === undefined) throw new SealError("malformed")
  return high * 256 + low
}

/** Seals bytes under a data key of their own (see `data-key.ts`). */
export const sealWith = (dataKey: CryptoKey, context: readonly string[], bytes: Uint8Array): Promise<Bytes> =>
  encrypt(dataKey, dataKeyHeader(), context, bytes)

/** The bytes that were sealed under this data key for this place. Throws `SealError` otherwise. */
export async function openWith(dataKey: CryptoKey, context: readonly string[], sealed: Uint8Array): Promise<Bytes> {
  if (sealed[0] !== FORMAT_UNDER_DATA_KEY) throw new SealError("malformed")
  return decrypt(dataKey, dataKeyHeader(), context, sealed)
}

/** Seals a value as JSON. */
export const sealJson = async (keyRing: KeyRing, place: SealContext, value: unknown): Promise<Bytes> =>
  seal(keyRing, place, jsonBytes(value))

/** The value that was sealed as JSON for this place; the caller validates its shape. Throws `SealError`. */
export const openJson = async (keyRing: KeyRing, place: SealContext, sealed: Uint8Array): Promise<unknown> =>
  parseJson(await open(keyRing, place, sealed))

/** Seals a value as JSON under a data key. */
export const sealJsonWith = async (dataKey: CryptoKey, context: readonly string[], value: unknown): Promise<Bytes> =>
  sealWith(dataKey, context, jsonBytes(value))

/** The value that was sealed as JSON under this data key. Throws `SealError`. */
export const openJsonWith = async (
  dataKey: CryptoKey,
  context: readonly string[],
  sealed: Uint8Array,
): Promise<unknown> => parseJson(await openWith(dataKey, context, sealed))

async function encrypt(key: CryptoKey, header: Bytes, context: readonly string[], bytes: Uint8Array): Promise<Bytes> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES))
  const gcm = { name: "AES-GCM", iv, additionalData: concat(header, encodeList(context)), tagLength: TAG_BYTES * 8 }
  return concat(header, iv, new Uint8Array(await crypto.subtle.encrypt(gcm, key, new Uint8Array(bytes))))
}

async function decrypt(key: CryptoKey, header: Bytes, context: readonly string[], sealed: Uint8Array): Promise<Bytes> {
  const ivEnd = header.length + IV_BYTES
  if (sealed.length < ivEnd + TAG_BYTES) throw new SealError("malformed")
  const gcm = {
    name: "AES-GCM",
    iv: sealed.slice(header.length, ivEnd),
    additionalData: concat(header, encodeList(context)),
    tagLength: TAG_BYTES * 8,
  }
  try {
    return new Uint8Array(await crypto.subtle.decrypt(gcm, key, new Uint8Array(sealed.subarray(ivEnd))))
  } catch {
    throw new SealError("not_authentic")
  }
}

const ringHeader = (format: number, version: number): Bytes => Uint8Array.of(format, version >> 8, version & 0xff)
const dataKeyHeader = (): Bytes => Uint8Array.of(FORMAT_UNDER_DATA_KEY)

function purposeParts(purpose: SealPurpose): string[] {
  if (purpose.name !== "payload") return [purpose.name]
  if (!/^\d{4}-\d{2}$/.test(purpose.month)) throw new RangeError("a payload key needs a month as yyyy-mm")
  return [purpose.name, purpose.companyId, purpose.month]
}

function jsonBytes(value: unknown): Bytes {
  const json: unknown = JSON.stringify(value) // undefined for a function, a symbol or undefined, whatever its type says
  if (typeof json !== "string") throw new TypeError("a value that JSON cannot write cannot be sealed")
  return utf8(json)
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes))
  } catch {
    throw new SealError("malformed") // the error of JSON.parse quotes its input, which must not be logged
  }
}
