/** Replaces text by its hash where it is not allowed: keys in headers of other services, names that may be an address. */
import { sha256, toHex, utf8 } from "./bytes.ts"

/** Fits every service's limit for keys (255) with room for a suffix of theirs or ours. */
const KEY_LENGTH_MAX = 200

const hashOf = async (text: string): Promise<string> => toHex(await sha256(utf8(text)))

/**
 * The key in a form that other services accept. A key of current ids is unchanged; one with other characters (as old ids
 * have them) or more than 200 of them is replaced by its hash, so that an address in it is not sent either.
 */
export const safeKey = async (text: string): Promise<string> =>
  text.length <= KEY_LENGTH_MAX && /^[A-Za-z0-9_.:-]+$/.test(text) ? text : `key-${await hashOf(text)}`

/** An `@` between two characters, also when it is percent-encoded. */
const ADDRESS = /[^\s@](?:@|%40)[^\s@]/i

/**
 * The name as it may be stored and logged: one that looks like an e-mail address is replaced by its hash, the same for the
 * same address, so that duplicates are still found.
 */
export const withHashedAddress = async (name: string): Promise<string> =>
  ADDRESS.test(name) ? `hashed_${(await hashOf(name.toLowerCase())).slice(0, 40)}` : name
