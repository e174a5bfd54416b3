/** What is derived from a customer's stream: the state, the key for commits, hold-out assignments, reachable channels. */
import { type Stream, undoableBaseOf } from "../../db/queries/recovery/ledger-pages.ts"
import type { ChannelName } from "../../shared/domain/facts.ts"
import { assignCases } from "../../shared/domain/interventions/holdout.ts"
import type { ReachableChannels } from "../../shared/domain/recovery/decide.ts"
import type { DroppedCase } from "../../shared/domain/recovery/fold/bounds.ts"
import { foldUndoable, type UndoableState } from "../../shared/domain/recovery/undo.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import type { CustomerState } from "../../shared/domain/state.ts"
import { grantFor } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"

/**
 * The state of a stream: all its facts folded, or those after the snapshot. Cases that the fold drops are added to
 * `dropped`.
 */
export const stateOf = (stream: Stream, dropped: DroppedCase[] = []): CustomerState =>
  undoableStateOf(stream, dropped).state

/** The state of a stream, with what takes the facts of its last instant back. */
export function undoableStateOf(stream: Stream, dropped: DroppedCase[] = []): UndoableState {
  for (const one of stream.earlier?.dropped ?? []) dropped.push(one)
  return foldUndoable(stream.facts, undoableBaseOf(stream), dropped)
}

/** The assignments of cases that have just opened: held out or treated, by the company's percentage or the deployment's. */
export function assignHoldout({ config, now }: Services, stream: Stream, state: CustomerState) {
  const percentage = settingsOf(stream).holdoutPercentage ?? config.holdoutPercentage
  return assignCases(state, stream.nudges, { companyId: stream.companyId, percentage }, now().toISOString())
}

/** The channels that can reach this customer for the company; a provider's only where the company may call its API. */
export async function reachableChannels(
  services: Services,
  { companyId, customer }: Stream,
): Promise<ReachableChannels> {
  const { provider } = customer
  const all = await services.channelsFor(companyId)
  const channels = Object.values(all).filter(({ isConfigured }) => isConfigured)
  const isByProvider = provider === "whop" && channels.some(({ name }) => isWhopChannel(name))
  const canCall = isByProvider && (await grantFor(services, { provider, companyId, named: null })) !== null
  return { provider, configured: channels.map(({ name }) => name).filter((name) => canCall || !isWhopChannel(name)) }
}

/** Whether a channel uses Whop's API. */
export const isWhopChannel = (channel: ChannelName): boolean => channel === "push" || channel === "dm"

/** The key of a stream's customer, for a commit. */
export const keyOf = ({ companyId, customer }: Stream) => ({
  companyId,
  customerId: customer.id,
  provider: customer.provider,
  providerCustomerId: customer.providerCustomerId,
})
