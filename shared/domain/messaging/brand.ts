/**
 * The brand name in a company's messages. From the deployment's own sender a company could impersonate another one by its
 * settings: there a chosen name is shown after an operator has approved exactly this name.
 */

export interface BrandInput {
  /** The name in the company's settings; null: none. */
  readonly brandName: string | null
  /** The name that the operator gave the company when adding it. */
  readonly companyName: string
  /** The default company, which the operator configures, or a message from the company's own sender. */
  readonly isTrusted: boolean
  /** Names that an operator has approved for this company, normalized by `normalizeBrand`, the latest first. */
  readonly approved: readonly string[]
}

/**
 * A name as it is compared with approvals: composed characters, single spaces. The case matters, because "PayPaI" with a
 * capital I looks like another name.
 */
export const normalizeBrand = (name: string): string => name.normalize("NFC").replaceAll(/\s+/gu, " ").trim()

/** Whether the name in the settings needs an approval. */
export function awaitsApproval({ brandName, companyName, isTrusted, approved }: BrandInput): boolean {
  if (brandName === null || isTrusted) return false
  const name = normalizeBrand(brandName)
  return name !== normalizeBrand(companyName) && !approved.includes(name)
}

/** The name that members see: the chosen one, or until it is approved the last approved one, else the operator's name. */
export function shownBrand(input: BrandInput): string {
  const { brandName, companyName, isTrusted, approved } = input
  if (awaitsApproval(input)) return approved[0] ?? companyName
  if (brandName === null) return companyName
  return isTrusted ? brandName : normalizeBrand(brandName)
}
