/** Writes for several nudges of one company in one commit, each over the version that it was decided from. */
import { databaseFailure, ReportedFailure } from "../../../db/client.ts"
import { type Commit, commit, commitStreams } from "../../../db/queries/recovery/commit.ts"
import type { Stream } from "../../../db/queries/recovery/ledger-pages.ts"
import type { Reservation } from "../../platform/outbound/budget.ts"
import type { Services } from "../../platform/services.ts"
import { withReloadRetries } from "../conflict-retries.ts"
import { announceStep, type Step } from "./nudge-steps.ts"

/**
 * The longest that a step waits for the others of its group. While a receipt waits, a worker that is lost leaves the outcome
 * of a message unknown; so one slow send must not hold back the receipts of the others.
 */
const WAIT_MS_MAX = 500

/** One write: decided from the first reading, and again from a new one when another writer was first. */
export interface Writing<S extends Stream, Result> {
  readonly first: S
  readonly decide: (stream: S) => Promise<Step<Result>>
  readonly reload: () => Promise<S | null>
  /** The caller's subrequests for reading and writing again. */
  readonly held: Reservation | null
}

interface Failure {
  readonly error: unknown
  /** The same step may still be written: the commit failed because of another one, or it is not known whether it did. */
  readonly mayRepeat: boolean
}

interface Waiting {
  readonly commit: Commit
  readonly resolve: (failure: Failure | null) => void
}

/** The writes of some members, which work at the same time. Each must `leave` when it has ended. */
export class GroupWrites {
  readonly #services: Services
  readonly #companyId: string
  #members: number
  #waiting: Waiting[] = []
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(services: Services, companyId: string, members: number) {
    this.#services = services
    this.#companyId = companyId
    this.#members = members
  }

  /**
   * Writes a step in one commit with the others': when all members are ready or have left, or after `WAIT_MS_MAX`. When the
   * customer or the person has changed, it is left out of the commit, decided again and written alone; when the commit as a
   * whole fails, each step is written alone, so that one that cannot be written stops no other. Without an answer a step is
   * written once more.
   */
  async write<S extends Stream, Result>(writing: Writing<S, Result>): Promise<Result> {
    const step = await writing.decide(writing.first)
    const { commit: work, result } = step
    if (work === null) return result
    const failure = await new Promise<Failure | null>((resolve) => {
      this.#waiting.push({ commit: work, resolve })
      this.#commitIfReady()
    })
    if (failure !== null) return writeAlone(this.#services, writing, failure)
    announceStep(this.#services, this.#companyId, step)
    return result
  }

  /** One member less to wait for. */
  leave(): void {
    this.#members -= 1
    this.#commitIfReady()
  }

  #commitIfReady(): void {
    if (this.#waiting.length === 0) return
    if (this.#waiting.length >= this.#members) void this.#commitAll()
    else this.#timer ??= setTimeout(() => void this.#commitAll(), WAIT_MS_MAX)
  }

  async #commitAll(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const group = this.#waiting
    this.#waiting = []
    const failureOf = await commitGroup(
      this.#services,
      this.#companyId,
      group.map(({ commit: work }) => work),
    )
    for (const { commit: work, resolve } of group) resolve(failureOf(work))
  }
}

/** Commits the first step of each customer; returns why a step was not written, null for one that was. Never rejects. */
async function commitGroup({ db, log, now }: Services, companyId: string, commits: readonly Commit[]) {
  const byCustomer = new Map<string, Commit>()
  for (const work of commits) if (!byCustomer.has(work.key.customerId)) byCustomer.set(work.key.customerId, work)
  try {
    const { lost } = await commitStreams(db, companyId, [...byCustomer.values()], now().toISOString())
    return (work: Commit): Failure | null => {
      const { customerId } = work.key
      const failure = byCustomer.get(customerId) === work ? lost.get(customerId) : "stale_version"
      return failure === undefined ? null : { error: new ReportedFailure(failure), mayRepeat: false }
    }
  } catch (error) {
    const mayRepeat = commits.length > 1 || databaseFailure(error) === "outcome_unknown"
    if (mayRepeat) log.warn("group_commit_failed", { companyId, count: commits.length, error })
    return (): Failure => ({ error, mayRepeat })
  }
}

/** The version guard shows whether a commit of unknown outcome was written after all. */
function writeAlone<S extends Stream, Result>(
  services: Services,
  { first, decide, reload, held }: Writing<S, Result>,
  { error, mayRepeat }: Failure,
): Promise<Result> {
  const attempt = async (stream: S): Promise<Result> => {
    if (stream === first && !mayRepeat) throw error
    const step = await decide(stream)
    if (step.commit !== null) await commit(services.db, step.commit)
    announceStep(services, stream.companyId, step)
    return step.result
  }
  return withReloadRetries(services, first, attempt, { held, reload })
}
