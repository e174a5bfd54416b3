/**
 * The messages of a case as they were read. Their text is not kept: what was known when a message was sent, with the words and the
 * branding that it was sent with, gives the same text again. Links are left out: opening one counts as the member's click.
 */
import { type CaseMessages, readCaseMessages } from "../../../db/queries/recovery/case-messages.ts"
import type { PersonStream } from "../../../db/queries/recovery/persons.ts"
import type { Fact, Incentive, Instant, TemplateRef } from "../../../shared/domain/facts.ts"
import { mayHaveBeenDelivered, type Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import type { Services } from "../../platform/services.ts"
import { composeMessage, signedToken } from "./compose-message.ts"

/** What ends a link, in place of a token of the same length: a text message drops what does not fit beside its link. */
const NO_TOKEN = /(?<=\/)x{40,}/g
const withoutTokens = (text: string): string => text.replaceAll(NO_TOKEN, "…")

/** A case has a few; each is composed from a state of its own. */
const MESSAGES_MAX = 20

/** The text of a nudge. */
export interface ReadMessage {
  readonly nudge: Nudge
  /** As of when it is composed: when it was sent, or now. */
  readonly asOf: Instant
  /** Null: the customer has no address on its channel. */
  readonly content: { readonly subject: string; readonly text: string } | null
  /** The company's own words that it was sent with; null: the shipped ones. */
  readonly template: TemplateRef | null
}

type SentFact = Extract<Fact, { readonly kind: "nudge_sent" }>

/**
 * The messages of a case that were sent or are planned, by due time, the latest twenty. A planned one is as it would be sent now, and so is
 * one whose customer has more facts than a page. Null when the company has no such case. One round trip.
 */
export async function readMessages(
  services: Services,
  companyId: string,
  caseId: string,
): Promise<readonly ReadMessage[] | null> {
  const found = await readCaseMessages(services.db, companyId, caseId, services.now())
  if (found === null) return null
  const now = services.now().toISOString()
  const shown = found.reading.nudges
    .filter((nudge) => nudge.caseId === caseId && (nudge.status === "planned" || mayHaveBeenDelivered(nudge)))
    .sort((a, b) => a.dueAt.localeCompare(b.dueAt))
    .slice(-MESSAGES_MAX)
  return Promise.all(shown.map((nudge) => readMessage(services, found, nudge, now)))
}

async function readMessage(services: Services, found: CaseMessages, nudge: Nudge, now: Instant): Promise<ReadMessage> {
  const { reading, factsKnownAt } = found
  const sent = reading.facts.findLast(
    (fact): fact is SentFact => fact.kind === "nudge_sent" && fact.nudgeId === nudge.id,
  )
  const isThen = nudge.sentAt !== null && factsKnownAt !== null
  const asOf = isThen ? nudge.sentAt : now
  // With more than one page of facts, the state is the stored one.
  const isWhole = factsKnownAt !== null
  const facts = factsKnownAt === null ? [] : factsKnownAt(asOf)
  const stream: PersonStream = {
    ...reading,
    ...(isThen && wordsOf(found, sent)),
    ...{ facts, next: null, earlier: null, isWhole },
  }
  const composed = await composeMessage(services, stream, nudge, incentiveOf(facts, nudge), {
    now: asOf,
    token: async (purpose) => "x".repeat((await signedToken(services, stream, nudge, purpose)).length),
  })
  return {
    nudge,
    asOf,
    content: composed && { subject: composed.subject, text: withoutTokens(composed.text) },
    template: sent?.template ?? null,
  }
}

/** The words and the branding that a message was sent with. */
function wordsOf({ templateVersions, brandings }: CaseMessages, sent: SentFact | undefined) {
  const { template, branding } = sent ?? {}
  const words = templateVersions.filter(({ id, version }) => id === template?.id && version === template.version)
  const look = brandings.find(({ version }) => version === branding) ?? null
  return { templates: words, branding: { newest: look, approved: look } }
}

/** What the message offers: what was applied by then, or what is planned. */
function incentiveOf(facts: readonly Fact[], { caseId, incentive, sentAt }: Nudge): Incentive | null {
  if (incentive === null || sentAt === null) return incentive
  const applied = facts.find((fact) => fact.kind === "incentive_applied" && fact.caseId === caseId)
  return applied?.kind === "incentive_applied" ? applied.incentive : null
}
