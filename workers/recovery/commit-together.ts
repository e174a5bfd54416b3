/**
 * Commits of one company that become ready while another commit is in flight are written together. Each customer keeps its own
 * version guard; two steps of one customer are prepared again as one, so that a customer is written once.
 */
import { ReportedFailure } from "../../db/client.ts"
import { type Commit, commit, commitStreams } from "../../db/queries/recovery/commit.ts"
import type { StreamReading } from "../../db/queries/recovery/ledger-pages.ts"
import { missingFacts } from "../../shared/domain/recovery/fold.ts"
import type { Nudge } from "../../shared/domain/recovery/nudges/nudges.ts"
import type { CustomerState } from "../../shared/domain/state.ts"
import { type GroupBounds, GroupCalls } from "../platform/group-calls.ts"
import type { Services } from "../platform/services.ts"
import { waitForSignal } from "../platform/waiting-requests.ts"
import { type CompleteStream, type PendingAdvance, type Prepared, prepareCommit } from "./prepare-commit.ts"

/** The leader of a group spends the processor time of its statement: about 0.1 ms a customer. */
const CUSTOMERS_MAX = 25

/** More calls at once would only make each other slower. */
const CALLS_MAX = 2

/** A call takes some milliseconds, and more when it waits for another writer. */
const SLOW_AFTER_MS = 1_000

/** Processing is not urgent, but the platform ends a request 30 seconds after its answer. */
const QUEUE_MS_MAX = 10_000

/** Beyond the database's time-out, for a busy isolate. */
const CALL_MARGIN_MS = 200

/** A step that is ready to be committed, as plain data. */
export interface ReadyStep {
  /** The reading that the step was made from; those of one recording share it. */
  readonly reading: StreamReading
  readonly complete: CompleteStream
  readonly work: PendingAdvance
  readonly commit: Commit
  readonly planned: readonly Nudge[]
  readonly state: CustomerState
}

/** `covered`: written with another step of the customer, whose request does what follows. */
type StepOutcome =
  | { readonly kind: "committed"; readonly planned: readonly Nudge[]; readonly state: CustomerState }
  | { readonly kind: "covered" }
  | { readonly kind: "lost"; readonly failure: ReportedFailure["failure"] }

const GROUP_BOUNDS: GroupBounds<ReadyStep> = {
  itemsMax: CUSTOMERS_MAX,
  callsMax: CALLS_MAX,
  slowAfterMs: SLOW_AFTER_MS,
  queueMsMax: QUEUE_MS_MAX,
  queueMsMaxAfterFailure: QUEUE_MS_MAX,
}
const groups = new GroupCalls<ReadyStep, StepOutcome>(GROUP_BOUNDS)

/**
 * Commits the step, with those of other requests that are ready. Returns what follows; null: another step of the customer
 * included it. Throws like `commit` when another writer was first.
 */
export async function commitTogether(
  services: Services,
  step: ReadyStep,
): Promise<Pick<Prepared, "planned" | "state"> | null> {
  const { db, config, log, waitUntil } = services
  const { companyId } = step.reading
  const outcome = await groups.run(companyId, step, {
    call: (steps) => commitSteps(services, companyId, steps),
    callMsMax: config.database.timeoutMs + CALL_MARGIN_MS,
    waitFor: waitForSignal,
    waitUntil,
  })
  if (outcome.kind !== "done") {
    log.warn("group_commit_failed", { companyId, customerId: step.commit.key.customerId, reason: outcome.kind })
    // The version guard shows whether the group was committed after all.
    await commit(db, step.commit)
    return step
  }
  const { result } = outcome
  if (result.kind === "lost") throw new ReportedFailure(result.failure)
  return result.kind === "covered" ? null : result
}

/** Commits steps of one company in one round trip, each customer once. */
async function commitSteps(
  services: Services,
  companyId: string,
  steps: readonly ReadyStep[],
): Promise<readonly StepOutcome[]> {
  const merged = await Promise.all(mergeSteps(steps).map((group) => prepareAgain(services, group)))
  const commits = merged.map(({ step }) => step.commit)
  const { lost } = await commitStreams(services.db, companyId, commits, services.now().toISOString())
  return steps.map((step): StepOutcome => {
    const own = merged.find(({ covered }) => covered.includes(step))
    const failure = own === undefined ? "stale_version" : lost.get(step.commit.key.customerId)
    if (own === undefined || failure !== undefined) return { kind: "lost", failure: failure ?? "stale_version" }
    if (own.covered[0] !== step) return { kind: "covered" }
    return { kind: "committed", planned: own.step.planned, state: own.step.state }
  })
}

/** Steps of one customer that are written as one; the first one's reading includes the facts of all. */
type MergedSteps = readonly [ReadyStep, ...ReadyStep[]]

/**
 * One group of steps for each customer: the largest that one reading includes. A step that is in no group was made from an
 * older reading, and would lose against the version guard.
 */
export function mergeSteps(steps: readonly ReadyStep[]): readonly MergedSteps[] {
  const byCustomer = Map.groupBy(steps, ({ commit: { key } }) => key.customerId)
  return [...byCustomer.values()].map((all) => {
    const groups = all.map((main): MergedSteps => [main, ...all.filter((one) => one !== main && includes(main, one))])
    return groups.reduce((largest, group) => (group.length >= largest.length ? group : largest))
  })
}

/**
 * Whether a commit over this step's reading may finish the other step's events, because everything that was recorded with
 * them is in the reading. A reading that begins after the snapshot includes what was recorded before it, unless that belongs
 * before the snapshot: then the other reading is whole. One that shows the facts of an event shows the whole recording of it.
 */
function includes(main: ReadyStep, other: ReadyStep): boolean {
  if (main.reading === other.reading) return true
  const { stream } = main.complete
  if (stream.customer.version !== other.complete.stream.customer.version) return false
  if (other.reading.isWhole && !(stream.isWhole && other.work.factIds.length > 0)) return false
  return missingFacts(other.work.factIds, stream.facts).length === 0
}

/** The steps as one: folded and decided together. */
async function prepareAgain(services: Services, steps: MergedSteps) {
  const [main, ...others] = steps
  if (others.length === 0) return { covered: steps, step: main }
  const work: PendingAdvance = {
    events: steps.flatMap(({ work: { events } }) => events),
    factIds: steps.flatMap(({ work: { factIds } }) => factIds),
    contactUpdates: steps.flatMap(({ work: { contactUpdates } }) => contactUpdates),
    ownFacts: steps.flatMap(({ work: { ownFacts } }) => ownFacts),
  }
  const { commit: whole, planned, state } = await prepareCommit(services, main.complete, work, false)
  if (whole === null) throw new Error("a commit that finishes events is never empty")
  return { covered: steps, step: { ...main, commit: whole, planned, state } }
}
