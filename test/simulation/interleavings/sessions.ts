/**
 * Sessions of Postgres with real transactions, of which one runs at a time. A schedule says where a session is stopped and
 * which one continues: before a request, or between two statements, also within a function. A session that waits for a lock
 * of another is found in `pg_locks`, and the others continue. Over 300 lines: one state machine.
 */
import { setTimeout as sleep } from "node:timers/promises"
import pg from "pg"
import { errorBody, requestBody, run } from "../../../local/postgres/neon-proxy.ts"

/** A point at which a session can be stopped. Requests are counted from 1; `pause` 0 is before the request. */
export interface Point {
  readonly session: number
  readonly request: number
  readonly pause: number
}

/** A stop, and the session that continues there. */
export interface PreemptionPoint extends Point {
  readonly to: number
}

/** The first session and the stops. Without stops each session runs to its end, or until it waits for another. */
export interface Schedule {
  readonly first: number
  readonly stops: readonly PreemptionPoint[]
}

/** The trace of a schedule. */
export interface Trace {
  /** Points passed after the last stop, each with the sessions that could have continued instead. */
  readonly points: readonly { readonly point: Point; readonly others: readonly number[] }[]
  /** Stops at which another session continued. */
  readonly stopped: number
  /** How often a session waited for another. */
  readonly blocked: number
  /** Errors of the sessions; null: success. */
  readonly errors: readonly (Error | null)[]
}

/** Without progress for so long, sessions count as stuck. */
const STUCK_MS = 10_000
/** A statement takes less than this, unless it waits for a lock. */
const CHECK_LOCKS_AFTER_MS = 2
/** The class of advisory locks of `simulation.pause`; the product uses others. */
const LOCKS = 7777
const STOPS_PER_SESSION = 100

type Status = "ready" | "running" | "paused" | "blocked" | "done"

interface Session {
  readonly client: pg.Client
  pid: number
  status: Status
  /** Starts the next request. */
  begin: (() => void) | null
  isExecuting: boolean
  request: number
  /** Number of pauses passed in each request. */
  readonly pauses: Map<number, number>
  /** The pause at which it is paused. */
  pausedAt: number
  error: Error | null
}

interface Segment {
  readonly session: number
  readonly from: { readonly request: number; readonly pause: number }
  to: { readonly request: number; readonly pause: number } | null
  /** The same session ran before, so stopping it at the start of this segment is a choice as well. */
  readonly isContinued: boolean
  readonly others: readonly number[]
}

export class Sessions {
  readonly #control: pg.Client
  readonly #setup: pg.Client
  readonly #clients: pg.Client[]
  readonly #names = new Map<string, string>()
  #sessions: Session[] = []
  #stops: readonly PreemptionPoint[] = []
  #changed: () => void = () => undefined
  #blocked = 0

  private constructor(control: pg.Client, setup: pg.Client, clients: pg.Client[]) {
    this.#control = control
    this.#setup = setup
    this.#clients = clients
  }

  /** Opens the sessions, one for preparation and checks, and one for the scheduler. */
  static async open(url: string, count: number): Promise<Sessions> {
    const connect = async (statement: string): Promise<pg.Client> => {
      const options: pg.ClientConfig & { readonly pipeline: true } = { connectionString: url, pipeline: true }
      const client = new pg.Client(options)
      await client.connect()
      // Plans are made for small tables, which grow.
      await client.query(`SET enable_seqscan = off; SET deadlock_timeout = '10ms'; ${statement}`)
      return client
    }
    const worker = "SET ROLE churn_worker"
    const clients = []
    for (let place = 0; place < count; place++) clients.push(await connect(worker))
    return new Sessions(await connect(""), await connect(worker), clients)
  }

  /** Statements that prepare or check a schedule, without row-level security. */
  async admin<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.#control.query<Row>(text, [...values])).rows
  }

  /** Answers a request of Neon's protocol. `session` null: outside any schedule. */
  async answer(session: number | null, headers: Headers, body: string): Promise<Response> {
    const parsed = requestBody.parse(JSON.parse(body))
    const queries = "queries" in parsed ? parsed.queries : [parsed]
    const isBatch = "queries" in parsed
    const arrayMode = headers.get("neon-array-mode") === "true"
    if (session === null) return this.#execute(this.#setup, "", queries, { isBatch, arrayMode }, () => undefined)

    const own = this.#of(session)
    own.request += 1
    own.pausedAt = 0
    await new Promise<void>((begin) => {
      own.begin = begin
      this.#set(own, "ready")
    })
    own.isExecuting = true
    const stops = this.#stops
      .map((stop, place) => ({ ...stop, place }))
      .filter((stop) => stop.session === session && stop.request === own.request && stop.pause > 0)
      .map(({ pause, place }) => `,${pause}=${lockKeyOf(session, place)}`)
      .join("")
    const { request } = own
    const answer = await this.#execute(own.client, stops, queries, { isBatch, arrayMode }, (pauses) =>
      own.pauses.set(request, pauses),
    )
    own.isExecuting = false
    // A session that ended may have unblocked others; that must be known before one continues.
    this.#recheck()
    this.#set(own, "running")
    return answer
  }

  async #execute(
    client: pg.Client,
    stops: string,
    queries: readonly Parameters<typeof run>[1][],
    { isBatch, arrayMode }: { readonly isBatch: boolean; readonly arrayMode: boolean },
    passed: (pauses: number) => void,
  ): Promise<Response> {
    client.connection.stream.cork()
    const began = client.query(
      `BEGIN; SELECT set_config('app.company_id', '', true), set_config('simulation.at', '0', false),
       set_config('simulation.stops', '${stops}', false)`,
    )
    const results = queries.map((query) => {
      const result = run(client, query, arrayMode, this.#nameOf(query.query))
      return { result, pause: client.query({ name: "pause", text: "SELECT simulation.pause()" }) }
    })
    const at = client.query<{ at: string }>({ name: "at", text: "SELECT current_setting('simulation.at') AS at" })
    // In a transaction that failed this rolls it back.
    const ended = client.query("COMMIT")
    client.connection.stream.uncork()
    const [outcomes, counted, commit] = await Promise.all([
      Promise.allSettled(results.map(({ result }) => result)),
      Promise.allSettled([at]).then(([one]) => one),
      Promise.allSettled([ended]).then(([one]) => one),
      Promise.allSettled([began, ...results.map(({ pause }) => pause)]),
    ])
    const failure =
      outcomes.find((outcome) => outcome.status === "rejected") ?? (commit.status === "rejected" ? commit : undefined)
    if (failure !== undefined) {
      const error: unknown = failure.reason
      if (error instanceof pg.DatabaseError) return Response.json(errorBody(error), { status: 400 })
      throw error
    }
    if (counted.status === "fulfilled") passed(Number(counted.value.rows[0]?.at))
    const values = outcomes.map((outcome) => (outcome.status === "fulfilled" ? outcome.value : null))
    return Response.json(isBatch ? { results: values } : values[0])
  }

  #nameOf(query: string): string {
    const known = this.#names.get(query)
    if (known !== undefined) return known
    const name = `statement_${this.#names.size}`
    this.#names.set(query, name)
    return name
  }

  /** Runs the sessions' work by the schedule until all of it has ended. */
  async play(work: readonly ((session: number) => Promise<void>)[], schedule: Schedule): Promise<Trace> {
    this.#stops = schedule.stops
    this.#blocked = 0
    this.#sessions = work.map((_, place) => this.#newSession(place))
    const locks = schedule.stops.flatMap(({ session, pause }, place) => (pause > 0 ? [lockKeyOf(session, place)] : []))
    if (locks.length > 0)
      await this.#control.query(`SELECT ${locks.map((key) => `pg_advisory_lock(${LOCKS}, ${key})`).join()}`)
    this.#sessions.forEach((session, place) => {
      session.client.on("notice", ({ message }) => {
        if (message === "simulation paused") this.#markPaused(session)
      })
      // Begins before anything is granted, and comes to its first request.
      void (work[place] as (session: number) => Promise<void>)(place)
        .catch((error: unknown) => {
          session.error = error instanceof Error ? error : new Error(String(error))
        })
        .finally(() => this.#set(session, "done"))
    })
    try {
      return await this.#run(schedule)
    } finally {
      for (const { client } of this.#sessions) client.removeAllListeners("notice")
      if (locks.length > 0) await this.#control.query("SELECT pg_advisory_unlock_all()")
      this.#sessions = []
    }
  }

  async #run({ first, stops }: Schedule): Promise<Trace> {
    const taken = new Set<number>()
    let segments: Segment[] = []
    let current = first
    for (;;) {
      await this.#settle()
      if (this.#sessions.every(({ status }) => status === "done")) break
      const own = this.#of(current)
      const at = placeOf(own)
      const last = segments.at(-1)
      if (last !== undefined && last.to === null) last.to = placeOf(this.#of(last.session))
      const place = stops.findIndex(
        (stop, index) =>
          !taken.has(index) && stop.session === current && stop.request === at?.request && stop.pause === at.pause,
      )
      const stop = stops[place]
      if (stop !== undefined) {
        taken.add(place)
        if (isReady(this.#of(stop.to))) {
          current = stop.to
          segments = []
        }
      }
      if (!isReady(this.#of(current))) {
        const next = this.#sessions.findIndex(isReady)
        if (next < 0) {
          // All wait for one another; Postgres ends one of them.
          await this.#waitForChange(STUCK_MS)
          continue
        }
        current = next
      }
      const going = this.#of(current)
      const from = placeOf(going)
      const others = this.#sessions.flatMap((session, other) =>
        other !== current && session.status !== "done" ? [other] : [],
      )
      const isContinued = last?.session === current && segments.length > 0
      if (from !== null) segments.push({ session: current, from, to: null, isContinued, others })
      await this.#resume(going, current)
    }
    return {
      points: segments.flatMap((segment) => this.#pointsOf(segment)),
      stopped: taken.size,
      blocked: this.#blocked,
      errors: this.#sessions.map(({ error }) => error),
    }
  }

  /** The points of a segment at which another session could have continued. */
  #pointsOf({
    session,
    from,
    to,
    isContinued,
    others,
  }: Segment): { readonly point: Point; readonly others: readonly number[] }[] {
    if (others.length === 0) return []
    const { pauses, request: last } = this.#of(session)
    const points = []
    for (let request = from.request; request <= (to?.request ?? last); request++) {
      for (let pause = 0; pause <= (pauses.get(request) ?? 0); pause++) {
        const isAfter = request > from.request || pause > from.pause || (pause === from.pause && isContinued)
        const isBefore = to === null || request < to.request || pause < to.pause
        if (isAfter && isBefore) points.push({ point: { session, request, pause }, others })
      }
    }
    return points
  }

  async #resume(session: Session, place: number): Promise<void> {
    if (session.status === "ready") {
      this.#set(session, "running")
      session.begin?.()
      return
    }
    const { request, pausedAt } = session
    const stop = this.#stops.findIndex(
      (one) => one.session === place && one.request === request && one.pause === pausedAt,
    )
    session.status = "running"
    await this.#control.query(`SELECT pg_advisory_unlock(${LOCKS}, ${lockKeyOf(place, stop)})`)
  }

  /** Waits until no session runs: each is ready, paused, blocked or done. */
  async #settle(): Promise<void> {
    const untilMs = Date.now() + STUCK_MS
    for (;;) {
      const running = this.#sessions.filter(({ status }) => status === "running")
      if (running.length === 0) return
      if (Date.now() > untilMs) throw new Error("sessions make no progress")
      if (await this.#waitForChange(CHECK_LOCKS_AFTER_MS)) continue
      const executing = running.filter(({ isExecuting }) => isExecuting)
      if (executing.length === 0) continue
      const { rows } = await this.#control.query<{ pid: number }>(
        `SELECT pid FROM pg_locks WHERE NOT granted AND NOT (locktype = 'advisory' AND classid = ${LOCKS} AND objsubid = 2)`,
      )
      for (const session of executing) {
        if (session.status !== "running" || !session.isExecuting || !rows.some(({ pid }) => pid === session.pid))
          continue
        session.status = "blocked"
        this.#blocked += 1
      }
    }
  }

  #waitForChange(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const limit = new AbortController()
      this.#changed = () => {
        limit.abort()
        resolve(true)
      }
      sleep(ms, undefined, { signal: limit.signal }).then(
        () => resolve(false),
        () => undefined,
      )
    })
  }

  #set(session: Session, status: Status): void {
    session.status = status
    this.#changed()
  }

  #markPaused(session: Session): void {
    const place = this.#sessions.indexOf(session)
    const stopsAhead = this.#stops.filter(
      (stop) => stop.session === place && stop.request === session.request && stop.pause > session.pausedAt,
    )
    session.pausedAt = Math.min(...stopsAhead.map(({ pause }) => pause))
    this.#set(session, "paused")
  }

  /** A blocked session may have got its lock. */
  #recheck(): void {
    for (const session of this.#sessions) if (session.status === "blocked") session.status = "running"
  }

  #newSession(place: number): Session {
    const client = this.#clients[place]
    if (client === undefined) throw new Error(`there is no session ${place}`)
    // pg's types lack the backend's process id.
    const { processID: pid } = client as unknown as { readonly processID: number }
    return {
      ...{ client, pid, status: "running", begin: null, isExecuting: false, request: 0, pausedAt: 0, error: null },
      pauses: new Map(),
    }
  }

  #of(place: number): Session {
    const session = this.#sessions[place]
    if (session === undefined) throw new Error(`there is no session ${place}`)
    return session
  }

  async close(): Promise<void> {
    await Promise.all([this.#control, this.#setup, ...this.#clients].map((client) => client.end()))
  }
}

const lockKeyOf = (session: number, place: number): number => session * STOPS_PER_SESSION + place

const isReady = ({ status }: Session): boolean => status === "ready" || status === "paused"

const placeOf = ({ status, request, pausedAt }: Session) =>
  status === "ready" ? { request, pause: 0 } : status === "paused" ? { request, pause: pausedAt } : null
