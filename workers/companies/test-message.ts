/** The first message of a failed payment, with an invented member, sent to one of the company's own people. */

import { type Company, recordOnboardingStep } from "../../db/queries/companies/companies.ts"
import { readPerson } from "../../db/queries/companies/people.ts"
import { FIRST_MESSAGE_SENT } from "../../shared/domain/companies/onboarding.ts"
import { EXAMPLE } from "../../shared/domain/messaging/example.ts"
import { renderNudge } from "../../shared/domain/messaging/messages.ts"
import { AppError } from "../platform/errors.ts"
import type { Services } from "../platform/services.ts"
import { lookOfShown, shownCompany } from "../platform/shown-company.ts"
import { addressOf } from "./people.ts"

/**
 * Sends the message and records the step of the set-up. Returns what was sent. Throws NOT_FOUND for somebody who is not a
 * person of the company: the message goes to nobody else. CONFLICT when there is no sender or it refuses.
 */
export async function sendTestMessage(
  services: Services,
  { company, personId, by }: { readonly company: Company; readonly personId: string; readonly by: string },
): Promise<{ readonly subject: string; readonly text: string }> {
  const { config, db, log, newId, now } = services
  const [person, shown] = await Promise.all([readPerson(db, company.id, personId), shownCompany(services, company.id)])
  const to = person && (await addressOf(config.keys.encryption, person))
  if (!to || shown === null) throw new AppError("NOT_FOUND", "There is no such person in the company.")
  const { brandName, settings } = shown
  const rendered = renderNudge({
    ...{ ...EXAMPLE, channel: "email", caseKind: "payment", ask: "update_card" },
    step: settings.playbooks.payment[0]?.day ?? 0,
    now: now().toISOString(),
    brandName,
    supportEmail: settings.supportEmail,
    link: `${config.appUrl}/`,
    unsubscribeUrl: null,
    look: lookOfShown(shown, config.appUrl),
  })
  if (rendered === null) throw new Error("an e-mail is never too short for its link")
  const { email } = await services.channelsFor(company.id)
  const { subject, text, html } = rendered
  const replyTo = shown.shown?.branding.replyTo ?? null
  const message = { to, subject, text, html, unsubscribeUrl: null, replyTo }
  const sent = await email.send(message, { idempotencyKey: newId() })
  if (sent.kind !== "sent") {
    throw new AppError("CONFLICT", "The message was not sent; the log has the sender's reason.", {
      reason: sent.reason,
    })
  }
  await recordOnboardingStep(db, { companyId: company.id, step: FIRST_MESSAGE_SENT, at: now(), who: by })
  log.info("test_message_sent", { companyId: company.id, keyId: by })
  return { subject, text }
}
