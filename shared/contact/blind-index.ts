/**
 * The blind index of a text: equal for equal texts of a company, and meaningless without the key. It tells who reads the
 * database which rows are equal, and nothing else.
 */
import { encodeList, toHex } from "../crypto/bytes.ts"
import type { KeyRing } from "../crypto/key-ring.ts"

/** What is indexed: each has keys of its own. */
type Indexed = "address-index" | "name-index"

/** HMAC-SHA256 in hexadecimal digits, behind the version of the key in two bytes. */
export async function blindIndex(
  keys: KeyRing,
  indexed: Indexed,
  companyId: string,
  version: number,
  text: readonly string[],
): Promise<string> {
  const key = await keys.derive(version, "sign", [indexed, companyId])
  if (key === null) throw new Error(`the key ring has no version ${version}`)
  const mac = await crypto.subtle.sign("HMAC", key, encodeList(text))
  return version.toString(16).padStart(4, "0") + toHex(new Uint8Array(mac))
}
