/**
 * Sessions of Postgres with real transactions, of which one runs at a time. A schedule says where a session is stopped and
 * which one goes on: before a request, or between two statements of it, also within a function. A session that waits for a
 * lock of another is recognised by Postgres's own list of waiting locks, and the others go on.
 */
import { setTimeout as sleep } from "node:timers/promises"
import pg from "pg"
import { errorBody, requestBody, run } from "../../../local/postgres/neon-proxy.ts"

/** A place at which a session can be stopped: `pause` 0 is before the request, which are counted from 1. */
export interface Point {
  readonly session: number
  readonly request: number
  readonly pause: number
}

/** A stop, and who goes on there. */
export interface PreemptionPoint extends Point {
  readonly to: number
}

/** Who begins, and the stops. Without one each session runs to its end, or until it waits for another. */
export interface Schedule {
  readonly first: number
  readonly stops: readonly PreemptionPoint[]
}

/** What happened in a schedule. */
export interface Trace {
  /** Points that were passed after the last stop, each with the sessions that could have gone on instead. */
  readonly points: readonly { readonly point: Point; readonly others: readonly number[] }[]
  /** Stops at which another session went on. */
  readonly stopped: number
  /** How often a session was found waiting for another. */
  readonly blocked: number
  /** How the sessions ended; null: well. */
  readonly errors: readonly (Error | null)[]
}

/** Sessions that make no progress for so long are stuck. */
const STUCK_MS = 10_000
/** A statement takes less than this, unless it waits. */
const LOOK_AFTER_MS = 2
/** The key under which `simulation.pause` takes its locks, apart from the product's own. */
const LOCKS = 7777
const STOPS_PER_SESSION = 100

type Status = "turn" | "running" | "parked" | "blocked" | "done"

interface Session {
  readonly client: pg.Client
  pid: number
  status: Status
  /** Lets the next request begin. */
  begin: (() => void) | null
  isExecuting: boolean
  request: number
  /** Statements passed in each request, as far as it says. */
  readonly pauses: Map<number, number>
  /** The pause at which it is parked. */
  parkedAt: number
  error: Error | null
}

interface Segment {
  readonly session: number
  readonly from: { readonly request: number; readonly pause: number }
  to: { readonly request: number; readonly pause: number } | null
  /** The same session ran before: then stopping it where this begins is a choice too. */
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

  /** Opens so many sessions, one for whoever prepares and judges, and one for the scheduler. */
  static async open(url: string, count: number): Promise<Sessions> {
    const connect = async (statement: string): Promise<pg.Client> => {
      const options: pg.ClientConfig & { readonly pipeline: true } = { connectionString: url, pipeline: true }
      const client = new pg.Client(options)
      await client.connect()
      // The tables are small when plans are made, and grow.
      await client.query(`SET enable_seqscan = off; SET deadlock_timeout = '10ms'; ${statement}`)
      return client
    }
    const worker = "SET ROLE churn_worker"
    const clients = []
    for (let place = 0; place < count; place++) clients.push(await connect(worker))
    return new Sessions(await connect(""), await connect(worker), clients)
  }

  /** Statements of whoever prepares a schedule or judges it, past row-level security. */
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
    own.parkedAt = 0
    await new Promise<void>((begin) => {
      own.begin = begin
      this.#set(own, "turn")
    })
    own.isExecuting = true
    const stops = this.#stops
      .map((stop, place) => ({ ...stop, place }))
      .filter((stop) => stop.session === session && stop.request === own.request && stop.pause > 0)
      .map(({ pause, place }) => `,${pause}=${keyOf(session, place)}`)
      .join("")
    const { request } = own
    const answer = await this.#execute(own.client, stops, queries, { isBatch, arrayMode }, (pauses) =>
      own.pauses.set(request, pauses),
    )
    own.isExecuting = false
    // What ended may have let others go on, and nobody goes on from here before that is known.
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
    this.#sessions = work.map((_, place) => this.#fresh(place))
    const locks = schedule.stops.flatMap(({ session, pause }, place) => (pause > 0 ? [keyOf(session, place)] : []))
    if (locks.length > 0)
      await this.#control.query(`SELECT ${locks.map((key) => `pg_advisory_lock(${LOCKS}, ${key})`).join()}`)
    this.#sessions.forEach((session, place) => {
      session.client.on("notice", ({ message }) => {
        if (message === "simulation paused") this.#parks(session)
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
          await this.#untilChange(STUCK_MS)
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
      await this.#grant(going, current)
    }
    return {
      points: segments.flatMap((segment) => this.#pointsOf(segment)),
      stopped: taken.size,
      blocked: this.#blocked,
      errors: this.#sessions.map(({ error }) => error),
    }
  }

  /** The points of a segment at which another session could have gone on. */
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

  async #grant(session: Session, place: number): Promise<void> {
    if (session.status === "turn") {
      this.#set(session, "running")
      session.begin?.()
      return
    }
    const { request, parkedAt } = session
    const stop = this.#stops.findIndex(
      (one) => one.session === place && one.request === request && one.pause === parkedAt,
    )
    session.status = "running"
    await this.#control.query(`SELECT pg_advisory_unlock(${LOCKS}, ${keyOf(place, stop)})`)
  }

  /** Waits until every session waits: for its turn, at a stop, for another's lock, or for nothing more. */
  async #settle(): Promise<void> {
    const untilMs = Date.now() + STUCK_MS
    for (;;) {
      const running = this.#sessions.filter(({ status }) => status === "running")
      if (running.length === 0) return
      if (Date.now() > untilMs) throw new Error("sessions make no progress")
      if (await this.#untilChange(LOOK_AFTER_MS)) continue
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

  #untilChange(ms: number): Promise<boolean> {
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

  #parks(session: Session): void {
    const place = this.#sessions.indexOf(session)
    const here = this.#stops.filter(
      (stop) => stop.session === place && stop.request === session.request && stop.pause > session.parkedAt,
    )
    session.parkedAt = Math.min(...here.map(({ pause }) => pause))
    this.#set(session, "parked")
  }

  /** Whoever waited may have got its lock. */
  #recheck(): void {
    for (const session of this.#sessions) if (session.status === "blocked") session.status = "running"
  }

  #fresh(place: number): Session {
    const client = this.#clients[place]
    if (client === undefined) throw new Error(`there is no session ${place}`)
    // What pg knows of its backend is not in its types.
    const { processID: pid } = client as unknown as { readonly processID: number }
    return {
      ...{ client, pid, status: "running", begin: null, isExecuting: false, request: 0, parkedAt: 0, error: null },
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

const keyOf = (session: number, place: number): number => session * STOPS_PER_SESSION + place

const isReady = ({ status }: Session): boolean => status === "turn" || status === "parked"

const placeOf = ({ status, request, parkedAt }: Session) =>
  status === "turn" ? { request, pause: 0 } : status === "parked" ? { request, pause: parkedAt } : null
