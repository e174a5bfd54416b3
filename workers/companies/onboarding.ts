/** The checklist of a company's set-up, read from the database and the switches. */
import { readOnboarding } from "../../db/queries/companies/companies.ts"
import { readCredentials } from "../../db/queries/platform/credentials.ts"
import { type ChecklistEntry, checklist, type Sender } from "../../shared/domain/companies/onboarding.ts"
import { type StoredBranding, shownBranding } from "../../shared/domain/messaging/branding.ts"
import { isTrustedSender } from "../platform/credentials.ts"
import type { Services } from "../platform/services.ts"
import { isEnabledFor, PROCESSING_SWITCH, SCHEDULER_SWITCH } from "../platform/switches.ts"

/** All items, done or not. */
export async function checklistOf(services: Services, companyId: string): Promise<readonly ChecklistEntry[]> {
  const [{ firstDeliveries, steps, branding }, flags, sender, isTrusted] = await Promise.all([
    readOnboarding(services.db, companyId),
    services.flags({ isFreshNeeded: true }),
    senderOf(services, companyId),
    isTrustedSender(services, companyId),
  ])
  return checklist({
    companyId,
    firstDeliveries: firstDeliveries.map(({ provider, at }) => ({ provider, at: at.toISOString() })),
    steps: steps.map(({ step, at }) => ({ step, at: at.toISOString() })),
    sender,
    postalAddress: postalAddressIn(branding, isTrusted),
    isProcessing: isEnabledFor(flags, PROCESSING_SWITCH, companyId),
    isSending: isEnabledFor(flags, SCHEDULER_SWITCH, companyId),
  })
}

function postalAddressIn(branding: StoredBranding, isTrusted: boolean): "shown" | "waiting" | "none" {
  if ((shownBranding(branding, isTrusted)?.branding.postalAddress ?? null) !== null) return "shown"
  return (branding.newest?.branding.postalAddress ?? null) === null ? "none" : "waiting"
}

async function senderOf({ channels, db }: Services, companyId: string): Promise<Sender> {
  const { rows, sharedKinds } = await readCredentials(db, companyId)
  const own = rows.find(({ kind }) => kind === "sendgrid")
  if (own) return { kind: "own", verifiedAt: own.checkResult === "ok" ? (own.checkedAt?.toISOString() ?? null) : null }
  return { kind: channels.email.isConfigured && sharedKinds.includes("sendgrid") ? "deployment" : "none" }
}
