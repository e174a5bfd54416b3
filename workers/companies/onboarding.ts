/** The checklist of a company's set-up, read from the database and the switches. */
import { readOnboarding, recordOnboardingStep } from "../../db/queries/companies/companies.ts"
import { type ChecklistEntry, checklist, type RecordedStep } from "../../shared/domain/companies/onboarding.ts"
import { accessOf } from "../platform/credentials.ts"
import type { Services } from "../platform/services.ts"
import { isEnabledFor, PROCESSING_SWITCH, SCHEDULER_SWITCH } from "../platform/switches.ts"

/** All items, done or not. */
export async function checklistOf(services: Services, companyId: string): Promise<readonly ChecklistEntry[]> {
  const [{ firstDeliveries, steps }, flags, access, { email }] = await Promise.all([
    readOnboarding(services.db, companyId),
    services.flags({ isFreshNeeded: true }),
    accessOf(services, companyId),
    services.channelsFor(companyId),
  ])
  const sender = access.own.sendgrid ? "own" : email.isConfigured ? "deployment" : "none"
  return checklist({
    companyId,
    firstDeliveries: firstDeliveries.map(({ provider, at }) => ({ provider, at: at.toISOString() })),
    steps: steps.map(({ step, at }) => ({ step, at: at.toISOString() })),
    sender,
    isProcessing: isEnabledFor(flags, PROCESSING_SWITCH, companyId),
    isSending: isEnabledFor(flags, SCHEDULER_SWITCH, companyId),
  })
}

/** Records that a step is done; the first time counts. */
export const recordStep = (
  { db, now }: Services,
  { companyId, step, by }: { readonly companyId: string; readonly step: RecordedStep; readonly by: string },
): Promise<void> => recordOnboardingStep(db, { companyId, step, at: now(), who: by })
