/**
 * The world of one run: Postgres, Redis, QStash, the providers' APIs and the channels in this process, the Worker in its
 * isolates, and one clock for all of them. All calls pass the fault injector of the run.
 */
import { createMailbox, type Mailbox } from "../../../local/channels/mailbox.ts"
import { handleSendgrid } from "../../../local/channels/sendgrid.ts"
import { handleSlack } from "../../../local/channels/slack.ts"
import { handleTwilio } from "../../../local/channels/twilio.ts"
import { createFaults, type FaultTarget, type Reply, type StandInRequest } from "../../../local/faults.ts"
import { createStripeApi, type ProviderApi } from "../../../local/provider-apis/stripe.ts"
import { createWhopApi, whopTarget } from "../../../local/provider-apis/whop.ts"
import { createEngine as createQstash, type Engine as Qstash } from "../../../local/qstash/engine.ts"
import { handleQstash } from "../../../local/qstash/server.ts"
import { createEngine as createRedis, type Engine as Redis } from "../../../local/redis/engine.ts"
import { handleRedis } from "../../../local/redis/server.ts"
import type { VirtualClock } from "../../../local/time/clock.ts"
import type { Random } from "../random.ts"
import type { WorkerModule } from "./bundle.ts"
import type { Call } from "./call.ts"
import type { Database, Executed } from "./database.ts"
import type { FaultInjector } from "./faults.ts"
import { deliverer, virtualRunner } from "./qstash.ts"
import { type Answer, drainMicrotasks, type Effect, type Isolate, Runtime, type Task } from "./runtime.ts"
import type { ScheduleWorker } from "./schedule-worker.ts"
import { secret, serviceOf } from "./targets.ts"

export interface WorldOptions {
  readonly startMs: number
  readonly random: Random
  readonly injector: FaultInjector
  readonly database: Database
  readonly scheduleWorker: ScheduleWorker
  /** Uses the schedule worker's reused isolate. */
  readonly isSteady?: boolean
  /** Maximum of concurrent isolates. */
  readonly isolatesMax?: number
}

/** An executed request to Postgres. */
export interface Query extends Executed {
  readonly effect: number
  readonly task: number
  readonly isolate: number
}

/** The effect that made a message visible. */
export interface DeliveredMessage {
  readonly effect: number
  readonly task: number
  /** The isolate's time when it sent the message. */
  readonly sentAtMs: number
}

export class World {
  readonly runtime: Runtime
  readonly mailbox: Mailbox
  readonly redis: Redis
  readonly qstash: Qstash
  readonly stripe: ProviderApi
  readonly whop: ProviderApi
  readonly database: Database
  readonly trace: string[] = []
  readonly logs: string[] = []
  readonly queries: Query[] = []
  /** One for each message of the mailbox, in its order. */
  readonly deliveredMessages: DeliveredMessage[] = []
  readonly injector: FaultInjector
  readonly #random: Random
  readonly #isolatesMax: number
  readonly #called = new Map<string, number>()
  /** Number of executed effects; the history of the database contains it. */
  applied = 0

  constructor({
    startMs,
    random,
    injector,
    database,
    scheduleWorker,
    isolatesMax = 2,
    isSteady = false,
  }: WorldOptions) {
    this.database = database
    this.injector = injector
    injector.onFault = (line) => this.note(line)
    this.#random = random
    this.#isolatesMax = isolatesMax
    this.runtime = new Runtime(startMs, {
      random: random.fork("product"),
      makeIsolate: isSteady ? scheduleWorker.steady : scheduleWorker.makeIsolate,
      cutOffAfterMs: () => injector.cutOffAfterMs,
      planOfEffect: (effect) => this.#planOfEffect(effect),
      perform: (effect) => this.#perform(effect),
      trace: (line) => this.note(line),
      log: (line) => void this.logs.push(line),
    })
    scheduleWorker.enter(this.runtime)
    const now = (): Date => new Date(this.runtime.worldMs)
    this.mailbox = createMailbox(now)
    this.redis = createRedis(() => this.runtime.worldMs)
    this.stripe = createStripeApi({ mailbox: this.mailbox, apiKey: secret("stripe-api-key"), now })
    this.whop = createWhopApi({ mailbox: this.mailbox, apiKey: secret("whop-api-key"), now })
    this.qstash = createQstash({
      clock: worldClock(now),
      faults: createFaults(),
      signingKey: () => secret("qstash-current-signing-key"),
      deliver: deliverer((call) => this.send(call)),
      makeRunner: virtualRunner(this.runtime),
    })
    this.qstash.runner.release()
  }

  note(line: string): void {
    this.trace.push(`${new Date(this.runtime.worldMs).toISOString().slice(5, 23)} ${line}`)
  }

  /** The fault target of an effect; null for what is not an external service. */
  targetOf({ url, method }: Pick<Effect, "url" | "method">): FaultTarget | null {
    const service = serviceOf(url)
    switch (service) {
      case "control":
        return null
      case "stripe":
        return "stripe-api"
      case "whop":
        return whopTarget({ method, url: url.pathname, headers: {} })
      case "sendgrid":
        return "email"
      case "twilio":
        return "sms"
      default:
        return service
    }
  }

  #planOfEffect(effect: Effect) {
    const target = this.targetOf(effect)
    // The clock is not an external service and cannot fail.
    if (target === null) return { arrivesAfterMs: 0, answersAfterMs: 0, answer: null, crash: null }
    return this.injector.plan(effect, target)
  }

  async #perform(effect: Effect): Promise<Answer> {
    const { url, method, headers, body } = effect
    const service = serviceOf(url)
    if (service === "control") {
      const now = new Date(this.runtime.worldMs + this.runtime.skewOf(effect.task.isolate)).toISOString()
      return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify({ now }) }
    }
    const number = ++this.applied
    const request: StandInRequest = { method, url: url.pathname + url.search, headers: Object.fromEntries(headers) }
    const bytes = Buffer.from(body)
    const countBefore = this.mailbox.messages.length
    const reply = await this.#answer(service, request, bytes, number, effect.task)
    for (let place = countBefore; place < this.mailbox.messages.length; place++) {
      const sentAtMs = effect.calledAtMs + this.runtime.skewOf(effect.task.isolate)
      this.deliveredMessages.push({ effect: number, task: effect.task.id, sentAtMs })
    }
    this.note(`#${number} task ${effect.task.id} ${this.#describe(service, effect)} → ${reply.status}`)
    return { ...reply, headers: reply.headers ?? {} }
  }

  async #answer(
    service: Exclude<ReturnType<typeof serviceOf>, "control">,
    request: StandInRequest,
    body: Buffer,
    number: number,
    task: Task,
  ): Promise<Reply> {
    const { mailbox } = this
    switch (service) {
      case "postgres":
        return this.database.answer(request, body, number, (executed) => {
          this.queries.push({ ...executed, effect: number, task: task.id, isolate: task.isolate.id })
        })
      case "redis":
        return handleRedis(request, body, { engine: this.redis, token: secret("redis-token") })
      case "qstash":
        return handleQstash(request, body, {
          engine: this.qstash,
          clock: worldClock(() => new Date(this.runtime.worldMs)),
          keys: { current: secret("qstash-current-signing-key"), next: secret("qstash-next-signing-key") },
          token: secret("qstash-token"),
        })
      case "stripe":
        return this.stripe.answer(request, body)
      case "whop":
        return this.whop.answer(request, body)
      case "sendgrid":
        return handleSendgrid(request, body, { mailbox, apiKey: secret("sendgrid-api-key") })
      case "twilio": {
        const [accountSid, authToken] = [secret("twilio-account-sid"), secret("twilio-auth-token")]
        return handleTwilio(request, body, { mailbox, accountSid, authToken })
      }
      case "slack":
        return handleSlack(request, body, { mailbox, path: secret("slack-path") })
    }
  }

  /** An effect as text, the same in every run of a seed. */
  #describe(service: string, { method, url, body }: Effect): string {
    if (service === "postgres") {
      const named = [...body.matchAll(FUNCTIONS)].map(([, name]) => name)
      return `postgres ${[...new Set(named)].join(" ") || "statements"}`
    }
    if (service === "redis") return `redis ${/^\W*"?(\w+)/.exec(body)?.[1] ?? ""}`
    return `${service} ${method} ${url.pathname.replace(/(di|coupon|saver)_\w+/, "$1_…").slice(0, 80)}`
  }

  /** The isolate for a call of that name: an existing or a new one. */
  #isolateFor(name: string): Isolate {
    const { isolates } = this.runtime
    const before = this.#called.get(name) ?? 0
    this.#called.set(name, before + 1)
    const place = this.#random.fork(`${name} ${before}`).between(0, this.#isolatesMax - 1)
    return isolates[place] ?? this.runtime.newIsolate(this.injector.skew())
  }

  /** Calls the Worker from outside. Null: no answer. */
  send(call: Call): Promise<Answer | null> {
    const { runtime, injector } = this
    const plan = injector.inbound(call.name)
    return new Promise((resolve) => {
      let isConcluded = false
      const conclude = (answer: Answer | null): void => {
        if (isConcluded) return
        isConcluded = true
        this.note(`${call.name} is answered ${answer === null ? "nothing" : answer.status}`)
        resolve(answer)
      }
      const arrive = async (isCopy: boolean): Promise<void> => {
        const isolate = this.#isolateFor(call.name)
        const request = new Request(call.url, { method: call.method, headers: call.headers, body: call.body })
        const work = (module: WorkerModule, env: object, context: object) => module.fetch(request, env, context)
        await runtime.start(`${call.name}${isCopy ? " again" : ""}`, isolate, work, (answer) => {
          if (!isCopy)
            runtime.agenda.put(runtime.worldMs, "reply", () => {
              conclude(plan.isReplyLost ? null : answer)
              return drainMicrotasks()
            })
        })
      }
      const { arrivesAfterMs, copiesAfterMs } = plan
      if (arrivesAfterMs !== null) {
        runtime.agenda.put(runtime.worldMs + arrivesAfterMs, "inbound", () => arrive(false))
        for (const after of copiesAfterMs) {
          runtime.agenda.put(runtime.worldMs + arrivesAfterMs + after, "inbound copy", () => arrive(true))
        }
      }
      const timeoutMs = arrivesAfterMs === null ? 1 : call.timeoutMs
      runtime.agenda.put(runtime.worldMs + timeoutMs, "caller gives up", () => {
        conclude(null)
        return drainMicrotasks()
      })
    })
  }

  /** Fires a Cron Trigger. */
  async trigger(cron: string): Promise<void> {
    const work = async (module: WorkerModule, env: object, context: object): Promise<null> => {
      await module.scheduled({ cron, scheduledTime: this.runtime.worldMs, noRetry: () => undefined }, env, context)
      return null
    }
    await this.runtime.start(`cron ${cron}`, this.#isolateFor(`cron ${cron}`), work, () => undefined)
  }
}

/** Names of database functions or tables in a request. */
const FUNCTIONS = /\b(\w+)\((?=[^)]*\$\d)|\b(?:update|insert into|delete from) \\"(\w+)/g

const worldClock = (now: () => Date): VirtualClock => ({
  now,
  offsetMs: () => 0,
  advanceTo: () => undefined,
  advance: () => undefined,
  reset: () => undefined,
  onMove: () => undefined,
})
