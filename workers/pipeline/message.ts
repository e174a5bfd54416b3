/** Puts a nudge into words: who it is for, what is owed, and the signed links that lead back to us. */
import type { PersonStream } from "../../db/queries/addresses.ts"
import type { Stream } from "../../db/queries/stream.ts"
import { billsOf, totalOf } from "../../shared/domain/contact-policy.ts"
import { declineAdvice } from "../../shared/domain/decline-codes.ts"
import type { Incentive } from "../../shared/domain/facts.ts"
import { firstNameOf, renderNudge, renderTeamAlert } from "../../shared/domain/messages.ts"
import { formatMoney } from "../../shared/domain/money.ts"
import type { Nudge } from "../../shared/domain/nudges.ts"
import {
  type CaseState,
  type CustomerState,
  failureCountOf,
  findCase,
  owedMinorOf,
  subscriptionOf,
} from "../../shared/domain/state.ts"
import { signToken } from "../../shared/tokens.ts"
import type { Message } from "../channels/channel.ts"
import type { Services } from "../services.ts"
import { settingsOf, stateOf } from "./advance.ts"
import { type Contact, openContact } from "./contact.ts"

/** A card link outlives the playbook and the provider's own tries, and not much more. */
const LINK_DAYS = 30

/** An end within so long may be said to be near. */
const SOON_MS = 7 * 86_400_000

/** A wish to be left alone must work for as long as somebody may still have the message. */
const UNSUBSCRIBE_DAYS = 400

/** The message of a nudge with its address; null when the customer has no address on this channel. */
export async function composeMessage(
  services: Services,
  stream: PersonStream,
  nudge: Nudge,
  incentive: Incentive | null,
): Promise<Message | null> {
  const { config } = services
  const state = stateOf(stream)
  const settings = settingsOf(stream)
  const recoveryCase = findCase(state, nudge.caseId)
  if (!recoveryCase) return null
  if (nudge.channel === "slack") return teamMessage(recoveryCase)

  const contact = await openContact(config.keys.encryption, stream)
  const to = addressOf(contact, stream, nudge.channel)
  if (to === null) return null
  const link = `${config.appUrl}/r/${await token(services, stream, nudge, "link", LINK_DAYS)}`
  const unsubscribeUrl = `${config.appUrl}/unsubscribe/${await token(services, stream, nudge, "unsubscribe", UNSUBSCRIBE_DAYS)}`
  const { currency } = recoveryCase
  const amountMinor = owedMinorOf(recoveryCase)
  const endsAtMs = endOf(state, recoveryCase)
  const rendered = renderNudge({
    channel: nudge.channel,
    caseKind: recoveryCase.kind,
    step: nudge.step,
    ask: askOf(recoveryCase),
    firstName: firstNameOf(contact.name),
    money: currency === null || amountMinor === 0 ? null : { amountMinor, currency },
    bills: totalOf(billsOf({ state, recoveryCase, person: stream.person })),
    endsSoon: endsAtMs === null ? null : endsAtMs - services.now().getTime() <= SOON_MS,
    isLeaving: endsAtMs !== null,
    locale: state.profile.locale,
    brandName: settings.brandName ?? stream.companyName,
    supportEmail: settings.supportEmail,
    link,
    unsubscribeUrl,
    incentive,
  })
  return { to, ...rendered, unsubscribeUrl }
}

/** Whether the contact has no address on this channel. */
export async function lacksAddress({ config }: Services, stream: Stream, channel: Nudge["channel"]): Promise<boolean> {
  if (channel !== "email" && channel !== "sms") return false
  return addressOf(await openContact(config.keys.encryption, stream), stream, channel) === null
}

/** When the subscription of the case ends as announced; null where no end was announced. */
const endOf = (state: CustomerState, { subscriptionId }: CaseState): number | null => {
  const cancelAt = subscriptionOf(state, subscriptionId)?.cancelAt ?? null
  return cancelAt === null ? null : Date.parse(cancelAt)
}

/** What to ask for: what the decline code says, or to authenticate where the bank asked for it. */
function askOf(recoveryCase: CaseState) {
  if (recoveryCase.kind !== "payment") return null
  if (recoveryCase.needsAuthentication && recoveryCase.declineCode === null) return "authenticate"
  const { ask } = declineAdvice(recoveryCase.declineCode)
  return ask === "silent" ? null : ask
}

function addressOf(contact: Contact, stream: Stream, channel: Exclude<Nudge["channel"], "slack">): string | null {
  switch (channel) {
    case "email":
      return contact.email
    case "sms":
      return contact.phone
    case "push":
    case "dm":
      return stream.customer.providerCustomerId
  }
}

const token = (
  { config, now }: Services,
  { companyId, customer }: Stream,
  nudge: Nudge,
  purpose: "link" | "unsubscribe",
  days: number,
): Promise<string> =>
  signToken(config.keys.tokenSigning, {
    purpose,
    companyId,
    customerId: customer.id,
    caseId: nudge.caseId,
    nudgeId: nudge.id,
    expiresAtSeconds: Math.floor(now().getTime() / 1000) + days * 86_400,
  })

function teamMessage(recoveryCase: CaseState): Message {
  const { id, kind, amountMinor, currency, declineCode } = recoveryCase
  const amount = currency === null ? "" : formatMoney({ amountMinor, currency }, "en")
  const rendered = renderTeamAlert({
    severity: "P3",
    state: "firing",
    title: `Recovery case open: ${kind} ${amount}`.trim(),
    lines: [`case ${id}`, `failed ${failureCountOf(recoveryCase)} times`, `code ${declineCode ?? "none"}`],
    link: null,
  })
  return { to: "", ...rendered, unsubscribeUrl: null }
}
