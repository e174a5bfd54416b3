/** A company as its members see it: its name, its support address and its branding. */
import type { BrandingRow } from "../../db/queries/messaging/branding.ts"
import { readBrand } from "../../db/queries/messaging/brands.ts"
import { shownBrand } from "../../shared/domain/messaging/brand.ts"
import { type StoredBranding, shownBranding } from "../../shared/domain/messaging/branding.ts"
import { type Look, lookOf } from "../../shared/domain/messaging/messages/look.ts"
import { type CompanySettings, settingsOf } from "../../shared/domain/settings.ts"
import { isTrustedSender } from "./credentials.ts"
import type { Services } from "./services.ts"

export interface ShownCompany {
  readonly brandName: string
  readonly settings: CompanySettings
  /** The branding that members see; null: none. */
  readonly shown: BrandingRow | null
  readonly stored: StoredBranding<BrandingRow>
  readonly isTrusted: boolean
}

/** The company; null: there is none with that id. One round trip, or two when its credentials are not in the cache. */
export async function shownCompany(
  services: Pick<Services, "config" | "db" | "now">,
  companyId: string,
): Promise<ShownCompany | null> {
  const [brand, isTrusted] = await Promise.all([
    readBrand(services.db, companyId),
    isTrustedSender(services, companyId),
  ])
  if (brand === null) return null
  const settings = settingsOf(brand)
  return {
    brandName: shownBrand({ ...brand, brandName: settings.brandName, isTrusted }),
    settings,
    shown: shownBranding(brand.branding, isTrusted),
    stored: brand.branding,
    isTrusted,
  }
}

/** The look of the branding that members see; null: the company has none. */
export const lookOfShown = ({ shown }: ShownCompany, base: string): Look | null =>
  shown && lookOf(shown.branding, shown.companyId, base)
