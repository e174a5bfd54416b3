/**
 * Isolates, their tasks, and the tasks' effects. Every outgoing call is an effect that arrives at one time and is answered at
 * another, both on the virtual clock. One thing happens at a time: the code then runs until it waits again, so a run is a
 * function of its seed. Code that awaits a promise belongs to its own task, also when another task resolves the promise, as in
 * workerd. Over 300 lines: one state machine.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import { Agenda } from "../agenda.ts"
import type { Random } from "../random.ts"
import type { IsolateParts, WorkerModule } from "./bundle.ts"
import type { ModuleState } from "./module-state.ts"
import type { SeamSources } from "./seams.ts"

export interface Skew {
  readonly byMs: number
  readonly untilMs: number
}

export const NO_SKEW: Skew = { byMs: 0, untilMs: 0 }

export interface Isolate extends IsolateParts {
  readonly id: number
  readonly env: object
  /** The error of its clock, until the platform corrects it. */
  skew: Skew
  hasEnded: boolean
}

export interface Task {
  readonly id: number
  readonly name: string
  readonly isolate: Isolate
  hasEnded: boolean
  effects: number
  isAnswered: boolean
  readonly waiting: Set<Promise<unknown>>
}

/** An outgoing call of the Worker. */
export interface Effect {
  /** Counted over the run, in the order of the calls. */
  readonly number: number
  readonly task: Task
  readonly method: string
  readonly url: URL
  readonly headers: Headers
  readonly body: string
  readonly signal: AbortSignal | null
  readonly calledAtMs: number
  /** The step in which it arrived; null: not yet. */
  arrivedInStep: number | null
  /** The effect whose answer the task was resumed with one step after its arrival, having only computed since then. */
  readonly follows: Effect | null
}

/** An answer as the Worker reads it. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

/** The plan of an effect: it takes place at `arrivesAfterMs`, and is answered at `answersAfterMs`. */
export interface EffectPlan {
  /** Null: it never arrives. */
  readonly arrivesAfterMs: number | null
  /** Null: no answer ever. */
  readonly answersAfterMs: number | null
  /** Null: the real answer; `lost`: a broken connection. */
  readonly answer: ((real: Answer | null) => Answer | "lost") | null
  readonly crash: "before" | "after" | null
}

/** What a runtime needs of its world. */
export interface RuntimeOptions {
  readonly random: Random
  readonly makeIsolate: () => IsolateParts & { readonly env: object }
  /** When work after the answer is cut off. */
  cutOffAfterMs(): number
  planOfEffect(effect: Effect): EffectPlan
  perform(effect: Effect): Promise<Answer>
  trace(line: string): void
  log(line: string): void
}

/** One for all runs of a process: Node keeps each that was used, and copies all of them for each promise. */
const RUNNING = new AsyncLocalStorage<{ readonly runtime: Runtime; readonly task: Task }>()

export class Runtime implements SeamSources {
  readonly agenda = new Agenda()
  readonly isolates: Isolate[] = []
  readonly faults: string[] = []
  worldMs = 0
  crashes = 0
  effects = 0
  /** Entries of the agenda that were run. */
  #steps = 0
  /** The effect whose answer the current step brings to its task. */
  #answered: Effect | null = null
  /** Tasks that have not ended. */
  readonly live = new Set<Task>()
  readonly #options: RuntimeOptions
  readonly #timers = new Map<number, () => void>()
  readonly #listening = new Set<() => void>()
  #made = { isolates: 0, tasks: 0, timers: 0 }
  #operations = 0
  #activity = 0

  constructor(startMs: number, options: RuntimeOptions) {
    this.worldMs = startMs
    this.#options = options
  }

  /** The task of the running code; null: it is not the Worker's. */
  get current(): Task | null {
    const running = RUNNING.getStore()
    return running?.runtime === this ? running.task : null
  }

  // The replaced globals.

  nowMs(): number {
    const { current } = this
    return this.worldMs + (current === null ? 0 : this.skewOf(current.isolate))
  }

  moduleState(): ModuleState {
    if (this.current === null) throw new Error("code of the Worker runs without a task")
    return this.current.isolate.moduleState
  }

  /** The current error of an isolate's clock. */
  skewOf({ skew }: Isolate): number {
    return this.worldMs < skew.untilMs ? skew.byMs : 0
  }

  random(): number {
    return this.#options.random.next()
  }

  fill(bytes: Uint8Array): void {
    for (let index = 0; index < bytes.length; index++) bytes[index] = this.#options.random.between(0, 255)
  }

  cryptoBegins(): void {
    this.#operations += 1
  }

  cryptoEnds(): void {
    this.#operations -= 1
    this.#activity += 1
  }

  log(line: string): void {
    this.#options.log(line)
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

  /** Removes listeners of abort signals: Node would keep them, and with them the whole run. */
  end(): void {
    for (const removeListener of [...this.#listening]) removeListener()
  }

  async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const task = this.current
    if (task === null) throw new Error("an outgoing call without a task")
    this.#activity += 1
    if (hasEnded(task)) return new Promise<Response>(() => undefined)
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
      calledAtMs: this.worldMs,
      arrivedInStep: null,
      follows: this.#answered?.task === task ? this.#answered : null,
    }
    task.effects += 1
    return this.#execute(effect, this.#options.planOfEffect(effect))
  }

  #execute(effect: Effect, plan: EffectPlan): Promise<Response> {
    const { task, signal } = effect
    if (plan.crash === "before") {
      this.crash(task.isolate, `before effect ${effect.number}`)
      return new Promise(() => undefined)
    }
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      let isSettled = false
      const settle = (outcome: () => void): void => {
        if (isSettled) return
        isSettled = true
        removeListener()
        outcome()
      }
      const abort = (): void => settle(() => reject(signal?.reason))
      const removeListener = (): void => {
        signal?.removeEventListener("abort", abort)
        this.#listening.delete(removeListener)
      }
      if (signal !== null) {
        signal.addEventListener("abort", abort, { once: true })
        this.#listening.add(removeListener)
      }

      let real: Answer | null = null
      const reply = (): Promise<void> => {
        if (effect.arrivedInStep === this.#steps - 1) this.#answered = effect
        return this.wake(task, () =>
          settle(() => {
            const answer = plan.answer === null ? real : plan.answer(real)
            if (answer === "lost" || answer === null) reject(new TypeError("Network connection lost."))
            else resolve(responseOf(answer))
          }),
        )
      }
      const arrive = async (): Promise<void> => {
        effect.arrivedInStep = this.#steps
        real = await this.#options.perform(effect)
        if (plan.crash === "after") this.crash(task.isolate, `after effect ${effect.number}`)
      }
      const { arrivesAfterMs, answersAfterMs } = plan
      if (arrivesAfterMs === null && answersAfterMs === 0) {
        this.agenda.put(this.worldMs, "call", reply)
        return
      }
      if (arrivesAfterMs === 0 && answersAfterMs === 0) {
        // In one step, for what is not an external service, such as the clock.
        this.agenda.put(this.worldMs, "call", async () => {
          await arrive()
          await reply()
        })
        return
      }
      if (arrivesAfterMs !== null) this.agenda.put(this.worldMs + arrivesAfterMs, "arrival", arrive)
      if (answersAfterMs !== null) this.agenda.put(this.worldMs + answersAfterMs, "answer", reply)
    })
  }

  // Isolates and tasks.

  newIsolate(skew = NO_SKEW): Isolate {
    const isolate = { id: ++this.#made.isolates, ...this.#options.makeIsolate(), skew, hasEnded: false }
    this.isolates.push(isolate)
    return isolate
  }

  /** Ends the isolate and its tasks; calls that were sent still arrive. */
  crash(isolate: Isolate, why: string): void {
    if (isolate.hasEnded) return
    isolate.hasEnded = true
    this.crashes += 1
    this.#options.trace(`isolate ${isolate.id} crashes ${why}`)
    const place = this.isolates.indexOf(isolate)
    if (place >= 0) this.isolates.splice(place, 1)
    for (const task of this.live) if (task.isolate === isolate) this.kill(task)
  }

  /** Ends the task. */
  kill(task: Task): void {
    task.hasEnded = true
    this.live.delete(task)
  }

  /** Runs one call of the Worker; `onAnswer` gets the answer, or null if it threw. Not called for a task that was killed. */
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
      hasEnded: false,
      effects: 0,
      isAnswered: false,
      waiting: new Set(),
    }
    this.live.add(task)
    this.#options.trace(`task ${task.id} ${name} in isolate ${isolate.id}`)
    const context = {
      waitUntil: (work: Promise<unknown>) => {
        const settled = work.then(noop, noop).then(() => {
          task.waiting.delete(settled)
          this.#endIfDone(task)
        })
        task.waiting.add(settled)
      },
      passThroughOnException: noop,
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
      if (task.hasEnded) return
      task.isAnswered = true
      this.#answered = null
      this.agenda.put(this.worldMs + this.#options.cutOffAfterMs(), "eviction", () => {
        if (!this.live.has(task)) return
        this.#options.trace(`task ${task.id} is evicted`)
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

  /** Resumes a task, and waits until it waits again. */
  async wake(task: Task | null, go: () => void): Promise<void> {
    if (task !== null && hasEnded(task)) return
    if (task === null) go()
    else RUNNING.run({ runtime: this, task }, go)
    let before: number
    do {
      before = this.#activity
      await drainMicrotasks()
    } while (this.#operations > 0 || this.#activity !== before)
  }

  /** Runs the next entry of the agenda; false if there is none up to `untilMs`. */
  async step(untilMs: number): Promise<boolean> {
    const { nextAtMs } = this.agenda
    if (nextAtMs === null || nextAtMs > untilMs) return false
    const entry = this.agenda.take()
    if (entry === null) return false
    this.worldMs = Math.max(this.worldMs, entry.atMs)
    this.#steps += 1
    this.#answered = null
    await entry.run()
    return true
  }
}

const hasEnded = (task: Task): boolean => task.hasEnded || task.isolate.hasEnded

const noop = (): void => undefined

/** Resolves when all ready callbacks have run. */
export const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Statuses without a body. */
const BODILESS: ReadonlySet<number> = new Set([101, 204, 205, 304])

function responseOf({ status, headers, body }: Answer): Response {
  const content = BODILESS.has(status) ? null : typeof body === "string" ? body : new Uint8Array(body)
  return new Response(content, { status, headers })
}
