/** The message of a nudge: its address, its text, and its signed links. */

import type { Stream } from "../../../db/queries/recovery/ledger-pages.ts"
import type { PersonStream } from "../../../db/queries/recovery/persons.ts"
import type { Message } from "../../../shared/channel.ts"
import { normalizePhone } from "../../../shared/contact/address.ts"
import type { Fact, Incentive, Instant } from "../../../shared/domain/facts.ts"
import { shownBrand } from "../../../shared/domain/messaging/brand.ts"
import { shownBranding } from "../../../shared/domain/messaging/branding.ts"
import { lookOf } from "../../../shared/domain/messaging/messages/look.ts"
import { type Occasion, placeOf, renderNudge, renderTeamAlert } from "../../../shared/domain/messaging/messages.ts"
import { templateFor } from "../../../shared/domain/messaging/templates/templates.ts"
import { asAssigned, assignVariant } from "../../../shared/domain/messaging/templates/variants.ts"
import { formatMoney } from "../../../shared/domain/money.ts"
import { declineAdvice } from "../../../shared/domain/recovery/decline-codes.ts"
import { openBillsOf, totalsByCurrency } from "../../../shared/domain/recovery/nudges/conversation.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import { type CompanySettings, settingsOf } from "../../../shared/domain/settings.ts"
import {
  type CaseState,
  type CustomerState,
  failureCountOf,
  findCase,
  owedMinorOf,
  paymentOf,
  subscriptionOf,
} from "../../../shared/domain/state.ts"
import { signToken } from "../../../shared/tokens.ts"
import { accessOf } from "../../platform/credentials.ts"
import type { Services } from "../../platform/services.ts"
import { type Contact, decryptContact } from "../customers/customer-contact.ts"
import { stateOf } from "../stream-state.ts"

/** A link works longer than the playbook and the provider's retries last, and not much longer. */
const LINK_DAYS = 30

/** An unsubscribe link must work as long as somebody may still have the message. */
const UNSUBSCRIBE_DAYS = 400

/** When a message is composed, and the last part of its links: who has it may do what the links are for. */
export interface Composition {
  readonly now: Instant
  readonly token: (purpose: "link" | "unsubscribe") => Promise<string>
}

/** A message that is about to be sent. */
const toBeSent = (services: Services, stream: Stream, nudge: Nudge): Composition => ({
  now: services.now().toISOString(),
  token: (purpose) => signedToken(services, stream, nudge, purpose),
})

/**
 * The message of a nudge with its address; null when the customer has no usable address on this channel: none, a phone
 * number of an unknown country, or a text message too short for its link.
 */
export async function composeMessage(
  services: Services,
  stream: PersonStream,
  nudge: Nudge,
  incentive: Incentive | null,
  { now, token }: Composition = toBeSent(services, stream, nudge),
): Promise<Message | null> {
  const { config } = services
  const state = stateOf(stream)
  const settings = settingsOf(stream)
  const recoveryCase = findCase(state, nudge.caseId)
  if (!recoveryCase) return null
  if (nudge.channel === "slack") return teamMessage(services, stream, recoveryCase)

  const contact = await decryptContact(config.keys.encryption, stream)
  const to = addressOf(contact, stream, nudge.channel, settings)
  if (to === null) return null
  const { base, isTrusted } = await senderOf(services, stream.companyId, nudge.channel)
  // Only e-mails show it.
  const branding = nudge.channel === "email" ? shownBranding(stream.branding, isTrusted) : null
  const link = `${base}/r/${await token("link")}`
  const unsubscribeUrl = `${base}/unsubscribe/${await token("unsubscribe")}`
  const { currency } = recoveryCase
  const amountMinor = owedMinorOf(recoveryCase)
  const rendered = renderNudge({
    ...occasionOf(state, recoveryCase, { step: nudge.step, channel: nudge.channel }),
    billing: billingOf(recoveryCase),
    name: contact.name,
    money: currency === null || amountMinor === 0 ? null : { amountMinor, currency },
    bills: totalsByCurrency(openBillsOf({ state, recoveryCase, person: stream.person })),
    nextAttemptAt: paymentOf(state, recoveryCase.invoiceId)?.nextAttemptAt ?? null,
    endsAt: endOf(state, recoveryCase),
    now,
    timeZone: state.profile.timeZone,
    brandName: shownBrand({
      brandName: settings.brandName,
      companyName: stream.companyName,
      isTrusted,
      approved: stream.approvedBrands,
    }),
    supportEmail: settings.supportEmail,
    link,
    unsubscribeUrl,
    incentive,
    templates: stream.templates.map((template) => asAssigned(template, state, recoveryCase.id)),
    look: branding && lookOf(branding.branding, stream.companyId, base),
  })
  if (rendered === null) return null
  const { template, ...content } = rendered
  const sentWith = { ...(template && { template }), ...(branding && { branding: branding.version }) }
  return { to, ...content, unsubscribeUrl, replyTo: branding?.branding.replyTo ?? null, sentWith }
}

const occasionOf = (
  state: CustomerState,
  recoveryCase: CaseState,
  nudge: Pick<Occasion, "step" | "channel">,
): Occasion => ({
  ...nudge,
  caseKind: recoveryCase.kind,
  collection: recoveryCase.collection ?? "automatic",
  ask: askOf(recoveryCase),
  isLeaving: (subscriptionOf(state, recoveryCase.subscriptionId)?.cancelAt ?? null) !== null,
  locale: state.profile.locale,
})

/** The assignment to a variant that must be recorded before this nudge is sent; none where no comparison is under way. */
export function variantFacts(stream: PersonStream, { caseId, channel, step }: Nudge, now: Instant): readonly Fact[] {
  const state = stateOf(stream)
  const recoveryCase = findCase(state, caseId)
  if (!recoveryCase || channel === "slack") return []
  const template = templateFor(stream.templates, placeOf(occasionOf(state, recoveryCase, { step, channel })))
  const { companyId } = stream
  const assigned = template && assignVariant(state, recoveryCase, template, { companyId, now })
  return assigned === null ? [] : [assigned]
}

/** Where the links of a message lead, and whether the company's name and branding need no approval. */
async function senderOf(services: Services, companyId: string, channel: Exclude<Nudge["channel"], "slack">) {
  const { own } = await accessOf(services, companyId)
  const domain = own["link-domain"]?.domain
  const isOwnSender = { email: own.sendgrid, sms: own.twilio, push: own.whop, dm: own.whop }[channel] !== undefined
  const isTrusted = isOwnSender || companyId === services.config.access.defaultCompanyId
  return { base: domain === undefined ? services.config.appUrl : `https://${domain}`, isTrusted }
}

/** Whether the contact has no address on this channel. An unusable one counts as an address: waiting does not help. */
export async function hasNoAddress({ config }: Services, stream: Stream, channel: Nudge["channel"]): Promise<boolean> {
  if (channel !== "email" && channel !== "sms") return false
  const contact = await decryptContact(config.keys.encryption, stream)
  return (channel === "email" ? contact.email : contact.phone) === null
}

/** Whether the invoice belongs to a subscription: as the provider stated, else by whether it names one. */
const billingOf = ({ billing, kind, subscriptionId }: CaseState) =>
  billing ?? (kind === "payment" && subscriptionId === null ? "one_off" : "subscription")

/** When a canceled subscription ends; null: not known. */
const endOf = (state: CustomerState, { kind, subscriptionId }: CaseState): Instant | null =>
  kind === "cancellation" ? (subscriptionOf(state, subscriptionId)?.cancelAt ?? null) : null

/** What to ask for, by the decline code, or authentication where the bank requires it. */
function askOf(recoveryCase: CaseState) {
  if (recoveryCase.kind !== "payment") return null
  if (recoveryCase.needsAuthentication && recoveryCase.declineCode === null) return "authenticate"
  const { ask } = declineAdvice(recoveryCase.declineCode)
  return ask === "silent" ? null : ask
}

function addressOf(
  contact: Contact,
  stream: Stream,
  channel: Exclude<Nudge["channel"], "slack">,
  { country }: CompanySettings,
): string | null {
  switch (channel) {
    case "email":
      return contact.email
    case "sms":
      return contact.phone === null ? null : normalizePhone(contact.phone, [contact.country, country])
    case "push":
    case "dm":
      return stream.customer.providerCustomerId
  }
}

const DAYS = { link: LINK_DAYS, unsubscribe: UNSUBSCRIBE_DAYS } as const

/** The last part of a link of a message to this customer. */
export const signedToken = (
  { config, now }: Services,
  { companyId, customer }: Stream,
  nudge: Nudge,
  purpose: keyof typeof DAYS,
): Promise<string> =>
  signToken(config.keys.tokenSigning, {
    purpose,
    companyId,
    customerId: customer.id,
    caseId: nudge.caseId,
    nudgeId: nudge.id,
    expiresAtSeconds: Math.floor(now().getTime() / 1000) + DAYS[purpose] * 86_400,
  })

/** The alert to the team, with a link to the case in the dashboard. */
function teamMessage({ config }: Services, { companyId, companyName }: Stream, recoveryCase: CaseState): Message {
  const { id, kind, amountMinor, currency, declineCode } = recoveryCase
  const amount = currency === null ? "" : formatMoney({ amountMinor, currency }, "en")
  const rendered = renderTeamAlert({
    severity: "P3",
    state: "firing",
    title: `${companyName}: recovery case open: ${kind} ${amount}`.trim(),
    lines: [
      `company ${companyName} (${companyId})`,
      `case ${id}`,
      `failed ${failureCountOf(recoveryCase)} times`,
      `code ${declineCode ?? "none"}`,
    ],
    link: `${config.appUrl}/dashboard/cases/${encodeURIComponent(id)}`,
  })
  return { to: "", ...rendered, unsubscribeUrl: null }
}
