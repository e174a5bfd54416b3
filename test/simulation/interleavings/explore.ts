/**
 * Schedules of a race: all with up to N preemptions (most defects need one or two), then random ones with more. After any
 * schedule the state is the fold of the whole ledger, and nothing that was acknowledged is missing.
 */
import { currentFunctions } from "../../../db/functions.ts"
import { loadStream } from "../../../db/queries/recovery/stream.ts"
import { rebuild } from "../../../shared/domain/recovery/fold.ts"
import type { Services } from "../../../workers/platform/services.ts"
import { reprocess } from "../../../workers/webhooks/replay/reprocess.ts"
import { canonical } from "../../support/events/stored-stream.ts"
import { type Random, randomOf } from "../random.ts"
import { instrumented } from "./instrument.ts"
import * as current from "./races.ts"
import { CUSTOMER_ID, NOW, type Outside, type Race } from "./races.ts"
import { type Point, type Schedule, Sessions, type Trace } from "./sessions.ts"

/** Sessions of a race at most. */
const SESSIONS = 3
/** Each schedule has its own company; after so many the tables are truncated. */
const SCHEDULES_BETWEEN_CLEANINGS = 2_000
const RANDOM_STOPS_MAX = 4

/** The Worker's part of a race: the module, or the same with a guard removed. */
export type RaceModule = Pick<typeof current, "servicesFor" | "deliverEvent" | "runAct" | "factIdsOf">

/** The result of a schedule. */
export interface ScheduleResult {
  readonly schedule: Schedule
  readonly trace: Trace
  readonly violations: readonly string[]
}

export interface RaceReport {
  readonly race: string
  schedules: number
  /** How often a session waited for another one's lock. */
  blocked: number
  /** Stops at which another session continued. */
  stops: number
  readonly failed: { readonly schedule: string; readonly violations: readonly string[] }[]
}

/** Runs schedules one after the other in one database. */
export class ScheduleRunner {
  readonly #sessions: Sessions
  readonly #acts: RaceModule
  readonly #services: { readonly setup: Services; readonly sessions: readonly Services[] }
  readonly #outside: Outside = { seen: [] }
  readonly #expected = new Map<string, readonly string[]>()
  #company = 0

  private constructor(sessions: Sessions, acts: RaceModule) {
    const { servicesFor } = acts
    this.#sessions = sessions
    this.#acts = acts
    this.#services = {
      setup: servicesFor("setup", this.#outside),
      sessions: Array.from({ length: SESSIONS }, (_, place) => servicesFor(`session_${place}`, this.#outside)),
    }
  }

  /**
   * Opens a database. `functions` are statements that replace database functions, `acts` the Worker's part; by default both
   * are the current ones.
   */
  static async open(
    url: string,
    functions: readonly string[] = [],
    acts: RaceModule = current,
  ): Promise<ScheduleRunner> {
    const sessions = await Sessions.open(url, SESSIONS)
    const statements = [...[...currentFunctions().values()].map(({ statement }) => statement), ...functions]
    for (const statement of statements) await sessions.admin(instrumented(statement))
    return new ScheduleRunner(sessions, acts)
  }

  close(): Promise<void> {
    return this.#sessions.close()
  }

  /** Runs one schedule in its own company, and checks the final state. */
  async play(race: Race, schedule: Schedule): Promise<ScheduleResult> {
    return this.#inside(async () => {
      if (this.#company % SCHEDULES_BETWEEN_CLEANINGS === 0) await this.#sessions.admin(TRUNCATE_ALL)
      const companyId = `company_${this.#company++}`
      this.#outside.seen.length = 0
      const { setup, sessions } = this.#services
      await this.#sessions.admin("INSERT INTO companies (id, name, created_at) VALUES ($1, $1, now())", [companyId])
      if (race.sessions.some(({ kind }) => kind === "import")) await this.#sessions.admin(BACKFILL, [companyId, NOW])
      for (const event of race.before) await this.#acts.deliverEvent(setup, companyId, event)
      const work = race.sessions.map((act) => async (place: number) => {
        await this.#acts.runAct(sessions[place] as Services, companyId, act)
      })
      const trace = await this.#sessions.play(work, schedule)
      const violations = await this.#finish(race, companyId, trace).then(
        () => this.#check(race, companyId),
        (error: unknown) => [`work does not end: ${String(error)}`],
      )
      return { schedule, trace, violations }
    })
  }

  /** Failed acts are repeated, as their caller would; unfinished events are reprocessed, as by `sweep`. */
  async #finish(race: Race, companyId: string, { errors }: Trace): Promise<void> {
    const { setup } = this.#services
    for (const [place, act] of race.sessions.entries())
      if (errors[place]) await this.#acts.runAct(setup, companyId, act)
    const unfinished = await this.#sessions.admin<{ id: string }>(
      "SELECT id FROM webhook_events WHERE company_id = $1 AND status IN ('received', 'failed')",
      [companyId],
    )
    for (const { id } of unfinished) await reprocess(setup, companyId, id)
  }

  async #check(race: Race, companyId: string): Promise<string[]> {
    const { setup } = this.#services
    const [found] = await this.#sessions.admin<{
      facts: string[]
      customers: string[]
      events: number
      cases: string[]
    }>(FINAL_STATE, [companyId])
    if (found === undefined) throw new Error("the query returned no row")
    const violations: string[] = []
    const ledger = new Set(found.facts)
    const expected = this.#expected.get(race.name) ?? (await this.#acts.factIdsOf(setup, race))
    this.#expected.set(race.name, expected)
    for (const id of expected) if (!ledger.has(id)) violations.push(`a fact is not in the ledger: ${id}`)
    if (found.customers.length !== 1 || found.customers[0] !== CUSTOMER_ID)
      violations.push(`customers: ${found.customers.join()}`)
    if (found.events > 0) violations.push(`${found.events} events are not processed`)

    const stream = await loadStream(setup.db, companyId, CUSTOMER_ID, { whole: true })
    const state = stream?.snapshot
    if (!stream || !state) return [...violations, "the customer has no state"]
    if (stream.facts.length !== ledger.size)
      violations.push(`${stream.facts.length} of ${ledger.size} facts are the customer's`)
    const folded = rebuild(stream.facts)
    if (canonical(state) !== canonical(folded)) violations.push("the state is not the fold of the whole ledger")
    const invoices = folded.cases.flatMap(({ invoiceId }) => (invoiceId === null ? [] : [invoiceId]))
    if (new Set(invoices).size !== invoices.length) violations.push("an invoice has two cases")
    const shown = folded.cases.map(({ id, status }) => `${id} ${status}`).sort()
    if (found.cases.join() !== shown.join())
      violations.push(`case rows are ${found.cases.join()}, and the state has ${shown.join()}`)
    const { seen } = this.#outside
    if (new Set(seen).size !== seen.length) violations.push("a nudge was visible twice")
    return violations
  }

  /** Sends the Worker's calls to the sessions, and makes its waits before a retry immediate. */
  async #inside<T>(play: () => Promise<T>): Promise<T> {
    const real = { fetch: globalThis.fetch, setTimeout: globalThis.setTimeout }
    const fetchOfSession = async (_input: unknown, init?: RequestInit): Promise<Response> => {
      const headers = new Headers(init?.headers)
      const [, place] = /\/\/session_(\d)/.exec(headers.get("neon-connection-string") ?? "") ?? []
      return this.#sessions.answer(place === undefined ? null : Number(place), headers, String(init?.body))
    }
    const immediately = (callback: () => void) => setImmediate(callback)
    Object.assign(globalThis, { fetch: fetchOfSession, setTimeout: immediately })
    try {
      return await play()
    } finally {
      Object.assign(globalThis, real)
    }
  }
}

const BACKFILL = `INSERT INTO backfills (company_id, id, provider, account, since, until, reached, requested_by, started_at, updated_at)
  VALUES ($1, 'backfill', 'stripe', '', $2, $2, $2, 'operator', $2, $2)`

const FINAL_STATE = `SELECT
  ARRAY(SELECT f.id FROM facts f WHERE f.company_id = $1) AS facts,
  ARRAY(SELECT c.id FROM customers c WHERE c.company_id = $1) AS customers,
  (SELECT count(*)::integer FROM webhook_events e WHERE e.company_id = $1 AND e.status <> 'processed') AS events,
  ARRAY(SELECT c.id || ' ' || c.status FROM recovery_cases c WHERE c.company_id = $1 ORDER BY 1) AS cases`

const TRUNCATE_ALL = `DO $$ DECLARE names text; BEGIN
  SELECT string_agg(format('%I', c.relname), ', ') INTO names FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition;
  EXECUTE 'TRUNCATE ' || names;
END $$`

/** All schedules of a race with up to `preemptions`; of these, the part whose first preemption falls to `part` of `parts`. */
export async function exploreAllSchedules(
  runner: ScheduleRunner,
  race: Race,
  {
    preemptions,
    part,
    parts,
    isEnough,
  }: {
    readonly preemptions: number
    readonly part: number
    readonly parts: number
    /** Called after each schedule. */
    readonly isEnough: (report: RaceReport) => boolean
  },
): Promise<RaceReport> {
  const report = emptyReport(race)
  let place = 0
  const visit = async (schedule: Schedule): Promise<void> => {
    const depth = schedule.stops.length
    const result = await runner.play(race, schedule)
    if (depth > 0 || part === 0) count(report, race, result)
    if (depth === preemptions) return
    for (const { point, others } of result.trace.points) {
      for (const to of others) {
        if (isEnough(report)) return
        if (depth === 0 && place++ % parts !== part) continue
        await visit({ first: schedule.first, stops: [...schedule.stops, { ...point, to }] })
      }
    }
  }
  for (const first of race.sessions.keys()) if (!isEnough(report)) await visit({ first, stops: [] })
  return report
}

/** Random schedules of a race: each a function of its seed. */
export async function exploreRandomSchedules(
  runner: ScheduleRunner,
  race: Race,
  seeds: readonly number[],
): Promise<RaceReport> {
  const report = emptyReport(race)
  const points: Point[] = []
  for (const first of race.sessions.keys()) {
    const { trace } = await runner.play(race, { first, stops: [] })
    points.push(...trace.points.map(({ point }) => point))
  }
  for (const seed of seeds) {
    count(
      report,
      race,
      await runner.play(race, randomSchedule(randomOf(`${race.name} ${seed}`), race.sessions.length, points)),
    )
  }
  return report
}

function randomSchedule(random: Random, sessions: number, points: readonly Point[]): Schedule {
  const stops = random
    .shuffled(points)
    .slice(0, random.between(2, RANDOM_STOPS_MAX))
    .map((point) => ({ ...point, to: (point.session + random.between(1, sessions - 1)) % sessions }))
  return { first: random.between(0, sessions - 1), stops }
}

const emptyReport = (race: Race): RaceReport => ({ race: race.name, schedules: 0, blocked: 0, stops: 0, failed: [] })

const FAILED_KEPT = 20

function count(report: RaceReport, race: Race, { schedule, trace, violations }: ScheduleResult): void {
  report.schedules += 1
  report.blocked += trace.blocked
  report.stops += trace.stopped
  if (violations.length > 0 && report.failed.length < FAILED_KEPT) {
    report.failed.push({ schedule: `${race.name}: ${textOf(schedule)}`, violations })
  }
}

/** A schedule as text: the first session, then each stop as session.request.pause>next. */
export const textOf = ({ first, stops }: Schedule): string =>
  [first, ...stops.map(({ session, request, pause, to }) => `${session}.${request}.${pause}>${to}`)].join(" ")

/** Reads what `textOf` writes. Throws for anything else. */
export function scheduleOf(text: string): Schedule {
  const [first = "", ...stops] = text.trim().split(/\s+/)
  if (!/^\d$/.test(first)) throw new Error(`"${text}" is not a schedule`)
  return {
    first: Number(first),
    stops: stops.map((stop) => {
      const [, session, request, pause, to] = /^(\d)\.(\d+)\.(\d+)>(\d)$/.exec(stop) ?? []
      if (session === undefined) throw new Error(`"${stop}" is not a stop`)
      return { session: Number(session), request: Number(request), pause: Number(pause), to: Number(to) }
    }),
  }
}
