/** The address of a person: sealed in the row, and found by its blind index. */
import type { PersonRow } from "../../db/queries/companies/people.ts"
import { addressIndexes } from "../../shared/contact/address-index.ts"
import { fromUtf8, utf8 } from "../../shared/crypto/bytes.ts"
import type { KeyRing } from "../../shared/crypto/key-ring.ts"
import { open, type SealContext, seal } from "../../shared/crypto/seal.ts"

/** In place of a company: whoever signs in names an address only. No company has this id. */
const ALL_COMPANIES = "(people)"

const place = (companyId: string, id: string): SealContext => ({
  purpose: { name: "person" },
  context: ["people", "address", id, companyId],
})

/** The address, sealed for the row of this person. */
export const sealAddress = (keys: KeyRing, companyId: string, id: string, address: string): Promise<Uint8Array> =>
  seal(keys, place(companyId, id), utf8(address))

/** The address of a person; null when the person was removed. Throws `SealError`. */
export async function addressOf(
  keys: KeyRing,
  { companyId, id, address }: Pick<PersonRow, "companyId" | "id" | "address">,
): Promise<string | null> {
  return address === null ? null : fromUtf8(await open(keys, place(companyId, id), address))
}

/** The indexes of an address; empty when the text is no address. */
export const indexesOf = async (keys: KeyRing, email: string): Promise<readonly string[]> =>
  (await addressIndexes(keys, ALL_COMPANIES, { email, phone: null })).map(({ index }) => index)
