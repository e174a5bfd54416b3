/**
 * Schedules of a race: all with so many preemptions (most defects need one or two), then random ones with more. Whatever
 * the order, in the end the state is the fold of the whole ledger, and nothing that was acknowledged is missing.
 */
import { currentFunctions } from "../../../db/functions.ts"
import { loadStream } from "../../../db/queries/recovery/stream.ts"
import { rebuild } from "../../../shared/domain/recovery/fold.ts"
import type { Services } from "../../../workers/platform/services.ts"
import { reprocess } from "../../../workers/webhooks/reprocess.ts"
import { canonical } from "../../support/events/stored-stream.ts"
import { type Random, randomOf } from "../random.ts"
import { instrumented } from "./instrument.ts"
import * as current from "./races.ts"
import { CUSTOMER_ID, NOW, type Outside, type Race } from "./races.ts"
import { type Point, type Schedule, Sessions, type Trace } from "./sessions.ts"

/** Sessions of a race at most. */
const SESSIONS = 3
/** Rows of old schedules are other companies'; after so many the tables are emptied. */
const SCHEDULES_BETWEEN_CLEANINGS = 2_000
const RANDOM_STOPS_MAX = 4

/** What the Worker does in a race: the module, or the same with a guard switched off. */
export type RaceModule = Pick<typeof current, "servicesFor" | "deliverEvent" | "runAct" | "factIdsOf">

/** How a schedule ended. */
export interface ScheduleResult {
  readonly schedule: Schedule
  readonly trace: Trace
  readonly violations: readonly string[]
}

export interface RaceReport {
  readonly race: string
  schedules: number
  /** Sessions that were found waiting for another one's lock. */
  blocked: number
  /** Stops at which another session went on. */
  stops: number
  readonly failed: { readonly schedule: string; readonly violations: readonly string[] }[]
}

/** One database in which schedules are played one after the other. */
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
   * Opens an arena. `functions` are statements that replace functions of the database, `acts` the Worker's part; without
   * them both are the current ones.
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

  /** Plays one schedule in a company of its own, and judges where it ended. */
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
        () => this.#judge(race, companyId),
        (error: unknown) => [`it does not come to rest: ${String(error)}`],
      )
      return { schedule, trace, violations }
    })
  }

  /** What failed is done once more by whoever asked, and what was left behind by the sweeper. */
  async #finish(race: Race, companyId: string, { errors }: Trace): Promise<void> {
    const { setup } = this.#services
    for (const [place, act] of race.sessions.entries())
      if (errors[place]) await this.#acts.runAct(setup, companyId, act)
    const left = await this.#sessions.admin<{ id: string }>(
      "SELECT id FROM webhook_events WHERE company_id = $1 AND status IN ('received', 'failed')",
      [companyId],
    )
    for (const { id } of left) await reprocess(setup, companyId, id)
  }

  async #judge(race: Race, companyId: string): Promise<string[]> {
    const { setup } = this.#services
    const [found] = await this.#sessions.admin<{
      facts: string[]
      customers: string[]
      events: number
      cases: string[]
    }>(JUDGED, [companyId])
    if (found === undefined) throw new Error("nothing was found")
    const violations: string[] = []
    const ledger = new Set(found.facts)
    const wanted = this.#expected.get(race.name) ?? (await this.#acts.factIdsOf(setup, race))
    this.#expected.set(race.name, wanted)
    for (const id of wanted) if (!ledger.has(id)) violations.push(`a fact is not in the ledger: ${id}`)
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
      violations.push(`cases are shown as ${found.cases.join()}, and are ${shown.join()}`)
    const { seen } = this.#outside
    if (new Set(seen).size !== seen.length) violations.push("a nudge was seen twice")
    return violations
  }

  /** The Worker's calls go to the sessions, and its pauses before it tries again take no time. */
  async #inside<T>(play: () => Promise<T>): Promise<T> {
    const real = { fetch: globalThis.fetch, setTimeout: globalThis.setTimeout }
    const fetchOfSession = async (_input: unknown, init?: RequestInit): Promise<Response> => {
      const headers = new Headers(init?.headers)
      const [, place] = /\/\/session_(\d)/.exec(headers.get("neon-connection-string") ?? "") ?? []
      return this.#sessions.answer(place === undefined ? null : Number(place), headers, String(init?.body))
    }
    const soon = (callback: () => void) => setImmediate(callback)
    Object.assign(globalThis, { fetch: fetchOfSession, setTimeout: soon })
    try {
      return await play()
    } finally {
      Object.assign(globalThis, real)
    }
  }
}

const BACKFILL = `INSERT INTO backfills (company_id, id, provider, account, since, until, reached, requested_by, started_at, updated_at)
  VALUES ($1, 'backfill', 'stripe', '', $2, $2, $2, 'operator', $2, $2)`

const JUDGED = `SELECT
  ARRAY(SELECT f.id FROM facts f WHERE f.company_id = $1) AS facts,
  ARRAY(SELECT c.id FROM customers c WHERE c.company_id = $1) AS customers,
  (SELECT count(*)::integer FROM webhook_events e WHERE e.company_id = $1 AND e.status <> 'processed') AS events,
  ARRAY(SELECT c.id || ' ' || c.status FROM recovery_cases c WHERE c.company_id = $1 ORDER BY 1) AS cases`

const TRUNCATE_ALL = `DO $$ DECLARE names text; BEGIN
  SELECT string_agg(format('%I', c.relname), ', ') INTO names FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition;
  EXECUTE 'TRUNCATE ' || names;
END $$`

/** All schedules of a race with up to so many preemptions; with `part`, those whose first preemption falls to this part. */
export async function exploreAllSchedules(
  arena: ScheduleRunner,
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
    /** Asked after each schedule. */
    readonly isEnough: (report: RaceReport) => boolean
  },
): Promise<RaceReport> {
  const report = emptyReport(race)
  let place = 0
  const visit = async (schedule: Schedule): Promise<void> => {
    const depth = schedule.stops.length
    const played = await arena.play(race, schedule)
    if (depth > 0 || part === 0) count(report, race, played)
    if (depth === preemptions) return
    for (const { point, others } of played.trace.points) {
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
  arena: ScheduleRunner,
  race: Race,
  seeds: readonly number[],
): Promise<RaceReport> {
  const report = emptyReport(race)
  const points: Point[] = []
  for (const first of race.sessions.keys()) {
    const { trace } = await arena.play(race, { first, stops: [] })
    points.push(...trace.points.map(({ point }) => point))
  }
  for (const seed of seeds) {
    count(
      report,
      race,
      await arena.play(race, randomSchedule(randomOf(`${race.name} ${seed}`), race.sessions.length, points)),
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

/** A schedule as it is told and typed: who begins, then each stop as session.request.pause>next. */
export const textOf = ({ first, stops }: Schedule): string =>
  [first, ...stops.map(({ session, request, pause, to }) => `${session}.${request}.${pause}>${to}`)].join(" ")

/** Reads what `textOf` writes. Throws for anything else. */
export function scheduleOf(text: string): Schedule {
  const [first = "", ...stops] = text.trim().split(/\s+/)
  if (!/^\d$/.test(first)) throw new Error(`"${text}" is no schedule`)
  return {
    first: Number(first),
    stops: stops.map((stop) => {
      const [, session, request, pause, to] = /^(\d)\.(\d+)\.(\d+)>(\d)$/.exec(stop) ?? []
      if (session === undefined) throw new Error(`"${stop}" is no stop`)
      return { session: Number(session), request: Number(request), pause: Number(pause), to: Number(to) }
    }),
  }
}
