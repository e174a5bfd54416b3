/**
 * The blind indexes of names: one for each word of a name, so that a customer is found by any of them. Every word has an
 * index under each version of the key ring, as addresses have.
 */
import type { KeyRing } from "../crypto/key-ring.ts"
import { blindIndex } from "./blind-index.ts"

/** Words of a name that are indexed; names of people are shorter. */
const WORDS_MAX = 6

/**
 * The words of a name in a form that is equal for all spellings: without marks, case and punctuation, each once. "José
 * O'Neill-Groß" has the words "jose", "oneill" and "gross".
 */
export function nameWords(name: string): readonly string[] {
  const folded = name
    .normalize("NFKD")
    .replaceAll(/\p{M}|['’]/gu, "")
    // Upper case first: "ß" becomes "ss" only there.
    .toUpperCase()
    .toLowerCase()
  return [...new Set(folded.match(/[\p{L}\p{N}]+/gu))].slice(0, WORDS_MAX)
}

/** For each word of a name, its indexes under all versions of the key, in a fixed order. */
export const wordIndexes = (keys: KeyRing, companyId: string, name: string): Promise<readonly (readonly string[])[]> =>
  Promise.all(
    nameWords(name).map((word) =>
      Promise.all(keys.versions.map((version) => blindIndex(keys, "name-index", companyId, version, [word]))),
    ),
  )

/** All indexes of a name; none for null. */
export const nameIndexes = async (keys: KeyRing, companyId: string, name: string | null): Promise<readonly string[]> =>
  name === null ? [] : (await wordIndexes(keys, companyId, name)).flat()
