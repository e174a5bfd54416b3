/** The first message of a failed payment, with an invented member, sent to one of the company's own people. */

import { type Company, recordOnboardingStep } from "../../db/queries/companies/companies.ts"
import { readPerson } from "../../db/queries/companies/people.ts"
import { readBrand } from "../../db/queries/messaging/brands.ts"
import { FIRST_MESSAGE_SENT } from "../../shared/domain/companies/onboarding.ts"
import { shownBrand } from "../../shared/domain/messaging/brand.ts"
import { renderNudge } from "../../shared/domain/messaging/messages.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { hasOwnSender } from "../platform/credentials.ts"
import { AppError } from "../platform/errors.ts"
import type { Services } from "../platform/services.ts"
import { addressOf } from "./people.ts"

/** Example data instead of a real member's. */
const INVENTED = {
  channel: "email",
  caseKind: "payment",
  billing: "subscription",
  collection: "automatic",
  ask: "update_card",
  name: "Ada Example",
  money: { amountMinor: 1999, currency: "usd" },
  bills: null,
  nextAttemptAt: null,
  endsAt: null,
  isLeaving: false,
  locale: "en",
  timeZone: null,
  incentive: null,
} as const

/**
 * Sends the message and records the step of the set-up. Returns what was sent. Throws NOT_FOUND for somebody who is not a
 * person of the company: the message goes to nobody else. CONFLICT when there is no sender or it refuses.
 */
export async function sendTestMessage(
  services: Services,
  { company, personId, by }: { readonly company: Company; readonly personId: string; readonly by: string },
): Promise<{ readonly subject: string; readonly text: string }> {
  const { config, db, log, newId, now } = services
  const [person, brand] = await Promise.all([readPerson(db, company.id, personId), readBrand(db, company.id)])
  const to = person && (await addressOf(config.keys.encryption, person))
  if (!to || brand === null) throw new AppError("NOT_FOUND", "There is no such person in the company.")
  const settings = settingsOf(brand)
  const isTrusted = company.id === config.access.defaultCompanyId || (await hasOwnSender(services, company.id))
  const rendered = renderNudge({
    ...INVENTED,
    step: settings.playbooks.payment[0]?.day ?? 0,
    now: now().toISOString(),
    brandName: shownBrand({ ...brand, brandName: settings.brandName, isTrusted }),
    supportEmail: settings.supportEmail,
    link: `${config.appUrl}/`,
    unsubscribeUrl: null,
  })
  if (rendered === null) throw new Error("an e-mail is never too short for its link")
  const { email } = await services.channelsFor(company.id)
  const sent = await email.send({ to, ...rendered, unsubscribeUrl: null }, { idempotencyKey: newId() })
  if (sent.kind !== "sent") {
    throw new AppError("CONFLICT", "The message was not sent; the log has the sender's reason.", {
      reason: sent.reason,
    })
  }
  await recordOnboardingStep(db, { companyId: company.id, step: FIRST_MESSAGE_SENT, at: now(), who: by })
  log.info("test_message_sent", { companyId: company.id, keyId: by })
  return { subject: rendered.subject, text: rendered.text }
}
