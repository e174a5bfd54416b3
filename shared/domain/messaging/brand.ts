/**
 * Which name a company's messages bear. They leave from the deployment's own sender, so a company could pass for another
 * one by its settings: a name that it chose is shown once an operator has approved exactly this name.
 */

export interface BrandInput {
  /** What the company's settings say; null: nothing. */
  readonly brandName: string | null
  /** What the operator called the company when it was added. */
  readonly companyName: string
  /** The deployment's default company: whoever configures it is the operator. */
  readonly isDefaultCompany: boolean
  /** Names that an operator has approved for this company, as `normalizeBrand` writes them, the latest first. */
  readonly approved: readonly string[]
}

/**
 * A name as approvals compare it: composed characters, single spaces. Upper and lower case differ, since "PayPaI" with a
 * capital I is another name to who reads it.
 */
export const normalizeBrand = (name: string): string => name.normalize("NFC").replaceAll(/\s+/gu, " ").trim()

/** Whether the name in the settings waits for an approval. */
export function awaitsApproval({ brandName, companyName, isDefaultCompany, approved }: BrandInput): boolean {
  if (brandName === null || isDefaultCompany) return false
  const name = normalizeBrand(brandName)
  return name !== normalizeBrand(companyName) && !approved.includes(name)
}

/** The name that members read: the company's own, or while that waits the one approved last, else the operator's name for it. */
export function shownBrand(input: BrandInput): string {
  const { brandName, companyName, isDefaultCompany, approved } = input
  if (awaitsApproval(input)) return approved[0] ?? companyName
  if (brandName === null) return companyName
  return isDefaultCompany ? brandName : normalizeBrand(brandName)
}
