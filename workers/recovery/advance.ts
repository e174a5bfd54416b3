/**
 * Fold, decide, commit: brings one customer up to date with the ledger. The version guard orders writers of the same
 * customer; the second one reads and decides again.
 */

import { databaseFailure } from "../../db/client.ts"
import { commit, commitStreams, markProcessed } from "../../db/queries/recovery/commit.ts"
import { type FoldedPage, readRest, type Stream, type StreamReading } from "../../db/queries/recovery/ledger-pages.ts"
import { quarantine } from "../../db/queries/recovery/quarantines.ts"
import { startStream } from "../../db/queries/recovery/stream.ts"
import { type Milestone, reachedByStep } from "../../shared/domain/interventions/milestones.ts"
import { changedCases } from "../../shared/domain/recovery/case-changes.ts"
import { missingFacts } from "../../shared/domain/recovery/fold.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import type { CustomerState } from "../../shared/domain/state.ts"
import { countRefold } from "../platform/http/request-metrics.ts"
import { announceChanges } from "../platform/live/announce.ts"
import type { Services } from "../platform/services.ts"
import { commitTogether } from "./commit-together.ts"
import { withReloadRetries } from "./conflict-retries.ts"
import { enqueueNudges } from "./nudges/enqueue-nudges.ts"
import { type CompleteStream, type PendingAdvance, type Prepared, prepareCommit } from "./prepare-commit.ts"

/**
 * Folds new facts, decides what follows and commits both. `first` is the stream as it was just read; it is read again as a
 * whole when another writer was first. `isTogether`: the first commit may be made with those of other requests. Throws after
 * too many conflicts: the sweep finishes the work.
 */
export async function advance(
  services: Services,
  first: StreamReading,
  work: PendingAdvance,
  { isTogether = false }: { readonly isTogether?: boolean } = {},
): Promise<void> {
  let reread: number | null = null
  const attempt = async (read: StreamReading) => {
    const complete = await completed(services, read, work)
    const { customer } = complete.stream
    const isFolded = reread !== null && customer.version > reread
    if (read !== first || complete.isReread) reread ??= customer.version
    const prepared = await prepareCommit(services, complete, work, isFolded)
    const { commit: step } = prepared
    const result =
      isTogether && step !== null && reread === null
        ? await commitTogether(services, { ...prepared, commit: step, reading: read, complete, work })
        : await commitAlone(services, complete, work, prepared)
    if (result !== null) await followUp(services, complete.stream, result)
  }
  const reload = () => startStream(services.db, first.companyId, first.customer.id, { whole: true })
  await withReloadRetries(services, first, attempt, { held: null, reload })
}

/**
 * The stream with all facts of the work: read again as a whole when one is missing. The database functions never omit one;
 * this verifies it and logs every case. Throws as `readRest` does.
 */
async function completed(
  services: Services,
  reading: StreamReading,
  work: PendingAdvance,
): Promise<CompleteStream & { readonly isReread: boolean }> {
  const { db, log } = services
  const { missing, ...complete } = await readPages(services, reading, work)
  if (missing.length === 0) return { ...complete, isReread: false }
  const { companyId, customer, isWhole } = reading
  log.warn("facts_read_failed", {
    companyId,
    customerId: customer.id,
    count: missing.length,
    reason: isWhole ? "whole" : "after_snapshot",
  })
  const again = await startStream(db, companyId, customer.id, { whole: true })
  if (!again) throw new Error("an existing customer is gone")
  const { missing: stillMissing, ...whole } = await readPages(services, again, work)
  // A replayed event may name another customer than the one who has its facts; an operator must check it.
  if (stillMissing.length > 0) {
    log.error("facts_missing", { companyId, customerId: customer.id, count: stillMissing.length })
  }
  return { ...whole, isReread: true }
}

/** Reads the further pages, and checks each for the facts of the work and for milestones. */
async function readPages(services: Services, reading: StreamReading, { factIds }: PendingAdvance) {
  let missing: readonly string[] = factIds
  const reached: Milestone[] = []
  let folded = 0
  const { milestones } = settingsOf(reading)
  const visit = ({ before: from, facts, state }: FoldedPage) => {
    missing = missingFacts(missing, facts)
    folded += facts.length
    const step = { before: reading.snapshot, from, state, facts }
    reached.push(...reachedByStep(step, milestones, services.now().toISOString()))
  }
  const stream = await readRest(services.db, reading, visit)
  noteRefold(services, stream, folded + stream.facts.length)
  return { stream, reached, missing: missingFacts(missing, stream.facts) }
}

/** Counts and logs when facts that the snapshot contains are folded again. */
function noteRefold(
  services: Services,
  { companyId, customer, snapshot, isWhole, isFromInstant }: Stream,
  facts: number,
) {
  if (snapshot === null || !(isWhole || isFromInstant)) return
  countRefold(services, { isWhole, facts })
  const fields = { companyId, customerId: customer.id, count: facts }
  // Common in a burst of one customer, and cheap.
  if (isFromInstant) services.log.debug("customer_refolded", { ...fields, reason: "last_second" })
  else services.log.info("customer_refolded", { ...fields, reason: "whole" })
}

/**
 * Advances several customers of one company in one transaction: an import affects many at once. One that has changed since
 * it was read is advanced separately.
 */
export async function advanceAll(
  services: Services,
  companyId: string,
  works: readonly { readonly stream: StreamReading; readonly work: PendingAdvance }[],
): Promise<void> {
  let prepared: readonly Prepared[]
  let lost: ReadonlyMap<string, unknown>
  try {
    prepared = await Promise.all(
      works.map(async ({ stream, work }) =>
        prepareCommit(services, await completed(services, stream, work), work, false),
      ),
    )
    const commits = prepared.flatMap(({ commit: one }) => (one === null ? [] : [one]))
    const written = await commitStreams(services.db, companyId, commits, services.now().toISOString())
    lost = written.lost
  } catch (error) {
    const failure = databaseFailure(error)
    if (failure !== "stale_version" && failure !== "conflict") throw error
    for (const { stream, work } of works) await advance(services, stream, work)
    return
  }
  for (const [place, { stream, work }] of works.entries()) {
    const one = prepared[place]
    if (lost.has(stream.customer.id)) await advance(services, stream, work)
    else if (one) {
      announceChanges(services, companyId, () => changedCases(stream.snapshot, one.state, one.planned))
      await enqueueNudges(services, companyId, one.planned, one.state)
    }
  }
}

async function commitAlone(
  { db, now }: Services,
  { stream }: CompleteStream,
  { events }: PendingAdvance,
  prepared: Prepared,
): Promise<Prepared> {
  if (prepared.commit !== null) await commit(db, prepared.commit)
  else if (events.length > 0) await markProcessed(db, stream.companyId, events, now().toISOString())
  return prepared
}

/** What follows a commit. */
async function followUp(
  services: Services,
  stream: Stream,
  { planned, state }: Pick<Prepared, "planned" | "state">,
): Promise<void> {
  announceChanges(services, stream.companyId, () => changedCases(stream.snapshot, state, planned))
  await quarantineRefused(services, stream, state)
  await enqueueNudges(services, stream.companyId, planned, state)
}

/** When the state first had no room for a case or subscription: an operator must review the customer. */
async function quarantineRefused(
  { db, log, now }: Services,
  { companyId, customer, snapshot }: Stream,
  { refused }: CustomerState,
): Promise<void> {
  if (refused === undefined || snapshot?.refused !== undefined) return
  const fields = { companyId, customerId: customer.id, reason: "state_is_full" } as const
  log.error("customer_quarantined", fields)
  try {
    await quarantine(db, companyId, customer.id, fields.reason, now())
  } catch (error) {
    // The events are processed, and the state stays marked as full.
    log.warn("quarantine_not_noted", { ...fields, error })
  }
}
