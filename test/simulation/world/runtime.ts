/**
 * Isolates, the tasks in them, and their effects. Every call to the outside is an effect with a moment at which it
 * arrives and one at which its answer is back, both on the virtual clock. One thing happens at a time: after it the code
 * runs until it waits again, so whatever runs belongs to the task that was woken, and a run is a function of its seed.
 */
import { Agenda } from "../agenda.ts"
import type { Random } from "../random.ts"
import type { WorkerModule } from "./bundle.ts"
import type { SeamSources } from "./seams.ts"

export interface Skew {
  readonly byMs: number
  readonly untilMs: number
}

export const NO_SKEW: Skew = { byMs: 0, untilMs: 0 }

export interface Isolate {
  readonly id: number
  readonly module: WorkerModule
  readonly env: object
  /** How far its clock is off, until the platform sets it right. */
  skew: Skew
  isDead: boolean
}

export interface Task {
  readonly id: number
  readonly name: string
  readonly isolate: Isolate
  isDead: boolean
  effects: number
  isAnswered: boolean
  readonly waiting: Set<Promise<unknown>>
}

/** A call of the Worker to the outside. */
export interface Effect {
  /** Counted over the run, in the order in which they were asked for. */
  readonly number: number
  readonly task: Task
  readonly method: string
  readonly url: URL
  readonly headers: Headers
  readonly body: string
  readonly signal: AbortSignal | null
  readonly askedAtMs: number
}

/** An answer as the Worker will read it. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

/** How an effect goes. The world carries it out at `arrivesAfterMs`; the Worker hears of it at `answersAfterMs`. */
export interface EffectPlan {
  /** Null: it never arrives. */
  readonly arrivesAfterMs: number | null
  /** Null: no answer ever. */
  readonly answersAfterMs: number | null
  /** Null: what the world answered; `lost` is a connection that broke. */
  readonly answer: ((real: Answer | null) => Answer | "lost") | null
  readonly crash: "before" | "after" | null
}

/** What a runtime is part of. */
export interface RuntimeOptions {
  readonly random: Random
  readonly makeIsolate: () => WorkerModule
  readonly env: () => object
  /** When work that goes on after the answer is cut off. */
  cutOffAfterMs(): number
  courseOf(effect: Effect): EffectPlan
  perform(effect: Effect): Promise<Answer>
  trace(line: string): void
  log(line: string): void
}

export class Runtime implements SeamSources {
  readonly agenda = new Agenda()
  readonly isolates: Isolate[] = []
  readonly faults: string[] = []
  worldMs = 0
  crashes = 0
  effects = 0
  current: Task | null = null
  /** Tasks that are not done yet. */
  readonly live = new Set<Task>()
  readonly #surroundings: RuntimeOptions
  readonly #timers = new Map<number, () => void>()
  readonly #listening = new Set<() => void>()
  #made = { isolates: 0, tasks: 0, timers: 0 }
  #operations = 0
  #activity = 0

  constructor(startMs: number, surroundings: RuntimeOptions) {
    this.worldMs = startMs
    this.#surroundings = surroundings
  }

  // The seams.

  nowMs(): number {
    return this.worldMs + (this.current === null ? 0 : this.skewOf(this.current.isolate))
  }

  /** How far the clock of an isolate is off at this moment. */
  skewOf({ skew }: Isolate): number {
    return this.worldMs < skew.untilMs ? skew.byMs : 0
  }

  random(): number {
    return this.#surroundings.random.next()
  }

  fill(bytes: Uint8Array): void {
    for (let index = 0; index < bytes.length; index++) bytes[index] = this.#surroundings.random.between(0, 255)
  }

  cryptoBegins(): void {
    this.#operations += 1
  }

  cryptoEnds(): void {
    this.#operations -= 1
    this.#activity += 1
  }

  log(line: string): void {
    this.#surroundings.log(line)
  }

  setTimer(callback: () => void, delayMs: number): number {
    const task = this.current
    const id = ++this.#made.timers
    this.#timers.set(id, callback)
    this.agenda.put(this.worldMs + Math.max(0, delayMs), "timer", () => {
      const due = this.#timers.get(id)
      if (due === undefined) return
      this.#timers.delete(id)
      return this.wake(task, due)
    })
    return id
  }

  clearTimer(id: number): void {
    this.#timers.delete(id)
  }

  /** Node keeps a signal that somebody listens to, and with it the whole run, for as long as it is not given. */
  end(): void {
    for (const forget of [...this.#listening]) forget()
  }

  async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const task = this.current
    if (task === null) throw new Error("a call to the outside that belongs to no task")
    this.#activity += 1
    if (isDead(task)) return new Promise<Response>(() => undefined)
    const request = input instanceof Request ? input : null
    const signal = init?.signal ?? request?.signal ?? null
    const given = init?.body ?? null
    const body = typeof given === "string" ? given : await new Request(input, init).text()
    const effect: Effect = {
      number: ++this.effects,
      task,
      method: init?.method ?? request?.method ?? "GET",
      url: new URL(request?.url ?? String(input)),
      headers: new Headers(init?.headers ?? request?.headers),
      body,
      signal,
      askedAtMs: this.worldMs,
    }
    task.effects += 1
    return this.#goes(effect, this.#surroundings.courseOf(effect))
  }

  #goes(effect: Effect, course: EffectPlan): Promise<Response> {
    const { task, signal } = effect
    if (course.crash === "before") {
      this.crash(task.isolate, `before effect ${effect.number}`)
      return new Promise(() => undefined)
    }
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      let isSettled = false
      const settle = (outcome: () => void): void => {
        if (isSettled) return
        isSettled = true
        forget()
        outcome()
      }
      const abort = (): void => settle(() => reject(signal?.reason))
      const forget = (): void => {
        signal?.removeEventListener("abort", abort)
        this.#listening.delete(forget)
      }
      if (signal !== null) {
        signal.addEventListener("abort", abort, { once: true })
        this.#listening.add(forget)
      }

      let real: Answer | null = null
      const hear = (): Promise<void> =>
        this.wake(task, () =>
          settle(() => {
            const answer = course.answer === null ? real : course.answer(real)
            if (answer === "lost" || answer === null) reject(new TypeError("Network connection lost."))
            else resolve(responseOf(answer))
          }),
        )
      const arrive = async (): Promise<void> => {
        real = await this.#surroundings.perform(effect)
        if (course.crash === "after") this.crash(task.isolate, `after effect ${effect.number}`)
      }
      const { arrivesAfterMs, answersAfterMs } = course
      if (arrivesAfterMs === null && answersAfterMs === 0) {
        this.agenda.put(this.worldMs, "call", hear)
        return
      }
      if (arrivesAfterMs === 0 && answersAfterMs === 0) {
        // At once and in one step: what is no part of the outside, such as the clock.
        this.agenda.put(this.worldMs, "call", async () => {
          await arrive()
          await hear()
        })
        return
      }
      if (arrivesAfterMs !== null) this.agenda.put(this.worldMs + arrivesAfterMs, "arrival", arrive)
      if (answersAfterMs !== null) this.agenda.put(this.worldMs + answersAfterMs, "answer", hear)
    })
  }

  // Isolates and tasks.

  newIsolate(skew = NO_SKEW): Isolate {
    const { makeIsolate, env } = this.#surroundings
    const isolate = { id: ++this.#made.isolates, module: makeIsolate(), env: env(), skew, isDead: false }
    this.isolates.push(isolate)
    return isolate
  }

  /** The isolate is gone, and everything in it; what it had sent is on its way all the same. */
  crash(isolate: Isolate, why: string): void {
    if (isolate.isDead) return
    isolate.isDead = true
    this.crashes += 1
    this.#surroundings.trace(`isolate ${isolate.id} crashes ${why}`)
    const place = this.isolates.indexOf(isolate)
    if (place >= 0) this.isolates.splice(place, 1)
    for (const task of this.live) if (task.isolate === isolate) this.kill(task)
  }

  /** The task does nothing any more. */
  kill(task: Task): void {
    task.isDead = true
    this.live.delete(task)
  }

  /** Runs one call of the Worker; `onAnswer` hears the answer, or null when it threw. Not called for a task that died. */
  async start(
    name: string,
    isolate: Isolate,
    call: (module: WorkerModule, env: object, context: object) => Promise<Response | null>,
    onAnswer: (answer: Answer | null) => void,
  ): Promise<Task> {
    const task: Task = {
      id: ++this.#made.tasks,
      name,
      isolate,
      isDead: false,
      effects: 0,
      isAnswered: false,
      waiting: new Set(),
    }
    this.live.add(task)
    this.#surroundings.trace(`task ${task.id} ${name} in isolate ${isolate.id}`)
    const context = {
      waitUntil: (work: Promise<unknown>) => {
        const settled = work.then(ignore, ignore).then(() => {
          task.waiting.delete(settled)
          this.#endIfDone(task)
        })
        task.waiting.add(settled)
      },
      passThroughOnException: ignore,
      props: {},
    }
    const answer = async (): Promise<void> => {
      let result: Answer | null = null
      try {
        const response = await call(isolate.module, isolate.env, context)
        if (response) {
          const body = Buffer.from(await response.arrayBuffer())
          result = { status: response.status, headers: Object.fromEntries(response.headers), body }
        } else {
          result = { status: 200, headers: {}, body: "" }
        }
      } catch (error) {
        this.faults.push(`${name} threw ${String(error)}`)
      }
      if (task.isDead) return
      task.isAnswered = true
      this.agenda.put(this.worldMs + this.#surroundings.cutOffAfterMs(), "eviction", () => {
        if (!this.live.has(task)) return
        this.#surroundings.trace(`task ${task.id} is evicted`)
        this.kill(task)
      })
      onAnswer(result)
      this.#endIfDone(task)
    }
    await this.wake(task, () => void answer())
    return task
  }

  #endIfDone(task: Task): void {
    if (task.isAnswered && task.waiting.size === 0) this.live.delete(task)
  }

  /** Lets a task go on, and waits until it waits again. */
  async wake(task: Task | null, go: () => void): Promise<void> {
    if (task !== null && isDead(task)) return
    this.current = task
    go()
    let before: number
    do {
      before = this.#activity
      await drainMicrotasks()
    } while (this.#operations > 0 || this.#activity !== before)
    this.current = null
  }

  /** Does the next thing on the agenda; false when there is none up to `untilMs`. */
  async step(untilMs: number): Promise<boolean> {
    const { nextAtMs } = this.agenda
    if (nextAtMs === null || nextAtMs > untilMs) return false
    const entry = this.agenda.take()
    if (entry === null) return false
    this.worldMs = Math.max(this.worldMs, entry.atMs)
    await entry.run()
    return true
  }
}

const isDead = (task: Task): boolean => task.isDead || task.isolate.isDead

const ignore = (): void => undefined

/** Everything that was ready has run once this resolves. */
export const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Statuses that carry no body. */
const BODILESS: ReadonlySet<number> = new Set([101, 204, 205, 304])

function responseOf({ status, headers, body }: Answer): Response {
  const content = BODILESS.has(status) ? null : typeof body === "string" ? body : new Uint8Array(body)
  return new Response(content, { status, headers })
}
