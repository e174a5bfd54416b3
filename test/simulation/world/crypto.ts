/**
 * The operations of WebCrypto that the Worker uses most, on this thread with the same OpenSSL: a schedule has two hundred, and
 * passing each to another thread costs many times the operation. Other operations use WebCrypto.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, timingSafeEqual } from "node:crypto"

/** A key; the Worker only passes keys on. */
class Key {
  readonly algorithm: string
  readonly bytes: Buffer
  constructor(algorithm: string, bytes: Buffer) {
    this.algorithm = algorithm
    this.bytes = bytes
  }
}

const TAG_BYTES = 16

/** The synchronous operation; null: not one of those. Rejects like WebCrypto. */
export function synchronousCrypto(name: string, args: readonly unknown[]): (() => Promise<unknown>) | null {
  const result = operationFor(name, args)
  return result === null ? null : async () => result()
}

function operationFor(name: string, args: readonly unknown[]): (() => unknown) | null {
  const [first, second, third, fourth] = args
  switch (name) {
    case "digest":
      return nameOf(first) === "SHA-256" ? () => buffer(createHash("sha256").update(bytesOf(second)).digest()) : null
    case "importKey": {
      const algorithm = nameOf(third)
      const isOurs = first === "raw" && ["HMAC", "HKDF", "AES-GCM"].includes(algorithm) && isSha256(third)
      return isOurs ? () => keyOf(algorithm, Buffer.from(bytesOf(second))) : null
    }
    case "sign":
      return second instanceof Key ? () => buffer(hmac(second, third)) : null
    case "verify":
      return second instanceof Key ? () => areEqual(hmac(second, fourth), bytesOf(third)) : null
    case "deriveKey":
      return second instanceof Key && nameOf(first) === "HKDF" ? () => derived(first, second, third) : null
    case "encrypt":
      return second instanceof Key && nameOf(first) === "AES-GCM" ? () => buffer(sealed(first, second, third)) : null
    case "decrypt":
      return second instanceof Key && nameOf(first) === "AES-GCM" ? () => buffer(opened(first, second, third)) : null
    default:
      return null
  }
}

function keyOf(algorithm: string, bytes: Buffer): Key {
  if (algorithm === "HMAC" && bytes.length === 0)
    throw new DOMException("Zero-length key is not supported", "DataError")
  return new Key(algorithm, bytes)
}

const hmac = ({ bytes }: Key, content: unknown): Buffer => createHmac("sha256", bytes).update(bytesOf(content)).digest()

const areEqual = (one: Uint8Array, other: Uint8Array): boolean =>
  one.byteLength === other.byteLength && timingSafeEqual(one, other)

function derived(algorithm: unknown, { bytes }: Key, wanted: unknown): Key {
  const { salt, info } = fieldsOf(algorithm)
  const { length, name } = fieldsOf(wanted)
  // An HMAC key without a length is as long as the block of its hash (W3C WebCrypto, 31.6.3).
  const bits = typeof length === "number" ? length : name === "HMAC" ? 512 : 256
  return new Key(String(name), Buffer.from(hkdfSync("sha256", bytes, bytesOf(salt), bytesOf(info), bits / 8)))
}

function sealed(algorithm: unknown, { bytes }: Key, content: unknown): Buffer {
  const { iv, additionalData } = fieldsOf(algorithm)
  const cipher = createCipheriv("aes-256-gcm", bytes, bytesOf(iv))
  if (additionalData !== undefined) cipher.setAAD(bytesOf(additionalData))
  return Buffer.concat([cipher.update(bytesOf(content)), cipher.final(), cipher.getAuthTag()])
}

function opened(algorithm: unknown, { bytes }: Key, content: unknown): Buffer {
  const { iv, additionalData } = fieldsOf(algorithm)
  const all = bytesOf(content)
  try {
    const decipher = createDecipheriv("aes-256-gcm", bytes, bytesOf(iv), { authTagLength: TAG_BYTES })
    if (additionalData !== undefined) decipher.setAAD(bytesOf(additionalData))
    decipher.setAuthTag(all.subarray(all.byteLength - TAG_BYTES))
    return Buffer.concat([decipher.update(all.subarray(0, all.byteLength - TAG_BYTES)), decipher.final()])
  } catch (cause) {
    throw Object.assign(new DOMException("The operation failed for an operation-specific reason", "OperationError"), {
      cause,
    })
  }
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> => ({ ...(value as object) })
const nameOf = (algorithm: unknown): string =>
  typeof algorithm === "string" ? algorithm : String(fieldsOf(algorithm).name)

function isSha256(algorithm: unknown): boolean {
  const { hash } = fieldsOf(algorithm)
  return typeof algorithm === "string" || hash === undefined || nameOf(hash) === "SHA-256"
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  throw new TypeError("neither a buffer nor a view of one")
}

/** A separate buffer, as WebCrypto returns. */
const buffer = (bytes: Buffer): ArrayBuffer => new Uint8Array(bytes).buffer
