/** Text that goes where not every text may: keys in headers of other services, and names that may be somebody's address. */
import { utf8 } from "./bytes.ts"

/** Fits every service's limit for keys (255) with room for a suffix of theirs or ours. */
const KEY_LENGTH_MAX = 200

const hexOf = async (text: string): Promise<string> => {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(text)))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")
}

/**
 * The key as other services take it. Made of ids as they are today it stays as it is; one with other characters, as ids of
 * long ago have them, or of more than 200, is replaced by its hash, which also keeps an address within it from going out.
 */
export const safeKey = async (text: string): Promise<string> =>
  text.length <= KEY_LENGTH_MAX && /^[A-Za-z0-9_.:-]+$/.test(text) ? text : `key-${await hexOf(text)}`

/** An `@` between two characters, also when it is percent-encoded. */
const ADDRESS = /[^\s@](?:@|%40)[^\s@]/i

/**
 * The name as it may be stored and logged: one that looks like an e-mail address is replaced by its hash, the same for the
 * same address, so that what is told twice is still known.
 */
export const withHashedAddress = async (name: string): Promise<string> =>
  ADDRESS.test(name) ? `hashed_${(await hexOf(name.toLowerCase())).slice(0, 40)}` : name
