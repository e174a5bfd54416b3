/** Applies a nudge's incentive through the provider's API: once per person and period, under one idempotency key. */

import type { PersonStream } from "../../db/queries/recovery/persons.ts"
import { safeKey } from "../../shared/crypto/plain-key.ts"
import type { Fact, Incentive } from "../../shared/domain/facts.ts"
import { mayGiveIncentive } from "../../shared/domain/recovery/decide.ts"
import type { Attempt } from "../../shared/domain/recovery/nudges/nudge-outcome.ts"
import type { Nudge } from "../../shared/domain/recovery/nudges/nudges.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { findCase } from "../../shared/domain/state.ts"
import { ProviderApiError } from "../../shared/provider.ts"
import { apiForSubject } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"
import { isEnabledFor, NOTIFICATIONS_SWITCH } from "../platform/switches.ts"
import { stateOf } from "./stream-state.ts"

type AppliedFact = Extract<Fact, { kind: "incentive_applied" }>

export type IncentiveResult =
  | { readonly kind: "none" }
  /** Applied: now (`isNew`), or at an earlier attempt of the same step. */
  | {
      readonly kind: "given"
      readonly incentive: Incentive
      readonly isNew: boolean
      readonly factId: string
      readonly fact: Omit<AppliedFact, "id" | "occurredAt">
    }
  /** The provider's API is unavailable, or effects were switched off: the whole nudge waits. */
  | { readonly kind: "later"; readonly attempt: Attempt }

/** The incentive of this nudge. If the provider refuses it finally, the message is sent without it. */
export async function incentiveFor(services: Services, stream: PersonStream, nudge: Nudge): Promise<IncentiveResult> {
  const state = stateOf(stream)
  const recoveryCase = findCase(state, nudge.caseId)
  const { incentive } = nudge
  if (incentive === null || !recoveryCase?.subscriptionId) return { kind: "none" }
  if (!services.providers[stream.customer.provider].incentiveKinds.includes(incentive.kind)) return { kind: "none" }

  // The key has the step, not the channel, so that a fallback to another channel gives no second incentive.
  const key = `${nudge.caseId}.${nudge.step ?? "manual"}`
  const factId = `incentive_applied:${key}`
  const fact = { kind: "incentive_applied", caseId: nudge.caseId, incentive } as const
  if (state.outreach.incentives.some((given) => given.id === factId)) {
    return { kind: "given", incentive, isNew: false, factId, fact: { ...fact, providerReceiptId: null } }
  }
  const others = stream.nudges.filter((other) => other.id !== nudge.id)
  const now = services.now().toISOString()
  if (!mayGiveIncentive(state, others, settingsOf(stream), now, stream.person)) return { kind: "none" }

  const { customer, companyId } = stream
  // An incentive costs money: a switch that was changed since the claim still counts.
  if (!isEnabledFor(await services.flags({ isImmediate: true }), NOTIFICATIONS_SWITCH, companyId)) {
    return { kind: "later", attempt: { kind: "switched_off" } }
  }
  try {
    const { provider, providerCustomerId: subject } = customer
    const api = await apiForSubject(services, { companyId, provider, subject })
    if (api === null) throw new ProviderApiError("no account of the company's", { retry: false, status: null })
    const { receiptId } = await api.applyIncentive({
      customer: customer.providerCustomerId,
      subscriptionId: recoveryCase.subscriptionId,
      incentive,
      idempotencyKey: await safeKey(`${companyId}.${key}`),
    })
    return { kind: "given", incentive, isNew: true, factId, fact: { ...fact, providerReceiptId: receiptId } }
  } catch (error) {
    services.log.warn("incentive_failed", { companyId, caseId: nudge.caseId, provider: customer.provider, error })
    const isRetryable = error instanceof ProviderApiError ? error.retry : true
    if (!isRetryable) return { kind: "none" }
    return { kind: "later", attempt: { kind: "retry", reason: "provider_api", retryAfterMs: null } }
  }
}
